"""Turn and rescaling by short filters."""

import array_api_strict
import numpy as np
import pytest
from scipy import special

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.shear import tap_polynomials
from spheredc_hpc.kernels.warp import warp_frames

ANGLES = (0.0, 10.0, -44.0, 127.0)


def gaussian(side, dx, dy, fwhm):
    y, x = np.mgrid[:side, :side] - side // 2
    return np.exp(-4 * np.log(2) * ((x - dx) ** 2 + (y - dy) ** 2) / fwhm**2)


def airy(side, dx, dy, scale):
    """Diffraction pattern of a disc, FWHM 1.03 `scale`; nothing beyond 1 / scale cycles a pixel."""
    y, x = np.mgrid[:side, :side] - side // 2
    r = np.pi * np.hypot(x - dx, y - dy) / scale
    r = np.where(r < 1e-9, 1e-9, r)
    return (2 * special.j1(r) / r) ** 2


def turned(dx, dy, angle_deg):
    a = np.deg2rad(angle_deg)
    return np.cos(a) * dx - np.sin(a) * dy, np.sin(a) * dx + np.cos(a) * dy


def worst_error(method, fwhm, scale, radius):
    """Largest error for a Gaussian that has `fwhm` and `radius` on the output."""
    worst = 0.0
    for angle in ANGLES:
        dx, dy = turned(radius, 0.0, 31.0)
        source = gaussian(121, dx * scale, dy * scale, fwhm * scale)
        for side in (121, 96):
            found = warp_frames(source[None], [angle], scale, side, method)[0]
            truth = gaussian(side, *turned(dx, dy, angle), fwhm)
            worst = max(worst, float(np.abs(found - truth).max()))
    return worst


@pytest.mark.parametrize(
    ("method", "fwhm", "error"),
    # A sampled Gaussian of 3.3 px is itself only defined to 8e-5: its spectrum at the Nyquist
    # frequency. Lanczos-4 gives 6e-3 at 4 px.
    [
        ("interpolated", 3.3, 2.5e-4),
        ("interpolated", 4.0, 4e-5),
        ("interpolated", 5.0, 4e-5),
        ("accurate", 3.3, 1e-4),
        ("accurate", 4.0, 7e-6),
        ("accurate", 5.0, 7e-6),
    ],
)
@pytest.mark.parametrize("radius", [0.0, 15.5, 40.0])
def test_gaussian_turns_to_where_it_belongs(method, fwhm, error, radius):
    assert worst_error(method, fwhm, 1.0, radius) < error


@pytest.mark.parametrize(("method", "error"), [("interpolated", 6e-5), ("accurate", 1e-5)])
@pytest.mark.parametrize("scale", [0.85, 1.0, 1.4, 1.7])
def test_turn_and_rescaling_are_accurate_together(method, scale, error):
    # FWHM 4.8 px on the output, at least 4.1 on the input.
    assert worst_error(method, 4.8, scale, 20.0) < error


def test_diffraction_pattern_turns_to_a_hundred_thousandth():
    # Band limit 0.3 cycles a pixel, FWHM 3.4 px: SPHERE in H. Rings are cut by the edge of the
    # frame, so only the inner part is compared.
    y, x = np.mgrid[:161, :161] - 80
    near = np.hypot(x, y) < 40
    for angle in (17.0, -44.0):
        found = warp_frames(airy(161, 12.0, 5.0, 3.3)[None], [angle])[0]
        truth = airy(161, *turned(12.0, 5.0, angle), 3.3)
        assert np.abs(found - truth)[near].max() < 4e-5


