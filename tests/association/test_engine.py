import dataclasses

import pytest

from spheredc_hpc.association.engine import Associator, Versions, product_key
from spheredc_hpc.association.explain import describe_missing
from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.association.rules import Match, Need, Source
from spheredc_hpc.config import AssociationSettings
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.model.provenance import PRODUCT_VERSIONS

MIDNIGHT = 57647.0
HOUR = 1 / 24


@pytest.fixture
def only(associate):
    """Association of the one observation in some frames."""

    def run(frames, **settings):
        (association,), _ = associate(frames, **settings)
        return association

    return run


@pytest.fixture
def background(frame):
    def build(hours, **columns):
        return frame("BACKGROUND", MIDNIGHT + hours * HOUR, **columns)

    return build


@pytest.mark.parametrize(("before_h", "after_h", "taken"), [(5, 4, "after"), (4, 5, "before")])
def test_the_nearest_in_time_is_taken_before_or_after_the_science(
    block, frame, only, before_h, after_h, taken
):
    # Of two nights, so that the sets are apart.
    noon = MIDNIGHT - 0.5
    frames = block(noon + HOUR)
    before = frame("BACKGROUND", noon + HOUR - before_h * HOUR)
    after = frame("BACKGROUND", noon + HOUR + after_h * HOUR)
    use = only([*frames, before, after]).calibration("background:OBJECT")
    assert use.frames == ({"before": before, "after": after}[taken].archive_id,)
    assert use.age_h == pytest.approx(4.0, abs=1e-5)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("hours", "tier", "flags"),
    [
        (12.0, "nominal", ()),
        (12.01, "acceptable", ("BG_AGE",)),
        (72.0, "acceptable", ("BG_AGE",)),
        (72.01, "last_resort", ("BG_AGE",)),
        (720.0, "last_resort", ("BG_AGE",)),
    ],
)
def test_windows_include_their_bounds(block, background, only, sign, hours, tier, flags):
    use = only([*block(), background(sign * hours)]).calibration("background:OBJECT")
    assert (use.tier, use.flags) == (tier, flags)


def test_nothing_beyond_the_last_window_is_taken(block, background, only):
    association = only([*block(), background(-720.1)])
    assert association.calibration("background:OBJECT") is None
    (missing,) = [m for m in association.missing if m.role == "background:OBJECT"]
    assert missing.flag == "BG_MISSING"
    assert "at most 720 h are allowed" in missing.rejected[0].reason


def test_all_files_of_the_night_go_together(block, background, only):
    night = [background(h) for h in (8, 8.1, 8.2)]
    other = background(-20)
    use = only([*block(), *night, other]).calibration("background:OBJECT")
    assert use.frames == tuple(f.archive_id for f in night)


def test_sky_is_preferred_to_background_and_background_to_dark(block, frame, background, only):
    sky = frame("SKY", MIDNIGHT + 2 * HOUR)
    dark = frame("DARK", MIDNIGHT + 1 * HOUR, filter="", nd="", lyot_stop="CLOSED")
    frames = [*block(), sky, background(1.5), dark]
    use = only(frames).calibration("background:OBJECT")
    assert (use.source_class, use.rank) == ("SKY", 1)
    assert [r.reason for r in use.rejected][:2] == [
        "1 BACKGROUND file of night 2016-09-15, 1.5 h away (nominal): SKY is preferred",
        "1 DARK file of night 2016-09-15, 1.0 h away (nominal): SKY is preferred",
    ]
    use = only(frames[:-3] + frames[-2:]).calibration("background:OBJECT")
    assert use.source_class == "BACKGROUND"
    use = only([*block(), dark]).calibration("background:OBJECT")
    assert (use.source_class, use.flags) == ("DARK", ("BG_DARK",))
    use = only(frames, prefer_sky=False).calibration("background:OBJECT")
    assert use.source_class == "BACKGROUND"


def test_sky_of_another_target_is_not_used(block, frame, background, only):
    sky = frame("SKY", MIDNIGHT + 2 * HOUR, obs_id="7", target="HD 2")
    use = only([*block(), sky, background(9)]).calibration("background:OBJECT")
    assert use.source_class == "BACKGROUND"


def test_sky_of_another_block_of_the_target_is_relaxed(block, frame, only):
    sky = frame("SKY", MIDNIGHT + 2 * HOUR, obs_id="7")
    use = only([*block(), sky]).calibration("background:OBJECT")
    assert (use.source_class, use.rank, use.relaxed) == ("SKY", 2, ("block",))


