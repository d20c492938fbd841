"""Means along the first axis that leave outliers out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826
# Rows treated at a time. Fixed, so that results do not depend on threads or memory.
BLOCK_ROWS = 64


class ClippedMean(NamedTuple):
    """Result of `clipped_mean`.

    Attributes
    ----------
    mean : array of float32, shape (ny, nx)
        Mean of the values kept; NaN where there is none.
    variance : array of float32, shape (ny, nx)
        Variance of one value about the mean; NaN where fewer than two were kept.
    kept : array of int32, shape (ny, nx)
        Values kept.
    """

    mean: Image
    variance: Image
    kept: NDArray[np.int32]


def robust_sigma(values: NDArray[np.floating]) -> float:
    """Scaled median absolute deviation of the finite `values`; NaN if there are none."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(finite - np.median(finite))))


def typical_variance(variances: NDArray[np.floating], free: int) -> float:
    """Find the variance behind many sample variances, few of which may be wrong.

    Parameters
    ----------
    variances : array
        Sample variances; those that are not finite are left out.
    free : int
        Degrees of freedom of each, at least 1.

    Returns
    -------
    float
        Their median over that of a chi-squared distribution with `free` degrees of freedom
        (Wilson & Hilferty 1931, PNAS 17, 684), times `free`; 0 if none is finite.
    """
    finite = variances[np.isfinite(variances)]
    if finite.size == 0:
        return 0.0
    return float(np.median(finite)) / (1 - 2 / (9 * free)) ** 3


def clipped_mean(stack: Image, sigma: float = 4.0, iterations: int = 2) -> ClippedMean:
    """Average each pixel over the stack without outliers.

    Parameters
    ----------
    stack : array of float32, shape (n, ny, nx)
        Planes. NaN is left out.
    sigma : float
        Distance from the median beyond which a value is left out, in scaled median absolute
        deviations.
    iterations : int
        How often the median and the deviation are taken anew from what is left.

    Returns
    -------
    ClippedMean

    Raises
    ------
    KernelInputError
        If the stack is empty or not three-dimensional.

    Notes
    -----
    The deviation of a pixel over a handful of planes is itself uncertain and too small on
    average, so it is never taken smaller than the typical standard deviation of the image
    (`typical_variance`). Fewer than three planes are not clipped.
    Cost: O(n * ny * nx) medians.
    """
    if stack.ndim != 3 or stack.shape[0] == 0:
        raise KernelInputError(f"stack (n, ny, nx) with n > 0 wanted, got {stack.shape}")
    rows = blocks(stack.shape[1], BLOCK_ROWS)
    floor = 0.0
    if stack.shape[0] >= 3:
        parts = map_ordered(lambda part: np.var(stack[:, part], axis=0, ddof=1), rows)
        floor = float(np.sqrt(typical_variance(np.concatenate(parts), stack.shape[0] - 1)))
    rounds = iterations if stack.shape[0] >= 3 else 0
    clipped = map_ordered(lambda part: _clip(stack[:, part], sigma, rounds, floor), rows)
    mean, variance, count = (np.concatenate(pieces) for pieces in zip(*clipped, strict=True))
    return ClippedMean(mean.astype(np.float32), variance.astype(np.float32), count.astype(np.int32))


def _median_and_mad(values: Image) -> tuple[Image, Image]:
    if np.isfinite(values).all():
        middle = np.median(values, axis=0)
        return middle, np.float32(MAD_TO_SIGMA) * np.median(np.abs(values - middle), axis=0)
    empty = ~np.isfinite(values).any(axis=0)
    safe = np.where(empty, np.float32(0), values)
    middle = np.nanmedian(safe, axis=0)
    spread = np.float32(MAD_TO_SIGMA) * np.nanmedian(np.abs(safe - middle), axis=0)
    middle[empty], spread[empty] = np.nan, np.nan
    return middle, spread


def _clip(
    values: Image, sigma: float, rounds: int, floor: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    kept = np.isfinite(values)
    work = values
    for _ in range(rounds):
        middle, spread = _median_and_mad(work)
        with np.errstate(invalid="ignore"):
            kept &= ~(np.abs(values - middle) > sigma * np.maximum(spread, floor))
        if kept.all():
            break
        work = np.where(kept, values, np.float32(np.nan))
    count = kept.sum(axis=0)
    held = np.where(kept, values, 0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = held.sum(axis=0) / count
        squares = np.where(kept, values - mean, 0.0) ** 2
        variance = squares.sum(axis=0) / (count - 1)
    variance[count < 2] = np.nan
    return mean, variance, count
