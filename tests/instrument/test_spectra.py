from __future__ import annotations

import numpy as np
import pytest

from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.spectra import STAR, T_TYPE, relative_contrast

# GJ 758 B, a T dwarf (Vigan et al. 2016): band, centre and width [um], magnitude, its error.
GJ_758_B = (
    ("Y2", 1.022, 0.049, 20.15, 0.20),
    ("Y3", 1.076, 0.050, 19.39, 0.10),
    ("J2", 1.190, 0.042, 20.02, 0.25),
    ("J3", 1.273, 0.046, 17.79, 0.18),
    ("H2", 1.593, 0.052, 17.55, 0.12),
    ("H3", 1.667, 0.054, 19.84, 0.42),
    ("K1", 2.110, 0.102, 17.99, 0.21),
    ("K2", 2.251, 0.109, 18.74, 0.35),
)


def test_methane_spectrum_has_the_colours_of_a_real_t_dwarf():
    # Beside a star without colour, contrast differs as magnitudes do. The star's own colours
    # (a G8 dwarf: 0.3 mag from Y to K) are left out and allowed for.
    centre, width, magnitude, error = np.array([row[1:] for row in GJ_758_B]).T
    ours = -2.5 * np.log10(relative_contrast(T_TYPE, centre, width))
    difference = (ours - ours[4]) - (magnitude - magnitude[4])
    assert np.all(np.abs(difference) < 1.5 * np.hypot(error, 0.2))


def test_methane_takes_nine_tenths_of_h3_and_the_star_keeps_all():
    h2, h3 = relative_contrast(T_TYPE, [1.593, 1.667], [0.052, 0.054])
    assert 0.08 < h3 / h2 < 0.2
    np.testing.assert_array_equal(relative_contrast(STAR, [1.0, np.nan]), 1.0)


def test_a_band_averages_what_is_in_it():
    # From the bottom of the J window to its peak; trapezium over the nodes of the table.
    inside = relative_contrast(T_TYPE, np.linspace(1.2, 1.3, 2001))
    assert relative_contrast(T_TYPE, [1.25], [0.1])[0] == pytest.approx(inside.mean(), rel=0.01)


def test_nodes_can_be_replaced_by_configuration():
    key = "companion_relative_contrast[spectrum=t-type,wavelength_nm=1600]"
    table = default_constants().with_overrides({key: 2.0})
    assert relative_contrast(T_TYPE, [1.6], constants=table)[0] == 2.0


def test_unknown_spectrum_and_unknown_wavelength_are_errors():
    with pytest.raises(ConfigError, match="l-type"):
        relative_contrast("l-type", [1.6])
    with pytest.raises(DataError, match="wavelength"):
        relative_contrast(T_TYPE, [1.6, np.nan])
