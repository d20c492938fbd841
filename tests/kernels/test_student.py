"""Gaussian deviate of a t statistic, off tables and exactly."""

import numpy as np
import pytest
from scipy import integrate, stats

from spheredc_hpc.kernels import student


def by_scipy(t, nu):
    return np.sign(t) * -stats.norm.ppf(stats.t.sf(np.abs(t), nu))


@pytest.mark.parametrize("nu", [1, 2, 3, 7, 30, 130, 2000])
def test_large_maps_get_the_deviates_of_scipy(nu):
    # 1e-9 of the value: quintic interpolation between exact values and derivatives.
    rng = np.random.default_rng(nu)
    t = np.concatenate([rng.standard_t(nu, 3000), np.linspace(-4, 4, 1501) * np.sqrt(nu)])
    t = t[np.abs(t) < 30]
    assert t.size > student.TABLE_FROM
    np.testing.assert_allclose(
        student.gaussian_equivalent(t, nu), by_scipy(t, nu), rtol=1e-9, atol=1e-9
    )


def test_far_tails_have_no_table_and_no_ceiling():
    t = np.linspace(30.0, 1e4, 2 * student.TABLE_FROM)
    found = student.gaussian_equivalent(t, 40)
    assert np.all(np.diff(found) > 0)
    one_by_one = [float(student.gaussian_equivalent(value, 40)) for value in t[::500]]
    np.testing.assert_array_equal(found[::500], one_by_one)


def log_tail(t, nu):
    """Logarithm of the upper tail, from the integral of the density in units of its value at t."""
    start = stats.t.logpdf(t, nu)

    def falling(w):  # with s = t exp(w / nu) for the variable
        return np.exp(stats.t.logpdf(t * np.exp(w / nu), nu) - start + w / nu)

    # It falls as exp(-w): nothing is left at 60.
    area, _ = integrate.quad(falling, 0, 60, epsabs=0, epsrel=1e-12)
    return start + np.log(area * t / nu)


@pytest.mark.parametrize(
    ("t", "nu"), [(3.0, 5), (40.0, 12), (20.0, 300), (1e3, 300), (1e4, 300), (1e4, 2000)]
)
def test_logarithms_of_tails_are_those_of_the_integral(t, nu):
    # 1e-11: sums of logarithms of some thousand, each to round-off.
    found = student._log_tail(np.array(t), np.array(float(nu)))
    assert found == pytest.approx(log_tail(t, nu), rel=1e-11)
    if nu == 5:
        assert found == pytest.approx(stats.t.logsf(t, nu), rel=1e-12)


@pytest.mark.parametrize("t", [1e3, 1e4])
def test_deviates_of_tails_that_underflow_have_their_probability(t):
    assert stats.t.sf(t, 300) == 0
    deviate = student.gaussian_equivalent(t, 300)
    assert stats.norm.logsf(deviate) == pytest.approx(log_tail(t, 300), rel=1e-11)


def test_deviates_grow_with_t_across_the_end_of_the_table():
    t = np.linspace(3.9, 4.1, 5000) * np.sqrt(12)
    assert np.all(np.diff(student.gaussian_equivalent(t, 12)) > 0)


def test_maps_keep_what_has_no_deviate():
    t = np.full((60, 50), 2.0)
    nu = np.full(t.shape, 9)
    t[0, 0], nu[1, 1], t[2, 2], t[3, 3] = np.nan, 0, np.inf, 0.0
    found = student.gaussian_equivalent(t, nu)
    assert np.isnan(found[0, 0])
    assert np.isnan(found[1, 1])
    assert found[2, 2] == np.inf
    assert found[3, 3] == 0.0
    assert found[4, 4] == pytest.approx(by_scipy(2.0, 9), rel=1e-9)


def test_fractional_degrees_of_freedom_are_exact_at_any_size():
    t = np.random.default_rng(1).standard_normal(3000)
    np.testing.assert_allclose(
        student.gaussian_equivalent(t, 7.5), by_scipy(t, 7.5), rtol=1e-9, atol=1e-12
    )
