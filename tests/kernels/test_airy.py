"""Image of an annular aperture: against a Fourier transform, and its integrals."""

import numpy as np
import pytest
from scipy.integrate import dblquad

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.airy import airy_enclosed, airy_intensity, airy_peak


def by_fourier(radius, obstruction, samples=1500):
    """Intensity at points (radius, 0), from a sampled pupil of diameter 1 and power 1."""
    axis = (np.arange(samples) - (samples - 1) / 2) / samples
    distance = np.hypot(axis, axis[:, np.newaxis])
    pupil = (distance <= 0.5) & (distance >= obstruction / 2)
    columns = pupil.sum(axis=0)
    wave = np.exp(-2j * np.pi * np.outer(radius, axis)) @ columns
    return np.abs(wave) ** 2 / (pupil.sum() * samples**2)


@pytest.mark.parametrize("obstruction", [0.0, 0.1395, 0.4])
def test_intensity_is_that_of_the_transform_of_the_pupil(obstruction):
    radius = np.linspace(0, 6, 25)
    expected = by_fourier(radius, obstruction)
    found = airy_intensity(radius, obstruction)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[0] == pytest.approx(np.pi / 4 * (1 - obstruction**2))


def test_rings_sum_to_the_light_and_the_first_dark_ring_holds_what_textbooks_say():
    assert airy_enclosed(1.21967, [1.0], 0.0) == pytest.approx(0.8378, abs=2e-4)
    assert airy_enclosed(2.23313, [1.0], 0.0) == pytest.approx(0.9099, abs=2e-4)
    assert airy_enclosed(600.0, [3.4, 3.6], 0.14) == pytest.approx(1.0, abs=0.003)
    np.testing.assert_array_equal(airy_enclosed([0.0], [3.4], 0.14), [0.0])


def test_peak_is_the_integral_over_one_pixel():
    whole, _ = dblquad(
        lambda y, x: airy_intensity(np.hypot(x, y) / 3.3, 0.14) / 3.3**2, -0.5, 0.5, -0.5, 0.5
    )
    assert airy_peak([3.3], 0.14) == pytest.approx(whole, rel=1e-8)
    both = (airy_peak([3.0], 0.14) + airy_peak([4.0], 0.14)) / 2
    assert airy_peak([3.0, 4.0], 0.14) == pytest.approx(both)


@pytest.mark.parametrize("obstruction", [-0.1, 1.0, np.nan])
def test_obstructions_out_of_range_are_named(obstruction):
    with pytest.raises(KernelInputError, match=str(obstruction)):
        airy_intensity(1.0, obstruction)