def test_a_dark_of_the_night_beats_a_background_of_last_resort(block, frame, background, only):
    dark = frame("DARK", MIDNIGHT + 8 * HOUR)
    use = only([*block(), dark, background(-200)]).calibration("background:OBJECT")
    assert use.source_class == "DARK"
    use = only([*block(), dark, background(-60)]).calibration("background:OBJECT")
    assert use.source_class == "BACKGROUND"


def test_background_of_another_night_is_a_last_resort(block, background, only):
    use = only([*block(), background(-240)]).calibration("background:OBJECT")
    assert (use.tier, use.age_h, use.flags) == ("last_resort", 240.0, ("BG_AGE",))
    assert "last resort: up to 720 h" in use.why


def test_another_neutral_density_is_refused_and_named(block, background, only):
    association = only([*block(), background(2, nd="ND_1.0")])
    (missing,) = [m for m in association.missing if m.role == "background:OBJECT"]
    assert describe_missing(missing) == (
        "background for OBJECT: IRDIS, Nondest, DIT 32.00 s, DB_H23, ND OPEN"
    )
    assert missing.rejected[0].reason == (
        "1 BACKGROUND file of night 2016-09-15, 2.0 h away: ND_1.0 instead of ND OPEN"
    )


def test_integration_times_are_compared_to_two_decimals(frame, background, only):
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, dit_s=round(1.6507260, 2)) for i in range(2)]
    use = only([*frames, background(2, dit_s=round(1.6531, 2))]).calibration("background:OBJECT")
    assert use is not None
    association = only([*frames, background(2, dit_s=round(1.6561, 2))])
    assert association.calibration("background:OBJECT") is None
    assert "BG_MISSING" in association.flags


def test_flux_has_its_own_background(block, background, only):
    flux = background(3, dit_s=2.0, nd="ND_2.0")
    association = only([*block(), background(3.1), flux])
    assert association.calibration("background:FLUX").frames == (flux.archive_id,)
    shared = {association.calibration(f"background:{r}").product for r in ("OBJECT", "CENTER")}
    assert len(shared) == 1


def test_a_lyot_stop_that_differs_is_relaxed_and_said(block, background, only):
    other, same = background(2, lyot_stop="ST_ALC1"), background(30)
    use = only([*block(), other]).calibration("background:OBJECT")
    assert use.relaxed == ("lyot_stop",)
    assert "Lyot stop ST_ALC1 instead of Lyot stop ST_ALC2 accepted" in use.why
    near = background(5)
    use = only([*block(), other, near]).calibration("background:OBJECT")
    assert (use.frames, use.relaxed) == ((near.archive_id,), ())
    use = only([*block(), other, same]).calibration("background:OBJECT")
    assert use.frames == (other.archive_id,)


def test_a_flat_is_a_whole_template(block, flat, only):
    template = flat(MIDNIGHT + 10 * HOUR)
    use = only([*block(), *template, *flat(MIDNIGHT + 20 * HOUR)]).calibration("flat")
    assert use.frames == tuple(f.archive_id for f in template)
    assert not use.relaxed


def test_a_whole_flat_beats_an_incomplete_one_of_its_window(block, flat, only):
    short, whole = flat(MIDNIGHT + 8 * HOUR, (1, 2, 3)), flat(MIDNIGHT + 11 * HOUR)
    use = only([*block(), *short, *whole]).calibration("flat")
    assert use.frames == tuple(f.archive_id for f in whole)
    use = only([*block(), *short, *flat(MIDNIGHT + 30 * HOUR)]).calibration("flat")
    assert use.frames == tuple(f.archive_id for f in short)
    assert use.relaxed == ("levels",)
    assert "3 integration times of 5" in use.why


def test_one_level_makes_no_flat(block, flat, only):
    association = only([*block(), *flat(MIDNIGHT + 8 * HOUR, (2,))])
    (missing,) = [m for m in association.missing if m.role == "flat"]
    assert "1 integration times, at least 2 are needed" in missing.rejected[0].reason


def test_a_missing_flat_is_named_with_its_keys(block, background, flat, only):
    association = only([*block(), background(2), *flat(MIDNIGHT, filter="BB_H")])
    (missing,) = [m for m in association.missing if m.role == "flat"]
    assert describe_missing(missing) == "flat: IRDIS, DB_H23"
    assert (missing.flag, missing.consequence) == ("FLAT_MISSING", "unit response is assumed")
    assert missing.rejected[0].reason.endswith("BB_H instead of DB_H23")
    assert association.calibration("bad_pixels").why == "bad_pixels from background, without flat"


