"""Companions added to frames."""

import array_api_strict
import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.inject import (
    Rotation,
    Stamp,
    add_companion,
    spread_stamps,
    sub_positions,
)
from spheredc_hpc.kernels.psf import centred_psf, fit_psf
from spheredc_hpc.kernels.sample import sample_held, sampled_pixels


def gaussian(side, x0, y0, fwhm=4.0):
    y, x = np.mgrid[:side, :side]
    return np.exp(-4 * np.log(2) * ((x - x0) ** 2 + (y - y0) ** 2) / fwhm**2)


@pytest.fixture
def stamp():
    return Stamp.of(gaussian(41, 20, 20))


def samples(frames, xs, ys):
    """Values of square frames of which every pixel is held."""
    n, side = frames.shape[:2]
    return sample_held(frames.reshape(n, -1), np.arange(side * side), xs, ys)


def still(angles):
    angles = np.asarray(angles, float)
    return Rotation(angles, angles, angles)


def test_companion_stands_where_the_field_was(stamp):
    # Turning the frame by +derotation brings position angle 60 deg to its place: on the frame
    # the direction, counter-clockwise from +y, is 60 deg - derotation.
    angles = np.array([0.0, 33.0, -120.0])
    frames = np.zeros((3, 101, 101), np.float32)
    theta = np.deg2rad(60.0)
    add_companion(frames, stamp, (-30 * np.sin(theta), 30 * np.cos(theta)), still(angles), 2.0)
    for frame, angle in zip(frames, angles, strict=True):
        direction = np.deg2rad(60.0 - angle)
        expected = 2 * gaussian(101, 50 - 30 * np.sin(direction), 50 + 30 * np.cos(direction))
        np.testing.assert_allclose(frame, expected, atol=4e-6)


def test_smearing_is_the_mean_over_the_arc(stamp):
    # 3 deg at 60 px is an arc of 3.1 px.
    rotation = Rotation(np.array([10.0]), np.array([8.5]), np.array([11.5]))
    frames = np.zeros((1, 161, 161), np.float32)
    add_companion(frames, stamp, (0.0, 60.0), rotation)
    turns = np.deg2rad(np.linspace(8.5, 11.5, 2001))
    expected = np.mean(
        [gaussian(161, 80 + 60 * np.sin(a), 80 + 60 * np.cos(a)) for a in turns[::10]], axis=0
    )
    np.testing.assert_allclose(frames[0], expected, atol=4e-3)
    assert frames.sum() == pytest.approx(gaussian(41, 20, 20).sum(), rel=1e-5)


@pytest.mark.parametrize("scale", [0.6, 0.83, 1.0])
def test_zoomed_stamp_is_the_psf_on_larger_pixels(scale):
    # A Gaussian of 4.2 px or more has 2e-7 left at the Nyquist frequency: shifts are exact.
    zoomed = Stamp.of(gaussian(81, 40, 40, 7.0)).zoomed(scale)
    frames = np.zeros((1, 101, 101), np.float32)
    add_companion(frames, zoomed, (7.3, -4.6), still([0.0]))
    expected = gaussian(101, 57.3, 45.4, 7.0 * scale)
    np.testing.assert_allclose(frames[0], expected, atol=2e-6)


def test_stamp_gives_its_image_back(stamp):
    np.testing.assert_allclose(stamp.image, gaussian(41, 20, 20), atol=1e-14)


def test_spread_stamps_are_those_added_to_frames(stamp):
    # Pixels in any order, one of them not held.
    rng = np.random.default_rng(3)
    order = rng.permutation(31 * 31)[1:]
    place = np.full(31 * 31, -1)
    place[order] = np.arange(order.size)
    xs, ys = rng.uniform(-20, 20, (2, 4, 3))
    images, x0, y0 = stamp.smeared(xs, ys)
    lines = np.array([2, 0, 2, 1])
    out = np.zeros((3, order.size), np.float32)
    spread_stamps(out, lines, place, (x0, y0), images)
    expected = np.zeros((3, 131, 131), np.float32)
    for line, image, left, low in zip(lines, images, x0, y0, strict=True):
        left, low, size = left + 65, low + 65, image.shape[0]
        expected[line, low : low + size, left : left + size] += image
    inner = expected[:, 50:81, 50:81].reshape(3, -1)
    np.testing.assert_array_equal(out, inner[:, order])


