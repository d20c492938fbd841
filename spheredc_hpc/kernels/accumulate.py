"""Sums of frames that come a few at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Array = Any

# Rows of the image added at a time. Fixed, so that results do not depend on threads.
BLOCK_ROWS = 32


@numba.njit(cache=True, nogil=True)
def _add(total, frames, weights):  # type: ignore[no-untyped-def]
    for i in range(frames.shape[0]):
        weight = weights[i]
        for y in range(total.shape[0]):
            for x in range(total.shape[1]):
                total[y, x] += weight * frames[i, y, x]


@numba.njit(cache=True, nogil=True)
def _add_valid(total, frames, weights, valid):  # type: ignore[no-untyped-def]
    for i in range(frames.shape[0]):
        weight = weights[i]
        for y in range(total.shape[0]):
            for x in range(total.shape[1]):
                if valid[i, y, x]:
                    total[y, x] += weight * frames[i, y, x]


def add_frames(total: Array, frames: Array, weights: Array, valid: Array | None = None) -> Array:
    """Add weighted frames to a sum, one after the other in float64.

    Parameters
    ----------
    total : array of float64, shape (ny, nx)
        Sum so far; NumPy arrays are changed.
    frames : array, shape (n, ny, nx)
        Frames, finite where `valid`.
    weights : array of float64, shape (n,)
        Factors, in the array library of `frames`.
    valid : array of bool, shape (n, ny, nx), optional
        Pixels that count; all if absent.

    Returns
    -------
    array of float64, shape (ny, nx)
        The new sum.

    Raises
    ------
    KernelInputError
        If shapes do not fit.

    Notes
    -----
    The order of the additions is that of the frames, however many threads share the rows.
    """
    if frames.shape[1:] != total.shape or weights.shape != frames.shape[:1]:
        raise KernelInputError(f"sum {total.shape}, frames {frames.shape}, {weights.shape} weights")
    if valid is not None and valid.shape != frames.shape:
        raise KernelInputError(f"mask {valid.shape} does not fit frames {frames.shape}")
    xp = array_namespace(total, frames, weights)
    if not is_numpy_namespace(xp):
        wide = xp.astype(frames, xp.float64) * weights[:, None, None]
        if valid is not None:
            wide = xp.where(valid, wide, xp.zeros_like(wide))
        return total + xp.sum(wide, axis=0)

    def part(rows: slice) -> None:
        if valid is None:
            _add(total[rows], frames[:, rows], weights)
        else:
            _add_valid(total[rows], frames[:, rows], weights, valid[:, rows])

    map_ordered(part, blocks(total.shape[0], BLOCK_ROWS))
    return np.asarray(total)
