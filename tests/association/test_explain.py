from spheredc_hpc.association.explain import explain_json, explain_text
from spheredc_hpc.model.association import Association
from spheredc_hpc.store.codec import from_plain, to_plain

MIDNIGHT = 57647.0
HOUR = 1 / 24


def test_the_text_names_picks_refusals_and_what_is_missing(block, frame, flat, associate):
    frames = [
        *(f for f in block() if f.frame_class != "FLUX"),
        frame("BACKGROUND", MIDNIGHT + 9 * HOUR),
        frame("BACKGROUND", MIDNIGHT + 9.1 * HOUR, nd="ND_2.0"),
        *flat(MIDNIGHT + 100 * HOUR),
    ]
    (association,), _ = associate(frames)
    text = explain_text(association)
    for words in (
        "OBJECT: 8 files, 64 planes",
        "background for OBJECT: 1 BACKGROUND file of night 2016-09-15; 9.0 h from the middle",
        "matching IRDIS, Nondest, DIT 32.00 s, DB_H23, ND OPEN",
        "not: 1 BACKGROUND file of night 2016-09-15, 9.1 h away: ND_2.0 instead of ND OPEN",
        "(acceptable: up to 168 h)",
        "[FLAT_AGE]",
        "MISSING FLUX exposure: night 2016-09-15",
        "contrast is not calibrated [FLUX_MISSING]",
    ):
        assert words in text, text


def test_the_record_survives_its_own_explanation(block, associate):
    (association,), _ = associate(block())
    values = explain_json(association)
    assert values["missing_text"][-1] == "bad pixels: IRDIS, DB_H23"
    assert from_plain(Association, to_plain(association), "record") == association


def test_frames_of_another_integration_time_are_not_called_farther_in_time(block, frame, associate):
    dark = frame("DARK", MIDNIGHT + 2 * HOUR, dit_s=8.0)
    (association,), _ = associate([*block(), frame("BACKGROUND", MIDNIGHT + 8 * HOUR), dark])
    use = association.calibration("background:OBJECT")
    assert use.source_class == "BACKGROUND"
    (refused,) = [item for item in use.rejected if dark.archive_id in item.archive_ids]
    assert refused.reason.endswith("2.0 h away: DIT 8.00 s instead of DIT 32.00 s")


def test_ages_of_calibrations_of_calibrations_count_from_these(frame, associate):
    ifs = {"arm": "IFS", "mode": "YJ", "filter": "OBS_YJ", "ifs_setup": "OBS_YJ"}
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **ifs) for i in range(3)]
    frames += [frame("WAVE", MIDNIGHT + 10 * HOUR, **ifs, dit_s=1.65)]
    frames += [frame("DARK", MIDNIGHT + 11 * HOUR, **ifs, dit_s=1.65)]
    (association,), _ = associate(frames)
    assert (
        "1.0 h from the WAVE file that it serves" in association.calibration("background:wave").why
    )
    assert "h from the middle of the science" in association.calibration("wave").why