def test_long_arcs_get_more_steps():
    rotation = Rotation(np.array([0.0]), np.array([-3.0]), np.array([3.0]))
    near, _ = sub_positions(0.0, 5.0, rotation)
    far, _ = sub_positions(0.0, 163.0, rotation)
    assert near.shape == (1, 5)
    assert far.shape == (1, 35)


def test_angles_may_wrap():
    rotation = Rotation(np.array([180.0]), np.array([179.0]), np.array([-179.0]))
    np.testing.assert_allclose(rotation.at([0.0, 0.5, 1.0]), [[179.0, 180.0, 181.0]])


def test_window_of_a_frame_gets_its_part(stamp):
    whole = np.zeros((2, 81, 81), np.float32)
    add_companion(whole, stamp, (12.3, -7.7), still([0.0, 40.0]))
    part = np.zeros((2, 30, 25), np.float32)
    add_companion(part, stamp, (12.3, -7.7), still([0.0, 40.0]), corner_px=(5, -25))
    np.testing.assert_array_equal(part, whole[:, 15:45, 45:70])


def test_companion_off_the_frame_adds_nothing(stamp):
    frames = np.zeros((1, 31, 31), np.float32)
    add_companion(frames, stamp, (500.0, 0.0), still([0.0]))
    assert not frames.any()


def test_number_of_angles_must_fit(stamp):
    with pytest.raises(KernelInputError, match="angles for 3 frames"):
        add_companion(np.zeros((3, 9, 9), np.float32), stamp, (0, 0), still([0.0, 1.0]))


def test_psf_fit_finds_centre_and_width():
    image = 7.0 * gaussian(39, 19.3, 18.6, 4.8)
    shape = fit_psf(image, 4.0)
    np.testing.assert_allclose(
        [shape.x_px, shape.y_px, shape.fwhm_px, shape.peak], [19.3, 18.6, 4.8, 7.0], rtol=1e-6
    )
    # Gaussian of 4.8 px: spectrum at Nyquist below 1e-9, so the shift is exact.
    np.testing.assert_allclose(
        centred_psf(image, shape, 31), 7.0 * gaussian(31, 15, 15, 4.8), atol=1e-6
    )


def test_psf_without_a_peak_is_refused():
    with pytest.raises(KernelInputError, match="positive peak"):
        fit_psf(np.zeros((9, 9)))


