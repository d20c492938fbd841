import pytest

MIDNIGHT = 57647.0
HOUR = 1 / 24
IFS = {"arm": "IFS", "mode": "YJ", "filter": "OBS_YJ", "ifs_setup": "OBS_YJ"}


@pytest.mark.parametrize(("days", "n_files", "relaxed"), [(119, 2, ()), (121, 1, ("levels",))])
def test_no_file_of_a_set_lies_beyond_the_last_window(frame, associate, days, n_files, relaxed):
    white = {**IFS, "ifs_setup": "CAL_BB_2_YJ"}
    near = frame("DET_FLAT", MIDNIGHT + 1, **white, dit_s=2.0)
    far = frame("DET_FLAT", MIDNIGHT - days, **white, dit_s=4.0)
    frames = [frame("SCIENCE", MIDNIGHT + i / 1000, **IFS) for i in range(3)]
    (association,), _ = associate([*frames, near, far])
    use = association.calibration("det_flat:white")
    assert near.archive_id in use.frames
    assert (len(use.frames), use.relaxed) == (n_files, relaxed)


def test_sky_under_another_name_of_the_star_is_found(block, frame, associate):
    other = {"target": "HIP 1272", "obs_id": "7"}
    flux = frame("FLUX", MIDNIGHT + 2 * HOUR, dit_s=2.0, **other)
    sky = frame("SKY", MIDNIGHT + 3 * HOUR, **other)
    associations, _ = associate([*block(), flux, sky, frame("BACKGROUND", MIDNIGHT + 8 * HOUR)])
    use = next(a for a in associations if "OBJECT" in a.frames).calibration("background:OBJECT")
    assert (use.source_class, use.relaxed) == ("SKY", ("block",))


def test_a_template_that_runs_over_noon_is_one_set(block, frame, flat, associate):
    noon = MIDNIGHT + 12 * HOUR
    over_noon = flat(noon - 2 / 1440)
    assert len({f.night for f in over_noon}) == 2
    (association,), _ = associate([*block(), *over_noon])
    use = association.calibration("flat")
    assert (len(use.frames), use.relaxed) == (5, ())


def test_flux_frames_of_two_densities_have_backgrounds_of_their_own(block, frame, associate):
    fainter = frame("FLUX", MIDNIGHT + HOUR, dit_s=2.0, nd="ND_1.0", n_planes=2)
    darks = {
        nd: frame("BACKGROUND", MIDNIGHT + hour * HOUR, dit_s=2.0, nd=nd)
        for nd, hour in (("ND_2.0", 8), ("ND_1.0", 9))
    }
    (association,), _ = associate([*block(), fainter, *darks.values()])
    uses = {use.role: use.frames for use in association.calibrations}
    assert uses["background:FLUX"] == (darks["ND_2.0"].archive_id,)
    assert uses["background:FLUX@2.00@ND_1.0"] == (darks["ND_1.0"].archive_id,)
    (association,), _ = associate([*block(), fainter, darks["ND_2.0"]])
    assert "background:FLUX@2.00@ND_1.0" in {item.role for item in association.missing}


def test_what_two_headers_do_not_say_is_not_equal(frame, flat, associate):
    unknown = {"dit_s": None, "filter": "", "obs_id": ""}
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **unknown) for i in range(3)]
    frames += [frame("BACKGROUND", MIDNIGHT + 8 * HOUR, **unknown)]
    frames += flat(MIDNIGHT + 9 * HOUR, filter="")
    (association,), _ = associate(frames)
    assert association.calibrations == ()
    refused = {m.role: [r.reason for r in m.rejected] for m in association.missing}
    assert "(no dit)" in refused["background:OBJECT"][0]
    assert "(no filter)" in refused["flat"][0]


def test_sky_of_another_star_serves_no_science_without_a_block(frame, associate):
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, obs_id="") for i in range(3)]
    elsewhere = {"obs_id": "", "target": "HD 2", "ra_deg": 90.0}
    (association,), _ = associate([*frames, frame("SKY", MIDNIGHT + HOUR, **elsewhere)])
    assert association.calibration("background:OBJECT") is None
    assert "SKY" not in association.frames
    (association,), _ = associate([*frames, frame("SKY", MIDNIGHT + HOUR, obs_id="")])
    assert association.calibration("background:OBJECT").source_class == "SKY"
    assert "SKY" in association.frames


def test_no_master_dark_of_ifs_mixes_densities(frame, associate):
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **IFS) for i in range(3)]
    dark = {**IFS, "dit_s": 1.65}
    open_beam = frame("BACKGROUND", MIDNIGHT + 9 * HOUR, **dark)
    frames += [open_beam, frame("BACKGROUND", MIDNIGHT + 8 * HOUR, **dark, nd="ND_1.0")]
    (association,), _ = associate(frames)
    assert association.calibration("dark").frames == (open_beam.archive_id,)


def test_no_master_dark_of_zimpol_mixes_integration_times(frame, associate):
    zimpol = {"arm": "ZIMPOL", "mode": "IMAGING", "readmode": "StandardImaging", "nd": ""}
    zimpol |= {"filter": "V"}
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **zimpol, dit_s=10.0) for i in range(3)]
    longest = frame("DARK", MIDNIGHT + 8 * HOUR, **zimpol, dit_s=100.0)
    frames += [longest, frame("DARK", MIDNIGHT + 9 * HOUR, **zimpol, dit_s=1.1)]
    (association,), _ = associate(frames)
    use = association.calibration("dark")
    assert (use.frames, use.relaxed) == ((longest.archive_id,), ("dit",))
