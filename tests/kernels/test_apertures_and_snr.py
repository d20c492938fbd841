"""Aperture sums and the statistics made of them."""

import array_api_strict
import numpy as np
import pytest
from scipy import ndimage, stats

from spheredc_hpc.kernels import snr
from spheredc_hpc.kernels.aperture import aperture_kernel, aperture_sum, aperture_sums, disc_overlap
from spheredc_hpc.kernels.polar import (
    offset_from_sky,
    radius_map,
    sky_from_offset,
    touching_apertures,
)


@pytest.mark.parametrize("radius", [0.3, 0.5, 1.7, 2.4, 7.0])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.31, -0.47)])
def test_pixels_of_a_disc_add_up_to_its_area(radius, centre):
    grid = np.arange(-10, 11)
    area = disc_overlap(grid[None, :] - centre[0], grid[:, None] - centre[1], radius)
    assert area.sum() == pytest.approx(np.pi * radius**2, rel=1e-12)


def test_overlap_of_one_pixel_agrees_with_fine_sampling():
    step = (np.arange(1000) + 0.5) / 1000 - 0.5
    for x, y in ((2.0, 0.4), (1.6, 1.7), (-1.2, 1.9), (0.0, -2.4)):
        inside = (x + step[None, :]) ** 2 + (y + step[:, None]) ** 2 < 2.4**2
        assert disc_overlap(x, y, 2.4) == pytest.approx(inside.mean(), abs=2e-4)


def test_convolution_gives_the_sum_at_every_pixel():
    image = np.random.default_rng(0).standard_normal((31, 28))
    sums = aperture_sums(image, 2.4)
    for x, y in ((10, 12), (4, 20), (24, 3)):
        assert sums[y, x] == pytest.approx(aperture_sum(image, x, y, 2.4), rel=1e-12)
    strict = aperture_sums(array_api_strict.asarray(image), 2.4)
    np.testing.assert_allclose(np.asarray(strict), sums)


def test_aperture_off_the_image_or_on_nan_has_no_sum():
    image = np.ones((9, 9))
    assert np.isnan(aperture_sum(image, 1.0, 4.0, 2.0))
    image[4, 4] = np.nan
    assert np.isnan(aperture_sum(image, 4.0, 5.0, 2.0))


def test_sky_and_pixel_offsets_are_inverse():
    # North up, east left: position angle 90 deg is towards -x.
    dx, dy = offset_from_sky([10.0, 10.0], [0.0, 90.0])
    np.testing.assert_allclose([dx, dy], [[0, -10], [10, 0]], atol=1e-12)
    np.testing.assert_allclose(sky_from_offset(dx, dy), [[10, 10], [0, 90]], atol=1e-12)


def test_six_circles_surround_the_seventh():
    assert touching_apertures(4.8, 4.8)[0] == 6


@pytest.mark.parametrize(
    ("radius_fwhm", "factor"),
    [(1, 12.5), (1.5, 3.63), (2, 2.14), (3, 1.59), (5, 1.30), (10, 1.13), (20, 1.06)],
)
def test_small_sample_factors_are_the_published_ones(radius_fwhm, factor):
    # Mawet et al. (2014) at 5 sigma, rounded to three digits.
    elements = np.rint(2 * np.pi * radius_fwhm)
    assert snr.small_sample_threshold(5.0, elements) / 5 == pytest.approx(factor, rel=4e-3)


def test_gaussian_equivalent_has_the_same_false_alarm_probability():
    for t, nu in ((2.0, 4), (-3.0, 10), (6.0, 30), (8.0, 200)):
        g = float(snr.gaussian_equivalent(t, nu))
        assert stats.norm.sf(abs(g)) == pytest.approx(stats.t.sf(abs(t), nu), rel=1e-9)
        assert np.sign(g) == np.sign(t)


def test_gaussian_equivalent_grows_where_probabilities_underflow():
    # The log-probability is proportional to log t for large t: ratio of squares known.
    values = snr.gaussian_equivalent([30.0, 100.0, 1e3, 1e4], 300)
    assert np.all(np.diff(values) > 0)
    expected = 2 * (-stats.t.logsf(30.0, 300))
    assert values[0] ** 2 == pytest.approx(expected, rel=0.03)


