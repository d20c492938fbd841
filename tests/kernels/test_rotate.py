"""Rotation by Fourier shears."""

import array_api_strict
import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.rotate import rotate_fft, rotate_quarter


def gaussian(side, dx, dy, fwhm=4.0):
    y, x = np.mgrid[:side, :side] - side // 2
    return np.exp(-4 * np.log(2) * ((x - dx) ** 2 + (y - dy) ** 2) / fwhm**2)


def turned(dx, dy, angle_deg):
    a = np.deg2rad(angle_deg)
    return np.cos(a) * dx - np.sin(a) * dy, np.sin(a) * dx + np.cos(a) * dy


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("angle", [7.3, 31.0, -40.0, 61.7, 123.4, 200.0, -300.0])
def test_gaussian_turns_to_where_it_belongs(side, dtype, angle):
    # 2 to 7e-7 is the figure for this Gaussian: its spectrum at the Nyquist frequency.
    start = turned(22.0, 0.0, 77.0)
    image = gaussian(side, *start).astype(dtype)
    result = rotate_fft(image, angle)
    assert result.dtype == dtype
    error = np.abs(result - gaussian(side, *turned(*start, angle))).max()
    assert error < (9e-7 if dtype == np.float64 else 1.2e-6)


def test_float64_error_lies_in_the_measured_range():
    worst = max(
        np.abs(
            rotate_fft(gaussian(65, 22.0, 0.0), angle) - gaussian(65, *turned(22.0, 0.0, angle))
        ).max()
        for angle in (10.0, 20.0, 30.0, 70.0, 110.0)
    )
    assert worst < 7e-7


@pytest.mark.parametrize("side", [20, 21])
@pytest.mark.parametrize("quarters", [1, 2, 3, -1, 4])
def test_quarter_turns_are_exact_about_the_centre_pixel(side, quarters):
    image = np.zeros((side, side))
    image[side // 2 + 3, side // 2 + 5] = 1.0
    dx, dy = turned(5, 3, 90 * quarters)
    expected = np.zeros_like(image)
    expected[side // 2 + round(dy), side // 2 + round(dx)] = 1.0
    np.testing.assert_array_equal(rotate_quarter(image, quarters), expected)
    np.testing.assert_array_equal(rotate_fft(image, 90.0 * quarters), expected)


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 211.2, 333.0])
def test_companion_lands_within_a_fiftieth_of_a_pixel(side, angle_deg):
    # Position angles of one companion on the frame; rotated to north, flux-weighted centre.
    derotation = 37.0
    direction = np.deg2rad(angle_deg - derotation)
    frame = gaussian(side, -20 * np.sin(direction), 20 * np.cos(direction), 4.2)
    image = rotate_fft(frame.astype(np.float32), derotation).astype(float)
    y, x = np.mgrid[:side, :side] - side // 2
    x0, y0 = -20 * np.sin(np.deg2rad(angle_deg)), 20 * np.cos(np.deg2rad(angle_deg))
    near = np.hypot(x - x0, y - y0) < 8
    found = [(q * image)[near].sum() / image[near].sum() for q in (x, y)]
    np.testing.assert_allclose(found, [x0, y0], atol=0.02)


def test_flux_is_conserved():
    image = gaussian(65, 5.0, -7.0)
    assert rotate_fft(image, 33.0).sum() == pytest.approx(image.sum(), rel=1e-7)


def test_there_and_back_is_the_same_image():
    image = gaussian(64, 9.0, 4.0, 5.0)
    np.testing.assert_allclose(rotate_fft(rotate_fft(image, 28.0), -28.0), image, atol=1e-8)


def test_stack_takes_one_angle_a_frame():
    image = gaussian(33, 6.0, 0.0)
    stack = rotate_fft(np.stack([image, image]), [10.0, 50.0])
    np.testing.assert_array_equal(stack[1], rotate_fft(image, 50.0))


def test_strict_array_library_gives_the_same_result():
    image = gaussian(33, 6.0, 2.0)
    strict = rotate_fft(array_api_strict.asarray(image), 77.0)
    np.testing.assert_allclose(np.asarray(strict), rotate_fft(image, 77.0), atol=1e-13)


@pytest.mark.parametrize(
    ("frames", "angles"),
    [
        (np.zeros((4, 5)), 1.0),
        (np.zeros((4, 4), int), 1.0),
        (np.zeros((2, 4, 4)), [1.0]),
        (np.zeros((1, 4, 4)), [np.nan]),
    ],
)
def test_frames_that_cannot_be_turned_are_refused(frames, angles):
    with pytest.raises(KernelInputError):
        rotate_fft(frames, angles)
