"""Spectral differential imaging: the other channels of the same exposure serve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spheredc_hpc.level2.alignment import aligned_rows
from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.registry import strategy


@strategy("sdi")
@exploits(wavelength=True)
def sdi(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract the other channels of the same exposure, rescaled to equal speckles.

    Parameters
    ----------
    prepared : Sequence
        At least two channels with known wavelengths.

    Returns
    -------
    tuple of Rows
        One, of all channels; rows of one exposure see each other.

    Raises
    ------
    DataError
        If the speckles cannot be aligned.

    Notes
    -----
    Racine et al. (1999), PASP 111, 587. Pixels that one channel alone covers have no
    reference and get no residual.
    """
    rows = aligned_rows(prepared.channels)
    return (replace(rows, cliques=exposures(rows), least_channels=2),)


def exposures(rows: Rows) -> tuple[np.ndarray, ...]:
    """Rows of each time."""
    time = rows.table.time
    return tuple(np.flatnonzero(time == t) for t in np.unique(time[time >= 0]))
