"""Rotation, warp and combination give on a graphics card what they give on the CPU."""

import numpy as np
import pytest
from real_card import card_or_skip

from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.rotate import rotate_frames
from spheredc_hpc.kernels.warp import warp_frames

pytestmark = pytest.mark.gpu
ANGLES = [0.0, 12.0, -44.0, 90.0, 133.3, -170.0, 45.0]


@pytest.fixture
def cupy():
    card_or_skip()
    return pytest.importorskip("cupy")


@pytest.fixture
def frames():
    return np.random.default_rng(1).standard_normal((7, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("method", ["fft", "interpolated"])
def test_rotation_agrees(cupy, frames, method):
    found = rotate_frames(cupy.asarray(frames), ANGLES, method)
    assert isinstance(found, cupy.ndarray)
    # float32 with values of a few units.
    np.testing.assert_allclose(
        cupy.asnumpy(found), rotate_frames(frames, ANGLES, method), atol=1e-5
    )


def test_warp_agrees(cupy, frames):
    scales = [1.0, 0.8, 1.3, 1.0, 1.1, 0.9, 1.5]
    found = warp_frames(cupy.asarray(frames), ANGLES, scales, 71)
    np.testing.assert_allclose(
        cupy.asnumpy(found), warp_frames(frames, ANGLES, scales, 71), atol=1e-5
    )


@pytest.mark.parametrize("name", ["mean", "median", "weighted", "trimmed"])
def test_combination_agrees(cupy, frames, name):
    valid = np.random.default_rng(2).random(frames.shape) > 0.3
    weights = np.arange(1.0, 8.0)[:, None, None]
    found = combine_frames(
        cupy.asarray(frames), name, valid=cupy.asarray(valid), weights=cupy.asarray(weights)
    )
    expected = combine_frames(frames, name, valid=valid, weights=weights)
    np.testing.assert_allclose(cupy.asnumpy(found), expected, rtol=1e-6, atol=1e-6)
