"""Satellite spots of the deformable-mirror waffle."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants, default_constants

_FIRST_SPOT_DEG = {"+": 0.0, "x": 45.0}
_MAS_PER_RAD = math.degrees(1.0) * 3.6e6


def lambda_over_d_px(
    wavelength_um: ArrayLike,
    constants: Constants | None = None,
    *,
    arm: str = "IRDIS",
    band: str = "",
    mjd: float | None = None,
) -> NDArray[np.float64]:
    """Return lambda/D [px] for wavelengths [um], in the pixel scale of `arm`, `band` and date."""
    table = constants or default_constants()
    angle = np.asarray(wavelength_um, dtype=np.float64) * 1e-6
    angle = angle / table.value("telescope_diameter_m", mjd=mjd) * _MAS_PER_RAD
    return np.asarray(angle / table.value("pixel_scale_mas", mjd=mjd, arm=arm, band=band))


def spot_radius_px(
    wavelength_um: ArrayLike,
    constants: Constants | None = None,
    *,
    arm: str = "IRDIS",
    band: str = "",
    mjd: float | None = None,
) -> NDArray[np.float64]:
    """Return the distance of the spots from the star.

    Parameters
    ----------
    wavelength_um : array_like
        Wavelengths [um].
    constants : Constants, optional
        The shipped table if absent.
    arm, band : str
        Whose pixel scale is used; without a band the mean scale of the arm.
    mjd : float, optional
        Date of the data [d], for constants that changed with time.

    Returns
    -------
    array of float64, shape of `wavelength_um`
        Radius [px].
    """
    table = constants or default_constants()
    radius = table.value("waffle_radius_lambda_over_d", mjd=mjd)
    return radius * lambda_over_d_px(wavelength_um, table, arm=arm, band=band, mjd=mjd)


def spot_angles_deg(
    orientation: str,
    arm: str = "IRDIS",
    constants: Constants | None = None,
    mjd: float | None = None,
) -> NDArray[np.float64]:
    """Return the four directions of the spots from the star.

    Parameters
    ----------
    orientation : str
        ``OCS WAFFLE ORIENT``: ``x`` or ``+``.

    Returns
    -------
    array of float64, shape (4,)
        Counter-clockwise from +x on the detector (IRDIS) or cube (IFS) [deg], 0 to 360.

    Raises
    ------
    DataError
        If the orientation is neither.
    """
    key = orientation.strip().lower()
    if key not in _FIRST_SPOT_DEG:
        raise DataError(f"waffle orientation {orientation!r}; expected 'x' or '+'")
    table = constants or default_constants()
    turn = table.value("waffle_orientation_offset_deg", mjd=mjd, arm=arm)
    return np.sort((_FIRST_SPOT_DEG[key] + turn + 90.0 * np.arange(4)) % 360.0)