def touching_reference(image, x, y, diameter):
    """Plain t statistic: exact apertures one after the other, clockwise from the source."""
    middle = image.shape[0] // 2
    dx, dy = x - middle, y - middle
    number, step = touching_apertures(np.hypot(dx, dy), diameter)
    angle = np.arctan2(dy, dx) - step * np.arange(number)
    radius = np.hypot(dx, dy)
    sums = [
        aperture_sum(image, middle + radius * np.cos(a), middle + radius * np.sin(a), diameter / 2)
        for a in angle
    ]
    others = np.array(sums[1:])
    noise = others.std(ddof=1) * np.sqrt(1 + 1 / others.size)
    return (sums[0] - others.mean()) / noise, others.size


def test_t_map_is_that_of_exact_apertures():
    rng = np.random.default_rng(3)
    # Noise with the grain of a derotated image: half a PSF wide.
    image = ndimage.gaussian_filter(rng.standard_normal((61, 61)), 0.9)
    t, references = snr.t_statistic(snr.aperture_map(image, 4.3))
    for x, y in ((45, 30), (30, 12), (20, 41), (36, 30)):
        expected, count = touching_reference(image, x, y, 4.3)
        assert references[y, x] == count
        assert t[y, x] == pytest.approx(expected, abs=0.04)


def test_noise_gives_unit_variance_of_the_gaussian_equivalent():
    # Independent apertures at fixed places: 60 noise images, 4 radii; 5 % needs 800 samples.
    rng = np.random.default_rng(11)
    found = {2: [], 3: [], 6: [], 12: []}
    for _ in range(60):
        image = rng.standard_normal((121, 121))
        t, n = snr.t_statistic(snr.aperture_map(image, 4.0))
        gaussian = snr.gaussian_equivalent(t, n - 1)
        for radius, values in found.items():
            count, step = touching_apertures(4.0 * radius, 4.0)
            angle = step * np.arange(count)
            x = np.rint(60 + 4 * radius * np.cos(angle)).astype(int)
            y = np.rint(60 + 4 * radius * np.sin(angle)).astype(int)
            values.extend(gaussian[y, x])
    for radius, values in found.items():
        spread = 3 * np.sqrt(2 / len(values))
        assert np.var(values) == pytest.approx(1.0, abs=max(spread, 0.08)), radius


def test_masked_source_leaves_the_noise_of_others_alone():
    rng = np.random.default_rng(4)
    image = rng.standard_normal((81, 81))
    bright = image.copy()
    y, x = np.mgrid[:81, :81]
    bright += 500 * np.exp(-((x - 60) ** 2 + (y - 40) ** 2) / 4)
    labels = np.where(np.hypot(x - 60, y - 40) < 8, 1, 0).astype(np.int32)
    with_mask, _ = snr.t_statistic(snr.aperture_map(bright, 4.0, labels))
    plain, _ = snr.t_statistic(snr.aperture_map(image, 4.0, labels))
    assert with_mask[60, 40] == pytest.approx(plain[60, 40], abs=1e-3)
    assert with_mask[40, 60] > 30


def test_ring_noise_is_that_of_the_aperture():
    # White noise of unit variance: the variance of a sum is the sum of the squared weights.
    image = np.random.default_rng(9).standard_normal((401, 401))
    noise, elements = snr.ring_noise(snr.aperture_map(image, 4.0), [100.0, 150.0])
    expected = np.sqrt((aperture_kernel(2.0) ** 2).sum())
    np.testing.assert_allclose(noise, expected, rtol=0.1)
    np.testing.assert_array_equal(elements, [157, 235])


def test_pixels_without_data_spread_no_nan():
    image = np.random.default_rng(2).standard_normal((61, 61))
    image[radius_map((61, 61)) > 25] = np.nan
    t, n = snr.t_statistic(snr.aperture_map(image, 4.0))
    inside = radius_map((61, 61))
    assert np.isfinite(t[(inside > 6) & (inside < 20)]).all()
    assert np.isnan(t[inside > 25]).all()
    assert n[30, 45] == touching_apertures(15.0, 4.0)[0] - 1
