"""Sums of frames that come a few at a time."""

import array_api_strict
import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.accumulate import add_frames
from spheredc_hpc.kernels.parallel import worker_threads


@pytest.fixture
def frames():
    return np.random.default_rng(0).standard_normal((5, 70, 33)).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_sum_is_that_of_all_frames_at_once(frames, masked):
    weights = np.linspace(1, 2, 5)
    valid = np.random.default_rng(1).random(frames.shape) < 0.7 if masked else None
    total = np.zeros(frames.shape[1:])
    for part in (slice(0, 3), slice(3, 5)):
        total = add_frames(total, frames[part], weights[part], valid[part] if masked else None)
    wide = frames.astype(np.float64) * (valid if masked else 1)
    np.testing.assert_allclose(total, np.tensordot(weights, wide, 1), atol=1e-13)


def test_what_is_masked_may_be_anything(frames):
    valid = np.ones(frames.shape, bool)
    valid[2, 5, 6] = False
    broken = frames.copy()
    broken[2, 5, 6] = np.nan
    sums = [add_frames(np.zeros(frames.shape[1:]), f, np.ones(5), valid) for f in (frames, broken)]
    np.testing.assert_array_equal(*sums)


def test_threads_do_not_change_a_bit(frames):
    sums = []
    for threads in (1, 3):
        with worker_threads(threads):
            sums.append(add_frames(np.zeros(frames.shape[1:]), frames, np.linspace(0.1, 1, 5)))
    np.testing.assert_array_equal(*sums)


@pytest.mark.parametrize("masked", [False, True])
def test_strict_array_library_gives_the_same_sum(frames, masked):
    xp = array_api_strict
    valid = frames > -0.5 if masked else None
    found = add_frames(
        xp.zeros(frames.shape[1:], dtype=xp.float64),
        xp.asarray(frames),
        xp.ones(5, dtype=xp.float64),
        xp.asarray(valid) if masked else None,
    )
    expected = add_frames(np.zeros(frames.shape[1:]), frames, np.ones(5), valid)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-12)


def test_shapes_must_fit(frames):
    with pytest.raises(KernelInputError, match="weights"):
        add_frames(np.zeros(frames.shape[1:]), frames, np.ones(4))
    with pytest.raises(KernelInputError, match="mask"):
        add_frames(np.zeros(frames.shape[1:]), frames, np.ones(5), np.ones((5, 70, 32), bool))
