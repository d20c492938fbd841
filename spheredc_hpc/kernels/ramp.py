"""Straight lines through exposures of rising integration time, pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Image = NDArray[np.float32]


class Ramp(NamedTuple):
    """Result of `fit_ramp`, each of shape (ny, nx), float32.

    Attributes
    ----------
    slope : array
        Counts per second [adu/s].
    intercept : array
        Counts at time zero: bias, and dark signal that does not grow [adu].
    nonlinearity : array
        Largest departure from the line over the span of the line; NaN where the slope is not
        positive.
    """

    slope: Image
    intercept: Image
    nonlinearity: Image


def fit_ramp(levels: Image, times_s: NDArray[np.float64]) -> Ramp:
    """Fit ``counts = intercept + slope * time`` to every pixel by least squares.

    Parameters
    ----------
    levels : array of float32, shape (n, ny, nx)
        Exposures [adu], finite; NaN spreads to the results of its pixel.
    times_s : array, shape (n,)
        Integration times [s]; may repeat, at least two differ.

    Returns
    -------
    Ramp

    Raises
    ------
    KernelInputError
        If the numbers of exposures and times differ or fewer than two times are distinct.

    Notes
    -----
    Equal weights: in a lamp series the scatter of the lamp, common to all pixels and removed by
    the normalisation of the flat, exceeds the photon noise. Sums are taken in float64.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if levels.ndim != 3 or times.shape != levels.shape[:1]:
        raise KernelInputError(f"levels {levels.shape} and times {times.shape} do not fit")
    if np.unique(times).size < 2:
        raise KernelInputError(f"a line needs two integration times, got {times.tolist()}")
    middle = times.mean()
    offsets = times - middle
    slope = np.tensordot(offsets / np.sum(offsets**2), levels, axes=1)
    level = np.tensordot(np.full(len(times), 1 / len(times)), levels, axes=1)
    worst = np.zeros(levels.shape[1:])
    for plane, offset in zip(levels, offsets, strict=True):
        np.maximum(worst, np.abs(plane - level - slope * offset), out=worst)
    span = slope * np.ptp(times)
    relative = np.divide(worst, span, out=np.full(worst.shape, np.nan), where=span > 0)
    return Ramp(
        slope.astype(np.float32),
        (level - slope * middle).astype(np.float32),
        relative.astype(np.float32),
    )