def test_a_flat_beyond_its_nominal_window_is_flagged(block, flat, only):
    use = only([*block(), *flat(MIDNIGHT - 48 * HOUR)]).calibration("flat")
    assert (use.tier, use.flags) == ("acceptable", ("FLAT_AGE",))


def test_missing_exposures_are_flagged_by_what_follows(block, only):
    frames = [f for f in block() if f.frame_class == "SCIENCE"]
    association = only(frames)
    flags = {m.role: m.flag for m in association.missing if m.kind == "exposure"}
    assert flags == {"CENTER": "CENTER_ASSUMED", "FLUX": "FLUX_MISSING", "SPARTA": "NO_SPARTA"}
    assert {"CENTER_ASSUMED", "FLUX_MISSING", "NO_SPARTA"} <= set(association.flags)
    naked = only([dataclasses.replace(f, coronagraph="N_NS_CLEAR") for f in frames])
    assert "CENTER" not in {m.role for m in naked.missing}


def test_observations_of_a_night_share_their_calibrations(block, background, flat, associate):
    frames = [*block(MIDNIGHT), *block(MIDNIGHT + 2 * HOUR, obs_id="1002", target="HD 9")]
    frames += [background(9), *flat(MIDNIGHT + 10 * HOUR)]
    (first, second), jobs = associate(frames)
    assert {u.role: u.product for u in first.calibrations} == {
        u.role: u.product for u in second.calibrations
    }
    assert sorted(job.kind for job in jobs.values()) == ["background", "bad_pixels", "flat"]


def test_products_are_closed_over_their_upstream(block, background, flat, associate):
    _, jobs = associate([*block(), background(2), *flat(MIDNIGHT + 3 * HOUR)])
    by_kind = {job.kind: job for job in jobs.values()}
    assert by_kind["bad_pixels"].upstream == {
        "flat": by_kind["flat"].product,
        "background": by_kind["background"].product,
    }
    assert by_kind["bad_pixels"].frames == ()
    assert by_kind["flat"].setup["dit_s"] == "1.00,2.00,3.00,4.00,5.00"


def test_a_rejected_observation_asks_for_no_product(frame, associate):
    (association,), jobs = associate([frame("SCIENCE", MIDNIGHT, arm="IFS", mode="YJ")])
    assert not jobs
    assert not association.calibrations


REF = FrameRef("SPHER.2016-09-16T10:00:00.000", "/a/x.fits", 2880, "ab" * 32, "77", dit_s=32.0)
VERSIONS = Versions({"background": "s"}, "c")


def test_the_name_of_a_product_is_the_same_on_every_machine(monkeypatch):
    monkeypatch.setitem(PRODUCT_VERSIONS, "background", 1)
    # First digits of `sha256sum` of the identity as JSON, keys sorted, no blanks.
    assert product_key("background", [REF], {}, VERSIONS) == "ae45334eddf46190"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"path": "/elsewhere/y.fits"}, True),
        ({"size_bytes": 5760}, False),
        ({"datasum": "78"}, False),
        ({"header_digest": "cd" * 32}, False),
        ({"archive_id": "SPHER.2016-09-16T10:00:00.001"}, False),
    ],
)
def test_only_what_a_frame_holds_names_its_product(change, same):
    before = product_key("background", [REF], {}, VERSIONS)
    after = product_key("background", [dataclasses.replace(REF, **change)], {}, VERSIONS)
    assert (before == after) is same


@pytest.mark.parametrize(
    "versions",
    [Versions({"background": "other"}, "c"), Versions({"background": "s"}, "other")],
)
def test_settings_and_constants_name_a_product(versions):
    before = product_key("background", [REF], {}, VERSIONS)
    assert product_key("background", [REF], {}, versions) != before
    assert product_key("background", [REF], {"flat": "calibrations/flat/1"}, VERSIONS) != before


def test_settings_of_another_kind_do_not_name_a_product():
    before = product_key("background", [REF], {}, VERSIONS)
    versions = Versions({"background": "s", "flat": "new"}, "c")
    assert product_key("background", [REF], {}, versions) == before


IFS_ROWS = (
    Need(
        role="wave",
        kind="wave",
        serves="OBJECT",
        sources=(Source("WAVE", (Match("arm"), Match("ifs_setup")), bundle="nearest"),),
        upstream=(
            (
                "dark",
                Need(
                    role="dark",
                    kind="background",
                    serves="OBJECT",
                    sources=(Source("DARK", (Match("arm"), Match("dit", "1.65"))),),
                ),
            ),
        ),
    ),
    Need(
        role="detector_flat_1020",
        kind="detector_flat",
        serves="OBJECT",
        sources=(
            Source(
                "DET_FLAT",
                (Match("arm"), Match("ifs_setup", "CAL_NB1_1_{ifs_band}")),
                bundle="nearest",
                take=2,
            ),
        ),
    ),
)


