"""Combination of derotated frames into one image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Combination = Literal["mean", "median", "weighted"]
Image = NDArray[np.floating[Any]]

# Rows of the image combined at a time. Fixed, so that results do not depend on threads.
BLOCK_ROWS = 32


def combine_frames(
    frames: Image,
    combination: Combination = "mean",
    *,
    valid: NDArray[np.bool_] | None = None,
    weights: Image | None = None,
) -> NDArray[np.float32]:
    """Combine frames along their first axis.

    Parameters
    ----------
    frames : array, shape (n, ny, nx)
        Frames on a common grid. Values where `valid` is false are not looked at, others must
        be finite.
    combination : {"mean", "median", "weighted"}
        "weighted" is the mean with `weights`.
    valid : array of bool, shape (n, ny, nx), optional
        Pixels to use; all of them if absent.
    weights : array, shape (n, ny, nx) or (n, 1, 1), optional
        Weights, usually inverse variances, >= 0; needed by "weighted" only.

    Returns
    -------
    array of float32, shape (ny, nx)
        Combined image, NaN where no frame has a valid pixel.

    Raises
    ------
    KernelInputError
        If shapes do not fit or weights are missing.

    Notes
    -----
    Sums are taken in float64.
    """
    if frames.ndim != 3 or frames.shape[0] == 0:
        raise KernelInputError(f"frames (n, ny, nx) with n > 0 wanted, got {frames.shape}")
    if combination not in ("mean", "median", "weighted"):
        raise KernelInputError(f"unknown combination {combination!r}")
    if combination == "weighted" and weights is None:
        raise KernelInputError("combination 'weighted' needs weights")
    if valid is not None and valid.shape != frames.shape:
        raise KernelInputError(f"mask {valid.shape} does not fit frames {frames.shape}")
    full_weights = None
    if weights is not None:
        full_weights = np.broadcast_to(weights, frames.shape)

    def part(rows: slice) -> NDArray[np.float64]:
        piece = frames[:, rows]
        good = None if valid is None else valid[:, rows]
        if combination == "median":
            return _median(piece, good)
        given = None
        if combination == "weighted" and full_weights is not None:
            given = full_weights[:, rows]
        return _mean(piece, good, given)

    parts = map_ordered(part, blocks(frames.shape[1], BLOCK_ROWS))
    return np.concatenate(parts, axis=0).astype(np.float32)


def _mean(
    frames: Image, valid: NDArray[np.bool_] | None, weights: Image | None
) -> NDArray[np.float64]:
    if weights is None and valid is None:
        return np.asarray(frames.mean(axis=0, dtype=np.float64))
    factor = np.ones(frames.shape) if weights is None else weights.astype(np.float64)
    if valid is not None:
        factor = np.where(valid, factor, 0.0)
        frames = np.where(valid, frames, 0.0)
    total = factor.sum(axis=0)
    summed = (frames * factor).sum(axis=0)
    mean = np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.asarray(mean, np.float64)


def _median(frames: Image, valid: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    if valid is None or valid.all():
        return np.asarray(np.median(frames, axis=0), np.float64)
    ranked = np.sort(np.where(valid, frames, np.inf), axis=0)
    count = valid.sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.minimum(count // 2, frames.shape[0] - 1)[None]
    pair = np.take_along_axis(ranked, low, 0)[0], np.take_along_axis(ranked, high, 0)[0]
    with np.errstate(invalid="ignore"):
        median = 0.5 * (pair[0].astype(np.float64) + pair[1])
    median[count == 0] = np.nan
    return np.asarray(median, np.float64)