def test_samples_of_held_pixels_are_those_of_frames_that_are_zero_elsewhere():
    rng = np.random.default_rng(4)
    frames = rng.standard_normal((3, 21, 21)).astype(np.float32)
    xs, ys = rng.uniform(-3, 23, (2, 3, 40))
    needed = sampled_pixels(xs, ys, 21)
    held = rng.permutation(needed)[: needed.size // 2]
    place = np.full(21 * 21, -1)
    place[held] = np.arange(held.size)
    blanked = np.zeros((3, 21 * 21), np.float32)
    blanked[:, held] = frames.reshape(3, -1)[:, held]
    expected = samples(blanked.reshape(frames.shape), xs, ys)
    found = sample_held(np.ascontiguousarray(blanked[:, held]), place, xs, ys)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # What is not needed does not count.
    outside = np.setdiff1d(np.arange(21 * 21), needed)
    changed = frames.reshape(3, -1).copy()
    changed[:, outside] = 1e6
    np.testing.assert_array_equal(
        samples(changed.reshape(frames.shape), xs, ys), samples(frames, xs, ys)
    )


def test_samples_between_pixels_reproduce_a_psf():
    rng = np.random.default_rng(0)
    frames = np.stack([gaussian(41, 20.3, 19.6, 3.5), gaussian(41, 15.0, 22.2, 3.5)])
    xs, ys = rng.uniform(10, 30, (2, 300)), rng.uniform(10, 30, (2, 300))
    found = samples(frames.astype(np.float32), xs, ys)
    for k, (x0, y0) in enumerate(((20.3, 19.6), (15.0, 22.2))):
        expected = np.exp(-4 * np.log(2) * ((xs[k] - x0) ** 2 + (ys[k] - y0) ** 2) / 3.5**2)
        np.testing.assert_allclose(found[k], expected, atol=1e-3)


@pytest.mark.parametrize("library", [np, array_api_strict])
def test_a_sample_just_below_zero_is_the_first_pixel(library):
    # Round-off: -1e-18 less its floor is 1, not below it.
    values = library.asarray(np.random.default_rng(1).standard_normal((1, 81)))
    xs, ys = np.array([[-1e-18, 4.0]]), np.array([[4.0, -1e-18]])
    found = np.asarray(sample_held(values, np.arange(81), xs, ys))
    np.testing.assert_allclose(found, np.asarray(values)[:, [36, 4]], atol=1e-12)


@pytest.mark.parametrize("library", [np, array_api_strict])
def test_samples_far_outside_are_zero(library):
    # Beyond 2**63 px there are no whole numbers.
    xs, ys = np.array([[1e300, 4.0, -1e19, 14.0]]), np.array([[4.0, -1e300, 4.0, 4.0]])
    found = np.asarray(sample_held(library.asarray(np.ones((1, 81))), np.arange(81), xs, ys))
    np.testing.assert_array_equal(found, np.zeros((1, 4)))


@pytest.mark.parametrize("library", [np, array_api_strict])
def test_samples_that_cannot_be_taken_are_refused(library):
    values = library.asarray(np.ones((2, 81)))
    place, at = np.arange(81), np.full((2, 3), 4.0)
    for bad in (np.nan, np.inf):
        broken = at.copy()
        broken[1, 2] = bad
        for positions in ((broken, at), (at, broken)):
            with pytest.raises(KernelInputError, match="finite positions"):
                sample_held(values, place, *positions)
    with pytest.raises(KernelInputError, match=r"columns below 81 wanted; .* is 81"):
        sample_held(values, place + 1, at + 4, at + 4)
    for wrong in (
        (values, place[:80], at, at),
        (values, place.reshape(9, 9), at, at),
        (values, place, at, at[:, :2]),
        (values, place, at[0], at[0]),
        (values, place, at[:1], at[:1]),
    ):
        with pytest.raises(KernelInputError, match="positions"):
            sample_held(*wrong)


def test_stamps_that_cannot_be_spread_are_refused():
    images, place = np.ones((2, 3, 3), np.float32), np.arange(25)
    corners, lines = (np.array([-1, 0]), np.array([-1, 0])), np.array([0, 3])
    out = np.zeros((4, 25), np.float32)
    spread_stamps(out, lines, place, corners, images)
    assert out.sum() == 18
    before = out.copy()
    for wrong in (np.array([0, 4]), np.array([-1, 0])):
        with pytest.raises(KernelInputError, match=r"lines .* 0 to 3 wanted"):
            spread_stamps(out, wrong, place, corners, images)
    for arguments in (
        (lines[:1], place, corners, images),
        (lines, place[:24], corners, images),
        (lines, place, (corners[0][:1], corners[1]), images),
        (lines, place, (corners[0], corners[1][:1]), images),
        (lines, place, corners, images[:, :, :2]),
        (lines, place, corners, images[0]),
    ):
        with pytest.raises(KernelInputError, match="pixels"):
            spread_stamps(out, *arguments)
    np.testing.assert_array_equal(out, before)
    with pytest.raises(KernelInputError, match="column 26 of a pixel, below 25 wanted"):
        spread_stamps(out, lines, place + 2, corners, images)
    spread_stamps(out, lines[:0], place, (corners[0][:0], corners[1][:0]), images[:0])
