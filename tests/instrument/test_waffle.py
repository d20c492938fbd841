from __future__ import annotations

import numpy as np
import pytest

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.waffle import lambda_over_d_px, spot_angles_deg, spot_radius_px


def test_radius_grows_with_wavelength():
    one, two = spot_radius_px([1.0, 2.0])
    assert two == pytest.approx(2 * one)


@pytest.mark.parametrize(("wavelength_um", "pixels"), [(1.593, 3.353), (2.251, 4.738)])
def test_resolution_element_is_that_of_the_filter_table(wavelength_um, pixels):
    assert lambda_over_d_px(wavelength_um) == pytest.approx(pixels, abs=6e-4)


def test_the_scale_of_a_band_is_used_when_it_is_named():
    ratio = spot_radius_px(1.593, band="H2") / spot_radius_px(1.593)
    assert ratio == pytest.approx(12.25 / 12.255)


def test_overridden_constants_are_used():
    table = default_constants().with_overrides({"waffle_radius_lambda_over_d": 27.44})
    assert spot_radius_px(1.6, table) == pytest.approx(2 * spot_radius_px(1.6))


@pytest.mark.parametrize("arm", ["IRDIS", "IFS"])
@pytest.mark.parametrize("orientation", ["x", "+", "X "])
def test_spots_are_a_quarter_turn_apart(arm, orientation):
    angles = spot_angles_deg(orientation, arm)
    np.testing.assert_allclose(np.diff(angles), 90)


def test_other_orientations_are_refused():
    with pytest.raises(DataError, match="'y'; expected 'x' or '\\+'"):
        spot_angles_deg("y")
