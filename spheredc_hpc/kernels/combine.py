"""Combination of derotated frames into one image."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.checks import check_floating, row_range
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.sorting import LANES, comparators, sort_lanes

Array = Any
Combination = Literal["mean", "median", "weighted", "trimmed"]
Image = NDArray[np.float32]

# Pixels combined at a time. Fixed, so that results do not depend on threads.
BLOCK_PIXELS = 8192
# Values of one batch on other array libraries: 64 MB in float32.
_BATCH_VALUES = 2**24
# A median is the mean of what is left when all but the middle is cut.
_MEDIAN_TRIM = 0.5
_CHUNK = 512
_NO_MASK = np.zeros((0, 0), np.bool_)


def combine_frames(
    frames: Array,
    combination: Combination = "mean",
    *,
    valid: Array | None = None,
    weights: Array | None = None,
    trim: float = 0.1,
    rows: slice | None = None,
) -> Array:
    """Combine frames along their first axis.

    Parameters
    ----------
    frames : array of float32 or float64, shape (n, ny, nx)
        Frames on a common grid. Values where `valid` is false are not looked at, others must
        be finite. NumPy frames that are not contiguous are copied.
    combination : {"mean", "median", "weighted", "trimmed"}
        "weighted" is the mean with `weights`, "trimmed" the mean after `trim`.
    valid : array of bool, shape (n, n_rows, nx), optional
        Pixels to use; all of them if absent.
    weights : array, shape (n, n_rows, nx) or (n, 1, 1), optional
        Weights, usually inverse variances, >= 0; needed by "weighted" only.
    trim : float
        Fraction of the valid values of a pixel that "trimmed" leaves out at either end,
        rounded down to a whole number; at least 0 and below 0.5.
    rows : slice, optional
        Rows to combine, without a step; all `ny` if absent.

    Returns
    -------
    array of float32, shape (n_rows, nx)
        Combined image, NaN where no frame has a valid pixel or all weights are zero.

    Raises
    ------
    KernelInputError
        If shapes do not fit, the frames are not floating, weights are missing or the trim or
        the rows are out of range.

    Notes
    -----
    Sums are taken in float64, in the order of the frames or, if medians and trimmed means ask
    for it, of the ranks. Ranks of NumPy frames come from a sorting network (`sorting`).
    Cost: O(n * ny * nx), with ranks times about ``log2(n)**2 / 4`` vector steps.
    """
    if frames.ndim != 3 or frames.shape[0] == 0:
        raise KernelInputError(f"frames (n, ny, nx) with n > 0 wanted, got {frames.shape}")
    check_floating(frames)
    wanted = slice(*row_range(rows, frames.shape[1]))
    _check(frames, wanted, combination, valid, weights, trim)
    ranks = {"median": _MEDIAN_TRIM, "trimmed": trim}.get(combination)
    if combination != "weighted":
        weights = None
    xp = array_namespace(frames)
    if not is_numpy_namespace(xp):
        return _combine_stack(xp, frames[:, wanted, :], valid, weights, ranks)
    if ranks is None:
        return _weighted_numpy(frames, wanted, valid, weights)
    return _ranked_numpy(frames, wanted, valid, ranks)


def _check(
    frames: Array,
    rows: slice,
    combination: str,
    valid: Array | None,
    weights: Array | None,
    trim: float,
) -> None:
    if combination not in get_args(Combination):
        raise KernelInputError(f"unknown combination {combination!r}")
    shape = (frames.shape[0], rows.stop - rows.start, frames.shape[2])
    if valid is not None and valid.shape != shape:
        raise KernelInputError(f"mask {valid.shape} does not fit frames {shape}")
    if not 0 <= trim < 0.5:
        raise KernelInputError(f"trim={trim}, at least 0 and below 0.5 wanted")
    if combination != "weighted":
        return
    if weights is None:
        raise KernelInputError("combination 'weighted' needs weights")
    if weights.shape not in (shape, (frames.shape[0], 1, 1)):
        raise KernelInputError(f"weights {weights.shape} do not fit frames {shape}")


# ---------------------------------------------------------------- NumPy


def _flat_mask(valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return _NO_MASK if valid is None else np.ascontiguousarray(valid).reshape(len(valid), -1)


def _weighted_numpy(
    frames: NDArray[Any],
    rows: slice,
    valid: NDArray[np.bool_] | None,
    weights: NDArray[Any] | None,
) -> Image:
    n, nx, ny = frames.shape[0], frames.shape[2], rows.stop - rows.start
    skipped = rows.start * nx
    flat, mask = np.ascontiguousarray(frames).reshape(n, -1), _flat_mask(valid)
    given = np.ones((n, 1)) if weights is None else np.ascontiguousarray(weights).reshape(n, -1)
    image = np.empty(ny * nx, np.float32)
    map_ordered(
        lambda part: _weighted_mean(flat, skipped, mask, given, (part.start, part.stop), image),
        blocks(ny * nx, BLOCK_PIXELS),
    )
    return image.reshape(ny, nx)


@numba.njit(cache=True, nogil=True)
def _weighted_mean(flat, skipped, mask, weights, part, image):  # type: ignore[no-untyped-def]
    """Weighted mean of some pixels after those skipped; one weight a frame or one a pixel."""
    total, norm = np.empty(_CHUNK), np.empty(_CHUNK)
    for first in range(part[0], part[1], _CHUNK):
        size = min(_CHUNK, part[1] - first)
        total[:] = 0
        norm[:] = 0
        for i in range(flat.shape[0]):
            values = flat[i, skipped + first : skipped + first + size]
            if mask.size == 0 and weights.shape[1] == 1:
                weight = np.float64(weights[i, 0])
                for k in range(size):
                    total[k] += weight * values[k]
                    norm[k] += weight
            else:
                for k in range(size):
                    weight = weights[i, 0] if weights.shape[1] == 1 else weights[i, first + k]
                    if mask.size == 0 or mask[i, first + k]:
                        total[k] += np.float64(weight) * values[k]
                        norm[k] += weight
        for k in range(size):
            image[first + k] = total[k] / norm[k] if norm[k] > 0 else np.nan


def _ranked_numpy(
    frames: NDArray[Any], rows: slice, valid: NDArray[np.bool_] | None, trim: float
) -> Image:
    n, nx, ny = frames.shape[0], frames.shape[2], rows.stop - rows.start
    skipped = rows.start * nx
    flat, mask = np.ascontiguousarray(frames).reshape(n, -1), _flat_mask(valid)
    cut = int(_cut(n, trim))
    steps = comparators(n, cut, n - 1 - cut)
    every = steps if valid is None else comparators(n, 0, n - 1)
    image = np.empty(ny * nx, np.float32)
    map_ordered(
        lambda part: _mean_of_ranks(
            (flat, skipped), mask, trim, (steps, every), (part.start, part.stop), image
        ),
        blocks(ny * nx, BLOCK_PIXELS),
    )
    return image.reshape(ny, nx)


@numba.njit(cache=True, nogil=True)
def _cut(count, trim):  # type: ignore[no-untyped-def]
    """Values to leave out at either end of `count`; some are always left."""
    return max(0, min(int(np.floor(trim * count + 1e-9)), (count - 1) // 2))


@numba.njit(cache=True, nogil=True)
def _load(flat, skipped, mask, first, width, tile, count):  # type: ignore[no-untyped-def]
    """Fill a tile with pixels, infinity where they are not valid; tell if all are valid."""
    missing = 0
    count[:] = flat.shape[0]
    for i in range(flat.shape[0]):
        line, values = tile[i], flat[i, skipped + first : skipped + first + width]
        if width == LANES:
            for lane in range(LANES):
                line[lane] = values[lane]
        else:
            line[:] = 0
            line[:width] = values
        if mask.size > 0:
            for lane in range(width):
                if not mask[i, first + lane]:
                    line[lane] = np.inf
                    count[lane] -= 1
                    missing += 1
    return missing == 0


@numba.njit(cache=True, nogil=True)
def _mean_of_ranks(frames, mask, trim, networks, part, image):  # type: ignore[no-untyped-def]
    """Mean of the middle ranks of some pixels; networks for those and for all ranks.

    `frames` are all pixels of the frames and how many of them come before the first of `mask`.
    """
    flat, skipped = frames
    n = flat.shape[0]
    tile = np.empty((n, LANES), flat.dtype)
    count = np.empty(LANES, np.int64)
    total = np.empty(LANES)
    for first in range(part[0], part[1], LANES):
        width = min(LANES, part[1] - first)
        if _load(flat, skipped, mask, first, width, tile, count):
            sort_lanes(tile, networks[0])
        else:
            sort_lanes(tile, networks[1])
        total[:] = 0
        for lane in range(width):
            cut = _cut(count[lane], trim)
            for rank in range(cut, count[lane] - cut):
                total[lane] += tile[rank, lane]
            left = count[lane] - 2 * cut
            image[first + lane] = total[lane] / left if left > 0 else np.nan


# ---------------------------------------------------------------- other array libraries


def _combine_stack(
    xp: Any, frames: Array, valid: Array | None, weights: Array | None, ranks: float | None
) -> Array:
    n, ny, nx = frames.shape
    if ny == 0 or nx == 0:
        return xp.zeros((ny, nx), dtype=xp.float32)
    parts = []
    for rows in blocks(ny, max(1, _BATCH_VALUES // (n * nx))):
        piece = frames[:, rows, :]
        good = None if valid is None else valid[:, rows, :]
        if ranks is not None:
            parts.append(_ranked_stack(xp, piece, good, ranks))
            continue
        given = xp.ones((n, 1, 1), dtype=xp.float64)
        if weights is not None:
            whole = weights.shape != frames.shape
            given = xp.astype(weights if whole else weights[:, rows, :], xp.float64)
        given = xp.broadcast_to(given, piece.shape)
        values = xp.astype(piece, xp.float64)
        if good is not None:
            given = xp.where(good, given, 0.0)
            values = xp.where(good, values, 0.0)
        norm = xp.sum(given, axis=0)
        mean = xp.sum(values * given, axis=0) / xp.where(norm > 0, norm, 1.0)
        parts.append(xp.where(norm > 0, mean, xp.nan))
    return xp.astype(xp.concat(parts, axis=0), xp.float32)


def _ranked_stack(xp: Any, frames: Array, valid: Array | None, trim: float) -> Array:
    n = frames.shape[0]
    if valid is None:
        valid = xp.ones(frames.shape, dtype=xp.bool)
    ordered = xp.sort(xp.where(valid, frames, xp.inf), axis=0)
    count = xp.sum(xp.astype(valid, xp.int64), axis=0)
    cut = xp.astype(xp.floor(trim * xp.astype(count, xp.float64) + 1e-9), xp.int64)
    cut = xp.clip(cut, 0, None)
    cut = xp.where(cut > (count - 1) // 2, (count - 1) // 2, cut)
    rank = xp.arange(n, dtype=xp.int64)[:, None, None]
    kept = (rank >= cut[None, ...]) & (rank < (count - cut)[None, ...])
    total = xp.sum(xp.where(kept, xp.astype(ordered, xp.float64), 0.0), axis=0)
    left = xp.astype(count - 2 * cut, xp.float64)
    return xp.where(count > 0, total / xp.where(count > 0, left, 1.0), xp.nan)