@pytest.mark.parametrize("method", ["interpolated", "accurate"])
def test_surface_brightness_is_kept(method):
    # The sum over a source goes with the area: 1 / scale**2; apertures hold all but 1e-6 of it.
    for scale in (0.9, 1.0, 1.25):
        frame = gaussian(101, 11.0, -17.0, 5.0)
        found = warp_frames(frame[None], [33.0], scale, None, method)[0]
        x, y = turned(11.0 / scale, -17.0 / scale, 33.0)
        before = aperture_sum(frame, 61.0, 33.0, 12.0)
        after = aperture_sum(found, 50 + x, 50 + y, 12.0)
        assert after * scale**2 == pytest.approx(before, rel=3e-5)


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("wanted", [13, 20, 21, 30])
@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, -90.0])
def test_quarter_turns_copy_pixels(side, wanted, angle):
    frame = np.zeros((1, side, side), np.float32)
    frame[0, side // 2 + 3, side // 2 + 5] = 1.0
    dx, dy = turned(5, 3, angle)
    expected = np.zeros((wanted, wanted))
    expected[wanted // 2 + round(dy), wanted // 2 + round(dx)] = 1.0
    np.testing.assert_array_equal(warp_frames(frame, angle, 1.0, wanted)[0], expected)


def test_nothing_comes_in_from_outside():
    frame = np.ones((1, 40, 40), np.float32)
    found = warp_frames(frame, [30.0], 1.0, 180)[0]
    y, x = np.mgrid[:180, :180] - 90
    # Half the diagonal and the length of three filters.
    assert np.abs(found[np.hypot(x, y) > 20 * np.sqrt(2) + 48]).max() == 0
    assert np.abs(found[np.hypot(x, y) < 10] - 1).max() < 0.05


def test_there_and_back_is_the_same_image():
    frames = gaussian(101, 20.0, 4.0, 6.0)[None]
    there = warp_frames(frames, [28.0], 1.3)
    back = warp_frames(there, [-28.0], 1 / 1.3)
    np.testing.assert_allclose(back, frames, atol=2e-5)


def test_filters_reproduce_samples_and_constants():
    for taps in (16, 32):
        polynomials = tap_polynomials(taps)
        fraction = np.linspace(0, 1, 41)
        weights = np.stack([np.polyval(polynomials[:, k], fraction) for k in range(taps)])
        np.testing.assert_allclose(weights.sum(axis=0), 1.0, atol=1e-12)
        own = np.zeros(taps)
        own[taps // 2 - 1] = 1
        np.testing.assert_allclose(weights[:, 0], own, atol=5e-9)
        np.testing.assert_allclose(weights[:, -1], np.roll(own, 1), atol=5e-9)


def test_frames_may_be_warped_in_place():
    frames = np.random.default_rng(1).standard_normal((4, 33, 33)).astype(np.float32)
    arguments = [10.0, 20.0, 0.0, 200.0], [1.0, 1.2, 0.8, 1.0]
    expected = warp_frames(frames, *arguments)
    assert warp_frames(frames, *arguments, out=frames) is frames
    np.testing.assert_array_equal(frames, expected)


def test_frames_do_not_see_each_other():
    frames = np.random.default_rng(2).standard_normal((3, 40, 40)).astype(np.float32)
    angles, scales = [50.0, -3.0, 12.0], [0.7, 1.0, 1.6]
    together = warp_frames(frames, angles, scales, 37)
    for i in range(3):
        alone = warp_frames(frames[i : i + 1], angles[i : i + 1], scales[i : i + 1], 37)
        np.testing.assert_array_equal(together[i], alone[0])


@pytest.mark.parametrize("method", ["interpolated", "accurate"])
def test_strict_array_library_gives_the_same(method):
    frames = np.random.default_rng(3).standard_normal((4, 30, 30))
    angles, scales = [0.0, 30.0, 100.0, -170.0], [1.3, 1.0, 0.8, 1.1]
    strict = warp_frames(array_api_strict.asarray(frames), angles, scales, 27, method)
    expected = warp_frames(frames, angles, scales, 27, method)
    # Filters at whole positions give values to 5e-9.
    np.testing.assert_allclose(np.asarray(strict), expected, atol=1e-7)


def test_threads_change_no_bit():
    frames = np.random.default_rng(4).standard_normal((9, 45, 45)).astype(np.float32)
    angles, scales = np.linspace(-100, 80, 9), np.linspace(0.7, 1.4, 9)
    results = []
    for threads in (1, 2):
        with worker_threads(threads):
            results.append(warp_frames(frames, angles, scales, 50, "interpolated"))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 1.0), "angles for 2 frames"),
        (([1.0, np.nan], 1.0), "finite"),
        (([1.0, 2.0], [1.0]), "scales for 2 frames"),
        (([1.0, 2.0], 0.0), "above 0"),
        (([1.0, 2.0], 1.0, None, "spline"), "unknown method"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(KernelInputError, match=message):
        warp_frames(np.zeros((2, 8, 8), np.float32), *arguments)


def test_frames_that_are_not_square_stacks_are_refused():
    for frames in (np.zeros((8, 8)), np.zeros((1, 8, 9))):
        with pytest.raises(KernelInputError, match="square frames"):
            warp_frames(frames, 1.0)
    for dtype in (int, np.float16):
        frames = np.zeros((1, 8, 8), dtype)
        with pytest.raises(KernelInputError, match=f"frames are {frames.dtype}, float32 or"):
            warp_frames(frames, 1.0)
