"""Paranal: where the telescope stands, and its sidereal time."""

from __future__ import annotations

from functools import cache
from typing import Any

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.instrument.constants import default_constants

latitude_deg: float = default_constants().value("site_latitude_deg")
longitude_deg: float = default_constants().value("site_longitude_deg")
elevation_m: float = default_constants().value("site_elevation_m")

_MJD_ZERO = 2400000.5


def apparent_sidereal_time_deg(
    mjd_utc: ArrayLike, longitude_east_deg: float = longitude_deg
) -> NDArray[np.float64]:
    """Return the local apparent sidereal time.

    Parameters
    ----------
    mjd_utc : array_like
        Modified Julian dates [d, UTC].
    longitude_east_deg : float
        Longitude, positive to the east [deg].

    Returns
    -------
    array of float64, shape of `mjd_utc`
        Angle in 0 to 360 [deg].

    Notes
    -----
    IAU 2006/2000A by way of ERFA. UT1-UTC comes from the IERS table that is installed with
    astropy, never from the network; outside of the table its nearest value is held, which
    costs less than 0.004 deg as UT1-UTC stays below 0.9 s.
    """
    mjd = np.asarray(mjd_utc, dtype=np.float64)
    tt = erfa.taitt(*erfa.utctai(_MJD_ZERO, mjd))
    ut1 = erfa.utcut1(_MJD_ZERO, mjd, _ut1_minus_utc_s(mjd))
    angle = np.rad2deg(erfa.gst06a(*ut1, *tt)) + longitude_east_deg
    return np.asarray(angle % 360.0, dtype=np.float64)


def _ut1_minus_utc_s(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    table, first, last = _iers_table()
    inside = np.clip(mjd, first, last)
    return np.asarray(table.ut1_utc(_MJD_ZERO, inside).to_value("s"), dtype=np.float64)


@cache
def _iers_table() -> tuple[Any, float, float]:
    from astropy.utils import iers

    table = iers.IERS_A.open(iers.IERS_A_FILE)
    first, last = (float(table["MJD"][row].to_value("d")) for row in (0, -1))
    return table, first, last - 0.5  # beyond its last day the table refuses
