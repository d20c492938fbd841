import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.clipping import clipped_mean, robust_sigma, typical_variance
from spheredc_hpc.kernels.ramp import fit_ramp


@pytest.fixture
def rng():
    return np.random.default_rng(20180317)


def test_outliers_are_left_out_and_the_rest_is_averaged(rng):
    stack = rng.normal(10, 1, size=(12, 150, 40)).astype(np.float32)
    clean = stack.copy()
    stack[3, 20, 20] = 500
    stack[7, 100, 5] = -500
    result = clipped_mean(stack, sigma=5)
    for y, x, plane in ((20, 20, 3), (100, 5, 7)):
        rest = np.delete(clean[:, y, x], plane)
        assert result.kept[y, x] == 11
        assert result.mean[y, x] == pytest.approx(rest.mean(), rel=1e-6)
        assert result.variance[y, x] == pytest.approx(rest.var(ddof=1), rel=1e-5)


def test_clipping_gaussian_noise_changes_the_variance_little(rng):
    stack = rng.normal(0, 2, size=(10, 64, 64)).astype(np.float32)
    result = clipped_mean(stack, sigma=4)
    # 10 values a pixel, 4096 pixels: the mean variance is good to 0.7 %.
    assert result.variance.mean() == pytest.approx(4.0, rel=0.02)


def test_four_planes_of_noise_lose_hardly_a_value(rng):
    result = clipped_mean(rng.normal(size=(4, 200, 200)).astype(np.float32), sigma=4)
    # 4 sigma of a Gaussian are 6e-5; the median of four is off by half a sigma itself.
    assert 1 - result.kept.mean() / 4 < 5e-4


@pytest.mark.parametrize("free", [1, 3, 9])
def test_typical_variance_is_unbiased(rng, free):
    variances = rng.normal(0, 3, size=(free + 1, 50000)).var(axis=0, ddof=1)
    variances[:100] = 1e6
    # Wilson and Hilferty's median is good to 4 % for one degree of freedom, better for more.
    assert typical_variance(variances, free) == pytest.approx(9.0, rel=0.05)


def test_one_plane_is_returned_and_two_are_averaged(rng):
    stack = rng.normal(size=(2, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(clipped_mean(stack[:1]).mean, stack[0])
    assert np.isnan(clipped_mean(stack[:1]).variance).all()
    np.testing.assert_allclose(clipped_mean(stack).mean, stack.mean(axis=0), rtol=1e-6, atol=1e-7)


def test_nan_is_left_out_and_pixels_without_data_are_nan(rng):
    stack = rng.normal(size=(6, 8, 8)).astype(np.float32)
    expected = stack[1:, 2, 2].mean()
    stack[0, 2, 2] = np.nan
    stack[:, 5, 5] = np.nan
    result = clipped_mean(stack, sigma=50)
    assert result.mean[2, 2] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(result.mean[5, 5])
    assert result.kept[5, 5] == 0


def test_robust_sigma_of_a_gaussian_with_outliers(rng):
    values = rng.normal(0, 3, size=40000)
    values[:400] = 1e5
    assert robust_sigma(values) == pytest.approx(3.0, rel=0.03)
    assert np.isnan(robust_sigma(np.array([np.nan])))


def test_ramp_equals_numpy_polyfit(rng):
    times = np.array([2.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    levels = rng.normal(size=(6, 5, 7)) + times[:, None, None] * rng.uniform(5, 9, size=(5, 7))
    ramp = fit_ramp(levels.astype(np.float32), times)
    slope, intercept = np.polyfit(times, levels.reshape(6, -1), 1)
    np.testing.assert_allclose(ramp.slope.ravel(), slope, rtol=1e-5)
    np.testing.assert_allclose(ramp.intercept.ravel(), intercept, atol=1e-4)
    fitted = intercept + times[:, None] * slope
    worst = np.abs(levels.reshape(6, -1) - fitted).max(axis=0) / (8 * slope)
    np.testing.assert_allclose(ramp.nonlinearity.ravel(), worst, rtol=1e-4)


def test_bias_and_constant_background_leave_the_slope_alone():
    times = np.array([2.0, 4.0, 6.0, 8.0, 10.0])
    bias = np.linspace(-50, 50, 12).reshape(3, 4)
    levels = (bias + 300.0 * times[:, None, None]).astype(np.float32)
    np.testing.assert_allclose(fit_ramp(levels, times).slope, 300.0, rtol=1e-5)


def test_a_saturating_pixel_is_nonlinear_and_a_dead_one_has_no_measure():
    times = np.array([2.0, 4.0, 6.0, 8.0, 10.0])
    levels = np.zeros((5, 1, 3), np.float32)
    levels[:, 0, 0] = 100 * times
    levels[:, 0, 1] = np.minimum(100 * times, 600)
    nonlinearity = fit_ramp(levels, times).nonlinearity[0]
    assert nonlinearity[0] < 1e-5
    assert nonlinearity[1] > 0.1
    assert np.isnan(nonlinearity[2])


def test_wrong_arguments_are_refused():
    with pytest.raises(KernelInputError, match="two integration times"):
        fit_ramp(np.zeros((3, 2, 2), np.float32), np.array([2.0, 2.0, 2.0]))
    with pytest.raises(KernelInputError, match="do not fit"):
        fit_ramp(np.zeros((3, 2, 2), np.float32), np.array([2.0, 3.0]))
    with pytest.raises(KernelInputError, match="n > 0"):
        clipped_mean(np.zeros((0, 2, 2), np.float32))
