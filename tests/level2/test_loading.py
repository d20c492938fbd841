"""Frames read block by block, from memory and from disk."""

import numpy as np
import pytest
import synthetic_sequence

from spheredc_hpc.kernels import buffers
from spheredc_hpc.level2.loading import frame_weights, load_frames
from spheredc_hpc.level2.zones import annulus, select_frames, window_of
from spheredc_hpc.store.cube import open_cube, write_cube

SIDE, TIMES = 140, 37


@pytest.fixture(scope="module")
def cube():
    """Noise with gaps: single pixels, a corner that is rarely seen, a frame that is empty."""
    rng = np.random.default_rng(5)
    science = rng.standard_normal((2, TIMES, SIDE, SIDE)).astype(np.float32)
    made = synthetic_sequence.level1_cube(
        science, np.ones((2, 1, 21, 21), np.float32), np.linspace(0, 40, TIMES)
    )
    weight = made.weight
    weight *= rng.uniform(1, 2, (2, TIMES, 1, 1)).astype(np.float32)
    science[:, 3, 60:63, 70] = np.nan
    weight[0, 20:24, 90, 80:84] = 0
    weight[:, 5:, 40:50, 40:50] = 0
    science[:, 11] = np.nan
    return made


@pytest.fixture(scope="module")
def stored(cube, tmp_path_factory):
    path = tmp_path_factory.mktemp("cube") / "cube.zarr"
    write_cube(cube, path)
    return open_cube(path)


def plain(cube, channel, window, keep):
    """Whole cube at once."""
    science = cube.science[channel, :, window.rows, window.columns][keep]
    weight = cube.weight[channel, :, window.rows, window.columns][keep]
    valid = np.isfinite(science) & (weight > 0)
    common = valid.mean(axis=0) >= 0.8
    middle = np.nanmedian(np.where(valid | ~common, science, np.nan), axis=0)
    return np.where(common, np.where(valid, science, middle), 0), common


def test_gaps_are_closed_in_time_and_rarely_seen_pixels_blanked(cube):
    window = window_of((SIDE, SIDE), 50)
    area = annulus(window.side, 5, 50)
    keep = select_frames(cube, window, area).keep
    np.testing.assert_array_equal(np.flatnonzero(~keep), [11])
    for channel in (0, 1):
        frames, common = load_frames(cube, channel, window, keep)
        expected, expected_common = plain(cube, channel, window, keep)
        np.testing.assert_array_equal(common, expected_common)
        np.testing.assert_array_equal(frames, expected)


def test_frames_on_disk_and_in_scratch_files_are_the_same(cube, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(buffers, "LEAST_BYTES", 1)
    window = window_of((SIDE, SIDE), 50)
    area = annulus(window.side, 5, 50)
    selection = select_frames(stored, window, area)
    assert selection.reasons == select_frames(cube, window, area).reasons
    with buffers.scratch_arrays(tmp_path):
        frames, common = load_frames(stored, 0, window, selection.keep)
    assert isinstance(frames, np.memmap)
    in_memory, same = load_frames(cube, 0, window, selection.keep)
    np.testing.assert_array_equal(frames, in_memory)
    np.testing.assert_array_equal(common, same)


def test_frames_weigh_as_the_median_of_their_zone(cube, stored):
    window = window_of((SIDE, SIDE), 50)
    zone = annulus(window.side, 5, 50)
    keep = np.ones(TIMES, bool)
    keep[[2, 11]] = False
    found = frame_weights(stored, 0, window, keep, zone)
    # All weights of a frame are the same number or zero.
    np.testing.assert_array_equal(found, cube.weight[0, keep].max(axis=(1, 2)))