def test_another_arm_needs_rows_only(frame):
    """Rows as of IFS: a dark of a fixed DIT behind the wavelengths, the two nearest flats."""
    ifs = {"arm": "IFS", "mode": "YH", "filter": "OBS_H", "ifs_setup": "OBS_H"}
    lamp = {**ifs, "ifs_setup": "CAL_NB1_1_YJH"}
    frames = [
        frame("SCIENCE", MIDNIGHT, **ifs, dit_s=64.0),
        frame("WAVE", MIDNIGHT + 8 * HOUR, **ifs, dit_s=1.65),
        frame("DARK", MIDNIGHT + 9 * HOUR, **ifs, dit_s=1.65),
        *(frame("DET_FLAT", MIDNIGHT + h * HOUR, **lamp, dit_s=h) for h in (8, 9, 10)),
        frame("DET_FLAT", MIDNIGHT + HOUR, **{**lamp, "ifs_setup": "CAL_NB1_1_YJ"}),
    ]
    group = dataclasses.replace(group_frames(frames).groups[0], rejected_because=())
    associator = Associator(
        FrameIndex(frames),
        AssociationSettings(),
        Versions(dict.fromkeys(("wave", "background", "detector_flat"), ""), ""),
        requirements={("IFS", "YH"): IFS_ROWS},
    )
    association = associator.associate(group)
    wave = associator.jobs[association.calibration("wave").product]
    assert associator.jobs[wave.upstream["dark"]].frames[0].frame_class == "DARK"
    flats = association.calibration("detector_flat_1020").frames
    assert flats == (frames[3].archive_id, frames[4].archive_id)


def test_a_background_between_two_integration_times_is_interpolated(block, frame, associate):
    around = [
        frame("BACKGROUND", MIDNIGHT + (8 + i / 10) * HOUR, dit_s=dit)
        for i, dit in enumerate((4.0, 16.0, 64.0, 64.0, 128.0))
    ]
    (association,), jobs = associate([*block(), *around])
    use = association.calibration("background:OBJECT")
    assert use.frames == tuple(f.archive_id for f in around[1:4])
    assert (use.relaxed, use.flags) == (("dit",), ("BG_INTERPOLATED",))
    assert "interpolated between DIT 16.00 s and 64.00 s" in use.why
    assert jobs[use.product].interpolate_dit_s == 32.0
    # The same frames between which another time is interpolated are another product.
    longer = [
        dataclasses.replace(f, dit_s=20.0) if f.frame_class == "SCIENCE" else f for f in block()
    ]
    (other,), _ = associate([*longer, *around])
    assert other.calibration("background:OBJECT").product != use.product


def test_an_equal_integration_time_beats_a_bracket(block, frame, background, only):
    around = [frame("BACKGROUND", MIDNIGHT + 2 * HOUR, dit_s=dit) for dit in (16.0, 64.0)]
    use = only([*block(), *around, background(9)]).calibration("background:OBJECT")
    assert use.relaxed == ()
    dark = frame("DARK", MIDNIGHT + 9 * HOUR)
    use = only([*block(), *around, dark]).calibration("background:OBJECT")
    assert use.source_class == "DARK"


@pytest.mark.parametrize("dits", [(16.0, 16.0), (64.0, 128.0), (0.84, 64.0)])
def test_what_does_not_bracket_closely_is_missing(block, frame, only, dits):
    frames = [frame("BACKGROUND", MIDNIGHT + HOUR * (2 + i), dit_s=d) for i, d in enumerate(dits)]
    association = only([*block(), *frames])
    assert association.calibration("background:OBJECT") is None
    assert "BG_MISSING" in association.flags


def test_integration_times_of_different_nights_do_not_bracket(block, frame, only):
    frames = [frame("BACKGROUND", MIDNIGHT + 9 * HOUR, dit_s=16.0)]
    frames += [frame("BACKGROUND", MIDNIGHT + 1.5, dit_s=64.0)]
    assert only([*block(), *frames]).calibration("background:OBJECT") is None


def test_each_integration_time_has_its_background(block, frame, background, only):
    short = [frame("SCIENCE", MIDNIGHT + HOUR + i / 100, dit_s=16.0) for i in range(4)]
    association = only([*block(), *short, background(8), background(9, dit_s=16.0)])
    assert association.calibration("background:OBJECT").frames
    use = association.calibration("background:OBJECT@16.00")
    assert "DIT 16.00 s" in use.why
    lacking = only([*block(), *short, background(8)])
    assert [m.role for m in lacking.missing if "@" in m.role] == ["background:OBJECT@16.00"]


