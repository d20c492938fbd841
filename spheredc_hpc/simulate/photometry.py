"""How many counts a star gives, and how bright halo and background are.

The levels describe the simulated instrument only; the pipeline measures its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.filters import Band

HALO_ARCSEC = np.array([0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 4.0, 8.0])
HALO_LEVEL = np.array([9e-3, 1.7e-3, 8e-4, 3e-4, 1e-4, 8e-5, 3e-5, 8e-6, 3e-6, 3e-7, 3e-8])
"""Azimuthal mean relative to the unocculted peak before the mask takes its part, 1.6 um,
median conditions (engineering estimate, like the shares below). Only the shape is used: the
phase variances set the level, so that halo and Strehl ratio agree."""

STATIC_SHARE = np.array([0.55, 0.52, 0.50, 0.42, 0.33, 0.27, 0.17, 0.08, 0.0, 0.0, 0.0])
"""Share of that level in speckles that last, at `HALO_ARCSEC`."""

SLOW_SHARE = np.array([0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.20, 0.10, 0.0, 0.0, 0.0])
"""Share in speckles that live for about a second; the rest is smooth in one integration."""

_FAINT_R, _FAINT_VARIANCE = [9.0, 11.0, 13.0], [0.0, 0.1, 0.4]


def star_rate_adu_s(band: Band, magnitude: float, constants: Constants) -> float:
    """Return the counts of a star over all pixels, clear sky, no neutral density [ADU/s]."""
    photons = constants.value("photon_rate_zero_mag", band=band.name) * 10 ** (-0.4 * magnitude)
    electrons = (
        photons
        * constants.value("telescope_area_m2")
        * band.bandwidth_um
        * constants.value("system_throughput", arm="IRDIS")
    )
    return electrons / constants.value("detector_gain_e_per_adu", arm="IRDIS")


def filter_density(combination: str, band: Band, constants: Constants) -> float:
    """Transmission of a common filter that carries a neutral density, as DB_NDH23; else 1."""
    rows = constants.rows("filter_density", filter=combination, band=band.name)
    return rows[0].value if rows else 1.0


def background_rate_adu_s(band: Band, constants: Constants) -> float:
    """Thermal background of the instrument per pixel [ADU/s]."""
    return constants.value("thermal_background_adu_per_s", arm="IRDIS", band=band.name)


def halo_level(arcsec: ArrayLike) -> NDArray[np.float64]:
    """Coronagraphic level at 1.6 um against distance; flat inside of 0.1 arcsec."""
    distance = np.log(np.maximum(np.asarray(arcsec, dtype=np.float64), HALO_ARCSEC[0]))
    return np.asarray(np.exp(np.interp(distance, np.log(HALO_ARCSEC), np.log(HALO_LEVEL))))


def halo_share(arcsec: ArrayLike, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate `STATIC_SHARE` or `SLOW_SHARE` to distances [arcsec]."""
    return np.asarray(np.interp(np.asarray(arcsec, dtype=np.float64), HALO_ARCSEC, share))


def phase_variance(seeing_arcsec: ArrayLike, tau0_ms: ArrayLike) -> NDArray[np.float64]:
    """Variance of the atmospheric residual phase at 1.6 um [rad2].

    0.093 seeing^(5/3) + 0.050 (3 ms / tau0)^(5/3), seeing in arcsec.
    """
    seeing = np.asarray(seeing_arcsec, dtype=np.float64)
    tau0 = np.asarray(tau0_ms, dtype=np.float64)
    return np.asarray(0.093 * seeing ** (5 / 3) + 0.050 * (3.0 / tau0) ** (5 / 3))


def faint_star_variance(r_magnitude: float) -> float:
    """Return what a faint star adds to the residual phase at 1.6 um [rad2]."""
    return float(np.interp(r_magnitude, _FAINT_R, _FAINT_VARIANCE))
