"""Combination of frames, and maps over threads."""

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import blocks, map_ordered, worker_threads
from spheredc_hpc.kernels.sorting import LANES, comparators, sort_lanes


@pytest.fixture
def frames():
    return np.random.default_rng(1).standard_normal((9, 70, 20)).astype(np.float32)


@pytest.fixture
def valid():
    return np.random.default_rng(2).random((9, 70, 20)) > 0.4


def test_mean_and_median_are_those_of_numpy(frames):
    np.testing.assert_allclose(combine_frames(frames), frames.mean(0), atol=1e-7)
    np.testing.assert_array_equal(combine_frames(frames, "median"), np.median(frames, 0))


@pytest.mark.parametrize(("name", "plain"), [("mean", np.nanmean), ("median", np.nanmedian)])
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice")
def test_invalid_pixels_are_left_out(frames, valid, name, plain):
    valid[:, 3, 4] = False
    holes = np.where(valid, frames, np.nan)
    result = combine_frames(holes, name, valid=valid)
    np.testing.assert_allclose(result, plain(holes, axis=0), atol=1e-6)
    assert np.isnan(result[3, 4])


def test_weights_are_inverse_variances(frames):
    weights = np.arange(1.0, 10.0)[:, None, None]
    expected = np.average(frames, axis=0, weights=np.arange(1.0, 10.0))
    np.testing.assert_allclose(
        combine_frames(frames, "weighted", weights=weights), expected, atol=1e-6
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16, 33, 61, 120, 129, 502])
def test_medians_are_exactly_those_of_numpy(count):
    # 161 pixels leave a part of the last tile empty.
    frames = np.random.default_rng(count).standard_normal((count, 7, 23)).astype(np.float32)
    frames[:, 3, 4] = 1.5
    np.testing.assert_array_equal(combine_frames(frames, "median"), np.median(frames, axis=0))


@pytest.mark.parametrize("count", [1, 2, 5, 40, 120])
@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_masked_medians_are_exactly_those_of_numpy(count):
    rng = np.random.default_rng(count)
    frames = rng.standard_normal((count, 7, 23)).astype(np.float32)
    valid = rng.random(frames.shape) > np.linspace(0, 1.05, 23)
    frames[~valid] = np.nan
    np.testing.assert_array_equal(
        combine_frames(frames, "median", valid=valid), np.nanmedian(frames, axis=0)
    )


