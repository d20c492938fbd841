"""Coronagraphs: radius of the mask and transmission of an off-axis source."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from spheredc_hpc.instrument.constants import Constants, default_constants

_WITHOUT_MASK = ("N_NS_CLEAR", "N_SAM_7H")


def off_axis_transmission(
    name: str, arm: str, separation_mas: ArrayLike, constants: Constants | None = None
) -> NDArray[np.float64] | None:
    """Return the transmission of a source beside the coronagraph mask.

    Parameters
    ----------
    name : str
        ``INS COMB ICOR``.
    arm : str
        ``IRDIS`` or ``IFS``.
    separation_mas : array_like
        Angular distance from the star [mas], not negative.

    Returns
    -------
    array of float64, shape of `separation_mas`, or None
        Fraction of the flux that passes, 0 to 1; monotone interpolation of the measured
        curve, constant beyond its last point. 1 without a mask. None if the coronagraph has
        no curve; products then carry the flag ``CORO_UNCAL``.

    Notes
    -----
    Fritsch & Carlson (1980), SIAM J. Numer. Anal. 17, 238: no overshoot between samples.
    """
    separation = np.asarray(separation_mas, dtype=np.float64)
    if name in _WITHOUT_MASK:
        return np.ones_like(separation)
    table = constants or default_constants()
    rows = table.rows("coronagraph_transmission", coronagraph=name, arm=arm)
    if not rows:
        return None
    samples = sorted((float(dict(row.selector)["separation_mas"]), row.value) for row in rows)
    at, transmission = np.array(samples).T
    curve = PchipInterpolator(at, transmission, extrapolate=False)
    values = curve(np.clip(separation, at[0], at[-1]))
    return np.clip(np.asarray(values, dtype=np.float64), transmission[0], transmission[-1])


def mask_radius_mas(name: str, constants: Constants | None = None) -> float | None:
    """Return the radius of the focal mask [mas], 0 without a mask, None if not known."""
    rows = (constants or default_constants()).rows("coronagraph_mask_radius_mas", coronagraph=name)
    return rows[0].value if rows else None
