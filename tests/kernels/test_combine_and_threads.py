"""Combination of frames, and maps over threads."""

import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.parallel import blocks, map_ordered, worker_threads


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


def test_threads_change_nothing(frames, valid):
    results = []
    for threads in (1, 2):
        with worker_threads(threads):
            results.append(combine_frames(frames, "median", valid=valid))
    np.testing.assert_array_equal(*results)


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
    with pytest.raises(KernelInputError, match="at least 1"), worker_threads(0):
        pass