@pytest.mark.parametrize("trim", [0.0, 0.1, 0.25, 0.3, 0.49])
@pytest.mark.parametrize("count", [1, 4, 30, 120])
def test_trimmed_means_are_those_of_scipy(count, trim):
    frames = np.random.default_rng(count).standard_normal((count, 5, 9)).astype(np.float32)
    found = combine_frames(frames, "trimmed", trim=trim)
    expected = stats.trim_mean(frames.astype(float), trim, axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_trimmed_means_cut_what_is_valid():
    rng = np.random.default_rng(8)
    frames = rng.standard_normal((40, 6, 11)).astype(np.float32)
    valid = rng.random(frames.shape) > 0.3
    found = combine_frames(frames, "trimmed", valid=valid, trim=0.2)
    for y, x in np.ndindex(found.shape):
        expected = stats.trim_mean(frames[valid[:, y, x], y, x].astype(float), 0.2)
        assert found[y, x] == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_weights_of_pixels_leave_out_what_is_not_valid(frames, valid):
    weights = np.random.default_rng(3).random(frames.shape).astype(np.float32)
    weights[:, 5, 6] = 0
    expected = np.ma.average(
        np.ma.array(frames, mask=~valid), axis=0, weights=weights.astype(float)
    ).filled(np.nan)
    found = combine_frames(frames, "weighted", valid=valid, weights=weights)
    assert np.isnan(found[5, 6])
    expected[5, 6] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_frames_that_are_not_contiguous_give_the_same(frames):
    turned = np.asfortranarray(frames)
    for name in ("mean", "median"):
        np.testing.assert_array_equal(combine_frames(turned, name), combine_frames(frames, name))


@pytest.mark.parametrize("name", ["mean", "median", "weighted", "trimmed"])
@pytest.mark.parametrize("masked", [False, True])
def test_strict_array_library_gives_the_same(frames, valid, name, masked):
    weights = np.arange(1.0, 10.0)[:, None, None]
    valid[:, 3, 4] = False
    strict = array_api_strict.asarray
    found = combine_frames(
        strict(frames),
        name,
        valid=strict(valid) if masked else None,
        weights=strict(weights),
        trim=0.2,
    )
    expected = combine_frames(
        frames, name, valid=valid if masked else None, weights=weights, trim=0.2
    )
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["mean", "median", "weighted", "trimmed"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_some_rows_are_those_of_the_whole(frames, valid, name, masked, library):
    weights = np.arange(1.0, 10.0)[:, None, None]
    rows = slice(2, 7)
    part = combine_frames(
        library(frames),
        name,
        valid=library(valid[:, rows]) if masked else None,
        weights=library(weights),
        rows=rows,
    )
    whole = combine_frames(frames, name, valid=valid if masked else None, weights=weights)
    np.testing.assert_allclose(np.asarray(part), whole[rows], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["mean", "median", "weighted", "trimmed"])
def test_threads_change_no_bit(frames, valid, name):
    frames = np.concatenate([frames] * 20, axis=2)
    valid = np.concatenate([valid] * 20, axis=2)
    weights = np.arange(1.0, 10.0)[:, None, None]
    results = []
    for threads in (1, 2):
        with worker_threads(threads):
            results.append(combine_frames(frames, name, valid=valid, weights=weights))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("n", range(1, 12))
def test_network_sorts_every_pattern_of_zeros_and_ones(n):
    # The zero-one principle: a network that sorts these sorts everything (Knuth, TAOCP 5.3.4).
    steps = comparators(n, 0, n - 1)
    patterns = (np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1
    patterns = np.pad(patterns, ((0, 0), (0, -(2**n) % LANES))).astype(np.float32)
    for first in range(0, patterns.shape[1], LANES):
        tile = np.ascontiguousarray(patterns[:, first : first + LANES])
        sort_lanes(tile, steps)
        assert np.all(np.diff(tile, axis=0) >= 0)


def test_part_of_a_network_puts_the_wanted_ranks_in_place():
    values = np.random.default_rng(4).standard_normal((75, LANES)).astype(np.float32)
    tile = values.copy()
    steps = comparators(75, 20, 22)
    assert len(steps) < len(comparators(75, 0, 74))
    sort_lanes(tile, steps)
    np.testing.assert_array_equal(tile[20:23], np.sort(values, axis=0)[20:23])


def test_results_keep_the_order_of_the_items():
    with worker_threads(3):
        assert map_ordered(lambda i: i * i, range(20)) == [i * i for i in range(20)]


def test_maps_inside_maps_run_serially():
    with worker_threads(2):
        rows = map_ordered(lambda i: map_ordered(lambda j: i + j, range(3)), range(3))
    assert rows == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_blocks_cover_the_range_once():
    assert [(b.start, b.stop) for b in blocks(10, 4)] == [(0, 4), (4, 8), (8, 10)]


def test_wrong_arguments_are_refused(frames, valid):
    with pytest.raises(KernelInputError, match="needs weights"):
        combine_frames(frames, "weighted")
    with pytest.raises(KernelInputError, match="does not fit"):
        combine_frames(frames, valid=valid[:3])
    with pytest.raises(KernelInputError, match="do not fit"):
        combine_frames(frames, "weighted", weights=np.ones(9))
    with pytest.raises(KernelInputError, match="at least 0"):
        combine_frames(frames, "trimmed", trim=0.5)
    with pytest.raises(KernelInputError, match="unknown combination"):
        combine_frames(frames, "mode")
    with pytest.raises(KernelInputError, match="at least 1"), worker_threads(0):
        pass


@pytest.mark.parametrize("dtype", [int, bool, np.complex64, np.float16, ">f4"])
@pytest.mark.parametrize("name", ["mean", "median"])
def test_frames_of_other_types_are_refused_by_name(frames, name, dtype):
    given = frames.astype(dtype)
    with pytest.raises(KernelInputError, match=f"frames are {given.dtype}, float32 or float64"):
        combine_frames(given, name)


@pytest.mark.parametrize("rows", [slice(0, 10, 2), slice(10, 0, -1), slice(9, 3), slice(-3, 5)])
@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_rows_that_are_no_range_are_refused(frames, rows, library):
    with pytest.raises(KernelInputError, match=r"rows=slice\(.* of 70, a rising slice"):
        combine_frames(library(frames), rows=rows)


@pytest.mark.parametrize("name", ["mean", "median", "weighted", "trimmed"])
@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_no_rows_give_an_empty_image(frames, valid, name, library):
    weights = np.ones((9, 1, 1))
    arrays = {"valid": library(valid[:, :0]), "weights": library(weights)}
    found = combine_frames(library(frames), name, rows=slice(7, 7), **arrays)
    assert np.asarray(found).dtype == np.float32
    assert found.shape == (0, 20)
    # Rows beyond the image do not exist, nor do columns here.
    assert combine_frames(library(frames), rows=slice(80, 90)).shape == (0, 20)
    assert combine_frames(library(frames[..., :0]), "median").shape == (70, 0)
