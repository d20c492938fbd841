"""Gaussian deviate of a t statistic, off tables and exactly."""

import numpy as np
import pytest
from scipy import stats

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
