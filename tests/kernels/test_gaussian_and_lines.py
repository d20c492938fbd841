import numpy as np
import pytest
from scipy.optimize import approx_fprime

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.gaussian import Shape, fit_gaussian, gaussian_model
from spheredc_hpc.kernels.lines import crossing


@pytest.fixture
def rng():
    return np.random.default_rng(20180318)


def ellipse(shape, x, y, sigma_u, sigma_v, angle_deg, peak, offset=0.0):
    rows, columns = np.indices(shape, dtype=float)
    turn = np.radians(angle_deg)
    u = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    v = -(columns - x) * np.sin(turn) + (rows - y) * np.cos(turn)
    return offset + peak * np.exp(-0.5 * ((u / sigma_u) ** 2 + (v / sigma_v) ** 2))


@pytest.mark.parametrize("angle_deg", [None, 0.0, 37.0])
def test_derivatives_equal_finite_differences(angle_deg):
    rows, columns = np.indices((9, 9), dtype=float)
    x, y = columns.ravel(), rows.ravel()
    parameters = np.array([4.2, 3.9, 2.0, 0.3, 1.4] + ([] if angle_deg is None else [2.1]))
    _, jacobian = gaussian_model(parameters, x, y, angle_deg)
    for i in (0, 13, 40, 77):
        numeric = approx_fprime(
            parameters,
            lambda p, i=i: gaussian_model(p, x[i : i + 1], y[i : i + 1], angle_deg)[0][0],
            1e-7,
        )
        np.testing.assert_allclose(jacobian[i], numeric, atol=1e-5)


def test_noiseless_parameters_are_recovered():
    image = ellipse((17, 17), 8.31, 7.64, 2.6, 1.4, 37.0, 250.0, 12.0)
    fit = fit_gaussian(image, (8.0, 8.0), 1.5, Shape(angle_deg=37.0))
    assert fit.converged
    got = [fit.x, fit.y, fit.sigma_u, fit.sigma_v, fit.amplitude, fit.offset]
    np.testing.assert_allclose(got, [8.31, 7.64, 2.6, 1.4, 250.0, 12.0], rtol=1e-5)


def test_stated_errors_are_those_of_repeated_noise(rng):
    clean = ellipse((17, 17), 8.3, 7.6, 1.5, 1.5, 0.0, 40.0)
    pulls = []
    for _ in range(300):
        fit = fit_gaussian(clean + rng.normal(size=clean.shape), (8.0, 8.0), 1.5)
        errors = np.sqrt(np.diag(fit.covariance))
        pulls += [(fit.x - 8.3) / errors[0], (fit.y - 7.6) / errors[1]]
    # 600 pulls: their rms is good to 3 %.
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)


def test_bad_pixels_are_left_out():
    image = ellipse((15, 15), 7.2, 6.9, 1.5, 1.5, 0.0, 100.0)
    good = np.ones(image.shape, bool)
    image[7, 8], good[7, 8] = 1e6, False
    image[3, 3] = np.nan
    fit = fit_gaussian(image, (7.0, 7.0), 2.0, good=good)
    np.testing.assert_allclose([fit.x, fit.y], [7.2, 6.9], atol=1e-6)


def test_a_source_at_the_edge_of_the_search_does_not_count_as_found():
    image = ellipse((31, 31), 26.0, 15.0, 1.5, 1.5, 0.0, 100.0)
    fit = fit_gaussian(image, (15.0, 15.0), 1.5, Shape(reach_px=4.0))
    assert not fit.converged


def test_too_few_pixels_are_refused():
    with pytest.raises(KernelInputError, match="ten"):
        fit_gaussian(np.full((5, 5), np.nan), (2.0, 2.0), 1.0)


SQUARE = np.array([[110.0, 50.0], [60.0, 100.0], [10.0, 50.0], [60.0, 0.0]])


def test_diagonals_of_a_square_cross_in_the_middle():
    point, covariance = crossing(SQUARE, np.tile(0.04 * np.eye(2), (4, 1, 1)))
    np.testing.assert_allclose(point, [60.0, 50.0])
    # Each diagonal averages two corners: 0.2 / sqrt(2) across it.
    np.testing.assert_allclose(covariance, 0.02 * np.eye(2), atol=1e-12)


def test_motion_along_a_diagonal_has_no_effect():
    moved = SQUARE.copy()
    moved[0, 0] += 7.0
    moved[3, 1] -= 11.0
    point, _ = crossing(moved, np.zeros((4, 2, 2)))
    np.testing.assert_allclose(point, [60.0, 50.0])


def test_covariance_equals_that_of_repeated_draws(rng):
    corners = np.array([[52.0, 47.0], [5.0, 60.0], [-40.0, 3.0], [21.0, -44.0]])
    covariances = np.array([[[0.05, 0.02], [0.02, 0.03]], np.diag([0.01, 0.08])] * 2)
    _, stated = crossing(corners, covariances)
    draws = [
        crossing(
            np.array(
                [rng.multivariate_normal(c, v) for c, v in zip(corners, covariances, strict=True)]
            ),
            covariances,
        )[0]
        for _ in range(4000)
    ]
    np.testing.assert_allclose(np.cov(np.array(draws).T), stated, rtol=0.1, atol=2e-3)


def test_parallel_diagonals_are_refused():
    with pytest.raises(KernelInputError, match="parallel"):
        crossing(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.zeros((4, 2, 2)))
