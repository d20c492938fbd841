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