def test_an_ifs_observation_has_calibrations_of_its_calibrations(frame, associate):
    ifs = {"arm": "IFS", "mode": "YH", "filter": "OBS_H", "ifs_setup": "OBS_H", "lyot_stop": ""}
    lamps = ("CAL_BB_2", "CAL_NB1_1", "CAL_NB2_1", "CAL_NB3_1", "CAL_NB4_2")
    hours = iter(range(100))

    def calibration(frame_class, **columns):
        mjd = MIDNIGHT + (8 + next(hours) / 60) * HOUR
        return frame(frame_class, mjd, **{**ifs, "dit_s": 1.65, **columns})

    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **ifs) for i in range(3)]
    frames += [calibration(kind) for kind in ("SPECPOS", "WAVE", "IFU_FLAT", "DARK")]
    frames += [calibration("DARK", dit_s=dit) for dit in (32.0, 3.0, 6.0)]
    frames += [
        calibration("DET_FLAT", ifs_setup=f"{lamp}_YJH", dit_s=dit)
        for lamp in lamps
        for dit in (3.0, 6.0, 6.0)
    ]
    (association,), jobs = associate(frames)
    assert association.rejected_because == ("IFS YH is not supported yet",)
    assert jobs == {}
    roles = {use.role for use in association.calibrations}
    assert roles >= {"background:OBJECT", "dark", "specpos", "wave", "ifu_flat", "bad_pixels"}
    assert roles >= {f"det_flat:{lamp}" for lamp in ("white", "1020", "1230", "1300", "1550")}
    assert roles >= {
        "background:wave",
        "background:det_flat:white",
        "background:det_flat:white@3.00",
    }
    assert [m.role for m in association.missing if m.kind != "exposure"] == []
    white = association.calibration("det_flat:white")
    assert len(white.frames) == 2
    without = [f for f in frames if not (f.frame_class == "DARK" and f.dit_s == 1.65)]
    (association,), _ = associate(without)
    lacking = {m.role: m.keys for m in association.missing}
    assert lacking["dark"] == {"arm": "IFS", "readmode": "Nondest", "dit": "1.65"}
    assert lacking["background:wave"]["dit"] == "1.65"
    assert "det_flat:1550" not in lacking


def test_zimpol_takes_the_nearest_broad_band(frame, associate):
    zimpol = {"arm": "ZIMPOL", "mode": "POLARIMETRY", "readmode": "FastPolarimetry", "nd": ""}
    frames = [frame("SCIENCE_POL", MIDNIGHT + i / 100, **zimpol, filter="Cnt820") for i in range(3)]
    for hour, (kind, band) in enumerate(
        [("FLAT", "V"), ("FLAT", "N_I"), ("MODEM", "N_I"), ("BIAS", ""), ("DARK", "")]
    ):
        frames.append(frame(kind, MIDNIGHT + (2 + hour) * HOUR, **zimpol, filter=band, dit_s=8.0))
    (association,), _ = associate(frames)
    uses = {use.role: use for use in association.calibrations}
    assert uses["flat"].frames == (frames[4].archive_id,)
    assert uses["flat"].relaxed == ("filter",)
    assert uses["dark"].relaxed == ("dit",)
    assert {"bias", "modem"} <= set(uses)


@pytest.mark.parametrize(
    ("mode", "frame_class", "filters"),
    [
        ("DPI", "SCIENCE_POL", ("DP_0_BB_H", "BB_H")),
        ("LSS", "SCIENCE_LSS", ("S_MR", "W_YJH")),
        ("LSS", "SCIENCE_LSS", ("S_LR", "W_YJHKs")),
    ],
)
def test_polarimetry_and_spectra_are_flattened_through_other_filters(
    frame, flat, associate, mode, frame_class, filters
):
    science = {"mode": mode, "filter": filters[0]}
    frames = [frame(frame_class, MIDNIGHT + i / 100, **science) for i in range(3)]
    frames += flat(MIDNIGHT + 9 * HOUR, filter=filters[1])
    frames += [frame("WAVE", MIDNIGHT + 8 * HOUR, **science, dit_s=1.0)]
    (association,), _ = associate(frames)
    assert len(association.calibration("flat").frames) == 5
    if mode == "LSS":
        assert association.calibration("wave") is not None
        assert "background:wave" in {m.role for m in association.missing}
