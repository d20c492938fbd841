import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.clipping import clipped_mean, robust_sigma, typical_variance
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.ramp import RampNoise, fit_ramp


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


NOISE = RampNoise(1.75, 4.4)
STEPS = np.array([2000.0, 4000.0, 6000.0, 8000.0, 10000.0])


def lamp(rng, shape, offset, n=4.0):
    """Five levels with photon noise of `n` planes each; the response differs by 1 %."""
    response = rng.normal(1, 0.01, size=shape)
    counts = response * STEPS[:, None, None]
    noise = np.sqrt((counts * NOISE.gain_e_per_adu + NOISE.read_noise_e**2) / n)
    levels = counts + offset + noise / NOISE.gain_e_per_adu * rng.normal(size=counts.shape)
    return response, levels.astype(np.float32), np.full(5, n)


def test_line_is_the_weighted_fit_of_numpy_where_neighbours_say_nothing(rng):
    # Offsets of hundreds of counts differ from pixel to pixel, so that none tells of another.
    offset = rng.uniform(-900, 900, size=(20, 30))
    _, levels, planes = lamp(rng, (20, 30), offset)
    ramp = fit_ramp(levels, STEPS, planes, NOISE)
    weights = np.sqrt(planes / (STEPS * NOISE.gain_e_per_adu + NOISE.read_noise_e**2))
    slope, intercept = np.polyfit(STEPS, levels.reshape(5, -1), 1, w=weights)
    np.testing.assert_allclose(ramp.slope.ravel(), slope, atol=2e-3)
    fitted = intercept + STEPS[:, None] * slope
    worst = np.abs(levels.reshape(5, -1) - fitted).max(axis=0) / (8000 * slope)
    np.testing.assert_allclose(ramp.nonlinearity.ravel(), worst, rtol=0.3, atol=3e-4)


def test_slope_reaches_the_photon_limit_and_knows_its_error(rng):
    columns = 5 * np.sin(np.arange(400))
    response, levels, planes = lamp(rng, (400, 400), 30 + columns)
    ramp = fit_ramp(levels, STEPS, planes, NOISE)
    error = ramp.slope - response
    limit = 1 / np.sqrt(STEPS.sum() * planes[0] * NOISE.gain_e_per_adu)
    # A free intercept alone gives 1.92 of it; of a whole detector 1.02 are left.
    assert np.std(error) < 1.1 * limit
    # Medians of columns of 400 pixels add a twentieth that the error of one pixel leaves out.
    assert np.std(error / ramp.error) == pytest.approx(1.0, abs=0.1)
    # Misfits of a straight line: a normal deviate, and the larger of two of them at most.
    assert 0 < np.mean(ramp.misfit) < 1.0
    assert (ramp.misfit > 4.5).mean() < 1e-4


def test_an_offset_of_its_own_and_an_unsteady_lamp_leave_the_slope_alone(rng):
    response, levels, planes = lamp(rng, (160, 160), 0.0)
    levels[:, 40, 50] += 3000
    unsteady = np.array([1.0, 1.02, 0.97, 1.01, 0.99], dtype=np.float32)
    levels *= unsteady[:, None, None]
    ramp = fit_ramp(levels, STEPS * unsteady, planes, NOISE)
    assert ramp.slope[40, 50] == pytest.approx(response[40, 50], rel=0.02)
    assert np.std(ramp.slope - response) < 0.003


def test_values_above_the_limit_do_not_count(rng):
    response, levels, planes = lamp(rng, (10, 10), 0.0)
    levels[4, 3, 3] = 12000
    levels[2:, 5, 5] = 12000
    levels[1:, 7, 7] = 12000
    ramp = fit_ramp(levels, STEPS, planes, RampNoise(1.75, 4.4, 11000.0))
    assert ramp.slope[3, 3] == pytest.approx(response[3, 3], rel=0.02)
    assert np.isfinite(ramp.slope[5, 5])
    assert np.isnan(ramp.misfit[5, 5])
    assert np.isnan(ramp.slope[7, 7])


def test_a_saturating_pixel_is_nonlinear_and_a_dead_one_has_no_measure(rng):
    _, levels, planes = lamp(rng, (10, 12), 0.0)
    levels[:, 0, 1] = np.minimum(levels[:, 0, 1], 6000)
    levels[:, 0, 2] = 0
    ramp = fit_ramp(levels, STEPS, planes, NOISE)
    assert ramp.nonlinearity[0, 1] > 0.1
    assert ramp.misfit[0, 1] > 8
    assert ramp.misfit[0, 3] < 5
    assert np.isnan(ramp.nonlinearity[0, 2])


def test_threads_do_not_change_the_ramp(rng):
    _, levels, planes = lamp(rng, (150, 140), 10.0)
    one = fit_ramp(levels, STEPS, planes, NOISE)
    with worker_threads(3):
        several = fit_ramp(levels, STEPS, planes, NOISE)
    for before, after in zip(one, several, strict=True):
        np.testing.assert_array_equal(before, after)


def test_wrong_arguments_are_refused():
    ones = np.ones(3)
    with pytest.raises(KernelInputError, match="two levels"):
        fit_ramp(np.zeros((3, 2, 2), np.float32), 2 * ones, ones, NOISE)
    with pytest.raises(KernelInputError, match="do not fit"):
        fit_ramp(np.zeros((3, 2, 2), np.float32), np.array([2.0, 3.0]), ones, NOISE)
    with pytest.raises(KernelInputError, match="n > 0"):
        clipped_mean(np.zeros((0, 2, 2), np.float32))
