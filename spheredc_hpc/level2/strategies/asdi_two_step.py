"""Spectral differential imaging per exposure, then angular differential imaging per channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spheredc_hpc.level2.alignment import aligned_rows
from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.level2.strategies.sdi import exposures
from spheredc_hpc.registry import strategy


@strategy("asdi-two-step")
@exploits(rotation=True, wavelength=True)
def asdi_two_step(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract the other channels of an exposure, then what is left at other times.

    Parameters
    ----------
    prepared : Sequence
        At least two channels with known wavelengths.

    Returns
    -------
    tuple of Rows
        One, of all channels, with two steps. Both are done on the grid of equal speckles: rows
        of one channel are aligned with each other there too, so nothing is interpolated
        between the steps.

    Raises
    ------
    DataError
        If the speckles cannot be aligned.
    """
    rows = aligned_rows(prepared.channels)
    channels = tuple(np.flatnonzero(rows.table.channel == k) for k in range(len(rows.channels)))
    return (replace(rows, cliques=exposures(rows), then=channels, least_channels=2),)
