"""Azimuthal profiles."""

import array_api_strict
import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.profile import subtract_profile


def radii(shape):
    y, x = np.indices(shape)
    return np.hypot(y - shape[0] // 2, x - shape[1] // 2)


@pytest.fixture
def frames():
    return np.random.default_rng(1).standard_normal((3, 26, 31))


def plain_profile(frame, width, summary, valid):
    """Ring by ring, joined by a library's cubic with the slopes of parabolas."""
    radius = radii(frame.shape)
    number = np.floor(radius / width + 0.5)
    rings = [valid & (number == k) for k in range(int(number.max()) + 1)]
    rings = [ring for ring in rings if ring.any()]
    knots = np.array([summary(radius[ring]) for ring in rings])
    values = np.array([summary(frame[ring]) for ring in rings])
    slopes = np.gradient(values, knots)
    if knots[0] == 0:
        slopes[0] = 0
    curve = CubicHermiteSpline(knots, values, slopes)
    return frame - curve(np.clip(radius, knots[0], knots[-1]))


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("width", [0.8, 1.0, 3.7])
@pytest.mark.parametrize("hole", [0, 6])
def test_profile_is_that_of_the_method_written_out(frames, statistic, width, hole):
    valid = radii(frames.shape[1:]) >= hole
    valid[:, 3] = False
    summary = np.mean if statistic == "mean" else np.median
    expected = np.stack([plain_profile(frame, width, summary, valid) for frame in frames])
    found = subtract_profile(frames, width, statistic, valid)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_round_halo_vanishes(statistic):
    # A core of 8 px FWHM bends by 4 % of its peak a pixel squared: a cubic through rings one
    # pixel apart is right to a tenth of that, and to much less in the wings.
    radius = radii((101, 101))
    halo = (1 + 0.41 * (radius / 4.0) ** 2) ** -2.5
    left = subtract_profile(halo[None], 1.0, statistic)[0]
    assert np.abs(left).max() < 4e-3
    assert np.abs(left[radius > 12]).max() < 1e-4


def test_mean_profile_takes_the_whole_mean_of_round_frames_of_any_size():
    for shape in ((5, 5), (6, 6), (9, 12), (1, 1), (2, 2)):
        flat = np.full((1, *shape), 3.5)
        np.testing.assert_allclose(subtract_profile(flat, 1.0), 0, atol=1e-14)


def test_companion_loses_its_share_of_the_ring_only():
    frame = np.zeros((1, 81, 81))
    frame[0, 40, 65] = 1.0
    on_ring = (np.floor(radii((81, 81)) + 0.5) == 25).sum()
    mean = subtract_profile(frame, 1.0, "mean")
    assert mean[0, 40, 65] == pytest.approx(1 - 1 / on_ring, abs=0.2 / on_ring)
    np.testing.assert_array_equal(subtract_profile(frame, 1.0, "median"), frame)


def test_mean_profile_is_linear_in_the_frame(frames):
    one, two, both = (
        subtract_profile(f[None], 2.0)[0] for f in (frames[0], frames[1], frames[:2].sum(0))
    )
    np.testing.assert_allclose(both, one + two, atol=1e-12)


def test_pixels_that_do_not_count_leave_the_profile_alone(frames):
    valid = np.ones(frames.shape[1:], bool)
    valid[5:9, :] = False
    spoilt = frames.copy()
    spoilt[:, ~valid] = 1e6
    found = subtract_profile(spoilt, 1.0, "mean", valid)
    expected = subtract_profile(frames, 1.0, "mean", valid)
    np.testing.assert_array_equal(found[:, valid], expected[:, valid])


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_strict_array_library_gives_the_same_profile(frames, statistic):
    valid = radii(frames.shape[1:]) > 2
    strict = subtract_profile(
        array_api_strict.asarray(frames), 1.3, statistic, array_api_strict.asarray(valid)
    )
    expected = subtract_profile(frames, 1.3, statistic, valid)
    np.testing.assert_allclose(np.asarray(strict), expected, atol=1e-12)


def test_profile_does_not_depend_on_threads_or_layout(frames):
    single = frames.astype(np.float32)
    expected = subtract_profile(single, 1.0, "median")
    assert expected.dtype == np.float32
    with worker_threads(2):
        np.testing.assert_array_equal(subtract_profile(single, 1.0, "median"), expected)
    turned = np.asfortranarray(single)
    np.testing.assert_array_equal(subtract_profile(turned, 1.0, "median"), expected)


def test_wrong_arguments_of_a_profile_are_refused(frames):
    with pytest.raises(KernelInputError, match="frames"):
        subtract_profile(frames[0], 1.0)
    with pytest.raises(KernelInputError, match="real frames"):
        subtract_profile(frames.astype(np.int16), 1.0)
    with pytest.raises(KernelInputError, match="positive width"):
        subtract_profile(frames, 0.0)
    with pytest.raises(KernelInputError, match="'mode'"):
        subtract_profile(frames, 1.0, "mode")
    with pytest.raises(KernelInputError, match="no pixel"):
        subtract_profile(frames, 1.0, "mean", np.zeros(frames.shape[1:], bool))
    with pytest.raises(KernelInputError, match="does not fit"):
        subtract_profile(frames, 1.0, "mean", np.ones((4, 4), bool))
