"""Spectra of companions relative to that of their star."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants, default_constants

Floats = NDArray[np.float64]

STAR = "star"
"""Name of the spectrum of the star itself: the same contrast at every wavelength."""
T_TYPE = "t-type"
"""Name of the spectrum of a methane dwarf."""
# Points at which a band is sampled.
_SAMPLES = 21


def relative_contrast(
    spectrum: str,
    wavelength_um: ArrayLike,
    bandwidth_um: ArrayLike = 0.0,
    constants: Constants | None = None,
) -> Floats:
    """Mean companion to star flux ratio in bands, on a scale of which only the form counts.

    Parameters
    ----------
    spectrum : str
        `STAR` or a spectrum of the table of constants (`T_TYPE`).
    wavelength_um, bandwidth_um : array_like, shape (n,)
        Centres and full widths of the bands [um].
    constants : Constants, optional
        Table with the spectra; the default one if absent.

    Returns
    -------
    array of float64, shape (n,)
        1 for `STAR`. Else linear between the nodes of the table, flat beyond their ends,
        averaged over each band as if the transmission were constant within it.

    Raises
    ------
    DataError
        If a wavelength is not known and the spectrum depends on it.
    ConfigError
        If the table has no such spectrum.
    """
    centre = np.atleast_1d(np.asarray(wavelength_um, np.float64))
    if spectrum == STAR:
        return np.ones(centre.shape)
    if not np.isfinite(centre).all():
        raise DataError(f"a companion of spectrum {spectrum} needs the wavelength of every channel")
    table = constants or default_constants()
    # `get` names what there is if the spectrum is unknown.
    rows = table.rows("companion_relative_contrast", spectrum=spectrum) or (
        table.get("companion_relative_contrast", spectrum=spectrum),
    )
    nodes = sorted((float(dict(row.selector)["wavelength_nm"]) / 1e3, row.value) for row in rows)
    at, value = np.array(nodes).T
    width = np.nan_to_num(np.broadcast_to(np.asarray(bandwidth_um, np.float64), centre.shape))
    step = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    return np.asarray(np.interp(centre[:, None] + width[:, None] * step, at, value).mean(axis=1))
