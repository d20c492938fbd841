import dataclasses

from spheredc_hpc.association.completeness import completeness, night_gaps

MIDNIGHT = 57647.0
HOUR = 1 / 24


def whole(block, frame, flat):
    return [
        *block(),
        frame("BACKGROUND", MIDNIGHT + 8 * HOUR),
        frame("BACKGROUND", MIDNIGHT + 8 * HOUR + 0.01, dit_s=2.0, nd="ND_2.0"),
        *flat(MIDNIGHT + 10 * HOUR),
    ]


def test_an_observation_with_fresh_calibrations_is_complete(block, frame, flat, associate):
    (association,), _ = associate(whole(block, frame, flat))
    found = completeness(association)
    assert (found.status, found.gaps) == ("complete", ())
    assert night_gaps([found]) == ()


def test_what_is_missing_is_named_for_the_night_with_its_keys(block, frame, flat, associate):
    frames = [f for f in whole(block, frame, flat) if f.frame_class != "FLAT"]
    frames = [f for f in frames if f.dit_s != 2.0 or f.frame_class != "BACKGROUND"]
    (association,), _ = associate(frames)
    found = completeness(association)
    assert found.status == "incomplete"
    flat_gap, background = night_gaps([found])[::-1]
    assert flat_gap.needed == "flat: IRDIS, DB_H23"
    assert background.needed == ("background for FLUX: IRDIS, Nondest, DIT 2.00 s, DB_H23, ND_2.0")
    assert flat_gap.observations == (association.observation.id,)
    assert flat_gap.night == "2016-09-15"


def test_two_observations_of_a_night_share_a_gap(block, frame, associate):
    other = [
        dataclasses.replace(f, archive_id=f"{f.archive_id}x", path=f"{f.path}x", obs_id="1002")
        for f in block()
    ]
    associations, _ = associate([*block(), *other, frame("BACKGROUND", MIDNIGHT + 8 * HOUR)])
    gaps = [gap for gap in night_gaps(map(completeness, associations)) if "flat" in gap.needed]
    assert [len(gap.observations) for gap in gaps] == [2]


def test_old_and_replaced_calibrations_degrade(block, frame, flat, associate):
    frames = [f for f in whole(block, frame, flat) if f.frame_class not in ("FLAT", "BACKGROUND")]
    frames += flat(MIDNIGHT + 2)
    frames += [frame("DARK", MIDNIGHT + 8 * HOUR), frame("DARK", MIDNIGHT + 9 * HOUR, dit_s=2.0)]
    (association,), _ = associate(frames)
    found = completeness(association)
    assert found.status == "degraded"
    states = {gap.role: gap.state for gap in found.gaps}
    assert states["flat"] == "stale"
    assert states["background:OBJECT"] == "replaced"
    assert [gap.state for gap in night_gaps([found])] == sorted(
        states.values(), key=("missing", "stale", "replaced").index
    )


def test_exposures_that_are_missing_are_no_gap_of_the_night(block, frame, flat, associate):
    frames = [f for f in whole(block, frame, flat) if f.frame_class != "FLUX"]
    (association,), _ = associate(frames)
    found = completeness(association)
    assert [gap.role for gap in found.gaps] == ["exposure FLUX"]
    assert night_gaps([found]) == ()


def test_stale_and_replaced_calibrations_are_gathered_by_setup(block, frame, flat, associate):
    later = {"obs_id": "1002", "target": "HD 9", "ra_deg": 40.0}
    redder = {"obs_id": "1003", "target": "HD 8", "ra_deg": 80.0, "filter": "DB_K12"}
    frames = [*block(), *block(MIDNIGHT + 2 * HOUR, **later), *block(MIDNIGHT + 4 * HOUR, **redder)]
    for minute, band in enumerate(("DB_H23", "DB_K12")):
        frames += [
            frame("BACKGROUND", MIDNIGHT + 20 * HOUR + minute / 1440, filter=band),
            frame("DARK", MIDNIGHT + 8 * HOUR + minute / 1440, filter=band, dit_s=2.0),
            *flat(MIDNIGHT + (9 + minute) * HOUR, filter=band),
        ]
    associations, _ = associate(frames)
    gaps = night_gaps(map(completeness, associations))
    rows = {gap.needed: (gap.state, len(gap.observations)) for gap in gaps}
    assert len(gaps) == len(rows) == 6
    setup = "IRDIS, Nondest, DIT 32.00 s, DB_H23, ND OPEN"
    assert rows[f"background for OBJECT: {setup}, within its nominal window"] == ("stale", 2)
    setup = "IRDIS, Nondest, DIT 2.00 s, DB_K12, ND_2.0"
    assert rows[f"background for FLUX: {setup}"] == ("replaced", 1)


def test_what_was_replaced_names_the_key_in_which_it_differs(block, frame, flat, associate):
    frames = [
        dataclasses.replace(f, lyot_stop="OPEN") if f.frame_class == "BACKGROUND" else f
        for f in whole(block, frame, flat)
    ]
    (association,), _ = associate(frames)
    gaps = {gap.role: gap for gap in completeness(association).gaps}
    assert gaps["background:FLUX"].needed.endswith("DB_H23, ND_2.0, Lyot stop ST_ALC2")
    assert gaps["background:FLUX"].consequence == "BACKGROUND serves (lyot_stop)"
