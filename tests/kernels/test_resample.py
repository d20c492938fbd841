import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.banded import Banded, apply_columns, apply_rows, box_matrix
from spheredc_hpc.kernels.resample import (
    interpolation_matrix,
    recentring_grid,
    resample,
    resample_weight,
)

SQUEEZE = 1.0062
DETECTOR = (220, 240)
STAR = (118.37, 107.81)


@pytest.fixture
def rng():
    return np.random.default_rng(20180315)


def gaussian(shape, x, y, fwhm, squeeze=1.0):
    rows, columns = np.indices(shape, dtype=float)
    sigma = fwhm / 2.354820045
    return np.exp(-0.5 * (((columns - x) ** 2 + ((rows - y) * squeeze) ** 2) / sigma**2)).astype(
        np.float32
    )


def centroid(image):
    rows, columns = np.indices(image.shape)
    return np.array([np.sum(image * columns), np.sum(image * rows)]) / image.sum()


@pytest.mark.parametrize("size", [150, 151])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (41.3, -28.7), (-33.6, 40.2), (5.5, 12.25)])
def test_a_source_lands_where_it_belongs(size, offset):
    dx, dy = offset
    image = gaussian(DETECTOR, STAR[0] + dx, STAR[1] + dy / SQUEEZE, 3.3, SQUEEZE)
    out = resample(image, recentring_grid(STAR, (1.0, SQUEEZE), size, DETECTOR))
    middle = size // 2
    np.testing.assert_allclose(out, gaussian(out.shape, middle + dx, middle + dy, 3.3), atol=1e-3)
    np.testing.assert_allclose(centroid(out), [middle + dx, middle + dy], atol=0.005)


@pytest.mark.parametrize(("fwhm", "error"), [(3.3, 1e-3), (2.5, 2e-3), (2.2, 4e-3)])
def test_interpolation_error_follows_the_sampling(fwhm, error):
    sigma = fwhm / 2.354820045
    samples = np.exp(-0.5 * ((np.arange(61.0) - 30) / sigma) ** 2)[:, np.newaxis]
    for shift in (0.1, 0.25, 0.5, 0.73):
        positions = np.arange(10.0, 50.0) + shift
        out = apply_rows(interpolation_matrix(positions, 61), samples.astype(np.float32))[:, 0]
        truth = np.exp(-0.5 * ((positions - 30) / sigma) ** 2)
        assert np.abs(out - truth).max() < error


def test_whole_shifts_without_rescaling_copy_the_pixels(rng):
    image = rng.normal(size=DETECTOR).astype(np.float32)
    out = resample(image, recentring_grid((120.0, 110.0), (1.0, 1.0), 101, DETECTOR))
    np.testing.assert_array_equal(out, image[60:161, 70:171])


def test_a_constant_stays_a_constant():
    image = np.full(DETECTOR, 7.0, dtype=np.float32)
    out = resample(image, recentring_grid(STAR, (1.0, SQUEEZE), 151, DETECTOR))
    np.testing.assert_allclose(out, 7.0, rtol=1e-6)


def test_banded_products_equal_dense_products(rng):
    positions = np.linspace(3.2, 180.7, 130)
    matrix = interpolation_matrix(positions, 200)
    image = rng.normal(size=(200, 200)).astype(np.float32)
    np.testing.assert_allclose(apply_rows(matrix, image), matrix.dense() @ image, atol=1e-5)
    np.testing.assert_allclose(apply_columns(image, matrix), image @ matrix.dense().T, atol=1e-5)


def test_pixels_whose_kernel_leaves_the_window_are_nan():
    window = (slice(15, 200), slice(50, 220))
    grid = recentring_grid((118.5, 107.5), (1.0, 1.0), 240, DETECTOR, window)
    out = resample(np.ones(DETECTOR, np.float32), grid)
    rows, columns = np.nonzero(np.isfinite(out))
    # Half a pixel off, the first kernel that fits stands between samples 5 and 6 of the window.
    assert rows.min() == 15 + 5 + 0.5 - 107.5 + 120
    assert rows.max() == 199 - 5 - 0.5 - 107.5 + 120
    assert columns.min() == 50 + 5 + 0.5 - 118.5 + 120
    assert columns.max() == 219 - 5 - 0.5 - 118.5 + 120
    assert np.isfinite(out).sum() == np.ptp([rows.min() - 1, rows.max()]) * np.ptp(
        [columns.min() - 1, columns.max()]
    )


def test_weight_is_the_inverse_variance_of_resampled_noise(rng):
    grid = recentring_grid((30.4, 30.3), (1.0, SQUEEZE), 31, (64, 64))
    sigma = 2.5
    draws = np.stack(
        [
            resample(rng.normal(scale=sigma, size=(64, 64)).astype(np.float32), grid)
            for _ in range(600)
        ]
    )
    ones = np.ones((64, 64), np.float32)
    weight = resample_weight(np.float32(sigma**2) * ones, ones, grid)
    # 600 draws of 961 pixels: the mean of the variances is good to 0.4 % if a few pixels share
    # their noise.
    assert np.mean(draws.var(axis=0) * weight) == pytest.approx(1.0, rel=0.01)


def test_weight_keeps_the_kernel_fraction_of_good_pixels():
    good = np.ones((64, 64), np.float32)
    good[:, 30:34] = 0
    variance = np.full((64, 64), 4.0, np.float32)
    aligned = recentring_grid((32.0, 32.0), (1.0, 1.0), 41, (64, 64))
    weight = resample_weight(variance, good, aligned)
    np.testing.assert_allclose(weight[:, 20], 0)
    np.testing.assert_allclose(weight[:, 10], 0.25, rtol=1e-5)
    halfway = recentring_grid((29.5, 32.0), (1.0, 1.0), 41, (64, 64))
    column = resample_weight(variance, good, halfway)[20, 20]
    taps = interpolation_matrix(np.array([29.5]), 64)
    squares = taps.taps[0] ** 2
    kept = squares[good[0, taps.first[0] : taps.first[0] + 12] > 0].sum() / squares.sum()
    assert 0.4 < kept < 0.6
    assert column == pytest.approx(kept / (4.0 * squares.sum()), rel=1e-4)


def test_running_mean_equals_the_plain_loop(rng):
    values = rng.normal(size=(23, 3)).astype(np.float32)
    out = apply_rows(box_matrix(23, 5), values)
    for i in range(23):
        expected = values[max(i - 2, 0) : i + 3].mean(axis=0)
        np.testing.assert_allclose(out[i], expected, atol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(KernelInputError, match="finite"):
        recentring_grid((np.nan, 3.0), (1.0, 1.0), 11, (20, 20))
    with pytest.raises(KernelInputError, match="odd"):
        box_matrix(10, 4)
    with pytest.raises(KernelInputError, match="float32"):
        apply_rows(box_matrix(10, 3), np.zeros((10, 4)))
    with pytest.raises(KernelInputError, match="axis 0"):
        apply_rows(box_matrix(10, 3), np.zeros((9, 4), np.float32))
    with pytest.raises(KernelInputError, match="step back"):
        Banded(np.array([3, 2]), np.ones((2, 2)), 9)
