"""Samples of frames between pixels, by a windowed sinc."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Array = Any
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Half width of the kernel [px] and shape of its Kaiser window. With them a Gaussian of
# FWHM 3.5 px is reproduced to 7e-4 of its peak.
REACH_PX = 4
_BETA = 6.0
_STEPS = 512


def _table() -> Floats:
    """Kernel values at `_STEPS` sub-pixel phases; each row sums to 1.

    Round-off takes a position just below zero to phase 1, which asks for the phase after it.
    """
    phase = np.arange(_STEPS + 2)[:, None] / _STEPS
    distance = np.arange(1 - REACH_PX, REACH_PX + 1)[None, :] - phase
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / REACH_PX) ** 2, 0, 1))) / np.i0(_BETA)
    kernel = np.sinc(distance) * window
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


_KERNEL = _table()


@numba.njit(cache=True, nogil=True)
def _mark(mark, side, xs, ys):  # type: ignore[no-untyped-def]
    for p in range(xs.size):
        x, y = int(np.floor(xs[p])) + 1 - REACH_PX, int(np.floor(ys[p])) + 1 - REACH_PX
        low, high = max(x, 0), min(x + 2 * REACH_PX, side)
        for line in range(max(y, 0), min(y + 2 * REACH_PX, side)):
            for column in range(low, high):
                mark[line * side + column] = True


def sampled_pixels(xs: Floats, ys: Floats, side: int) -> Ints:
    """Flat indices of the pixels that samples of square frames need on any frame, rising.

    Parameters
    ----------
    xs, ys : array of float64
        Positions [px], finite: not checked.
    side : int
        Side of the frames [px].

    Returns
    -------
    array of int64
        Pixels within the frame only.
    """
    mark = np.zeros(side * side, np.bool_)
    _mark(mark, side, xs.ravel(), ys.ravel())
    return np.flatnonzero(mark)


@numba.njit(cache=True, nogil=True)
def _sample_held(values, place, side, xs, ys, kernel, out):  # type: ignore[no-untyped-def]
    """Sample; False if a position is no number or a column is not among the values."""
    taps = kernel.shape[1]
    reach = taps // 2
    steps = kernel.shape[0] - 2
    for t in range(xs.shape[0]):
        for p in range(xs.shape[1]):
            if not (np.isfinite(xs[t, p]) and np.isfinite(ys[t, p])):
                return False
            # Whole numbers have no room for what is far away.
            if max(abs(xs[t, p]), abs(ys[t, p])) > side + taps:
                out[t, p] = 0.0
                continue
            ix, iy = int(np.floor(xs[t, p])), int(np.floor(ys[t, p]))
            px, py = (xs[t, p] - ix) * steps, (ys[t, p] - iy) * steps
            kx, ky = int(px), int(py)
            fx, fy = px - kx, py - ky
            total = 0.0
            for j in range(taps):
                y = iy + j + 1 - reach
                if y < 0 or y >= side:
                    continue
                row = 0.0
                for i in range(taps):
                    x = ix + i + 1 - reach
                    if 0 <= x < side:
                        at = place[y * side + x]
                        if at >= values.shape[1]:
                            return False
                        if at >= 0:
                            weight = kernel[kx, i] + fx * (kernel[kx + 1, i] - kernel[kx, i])
                            row += weight * values[t, at]
                total += (kernel[ky, j] + fy * (kernel[ky + 1, j] - kernel[ky, j])) * row
            out[t, p] = total
    return True


def sample_held(values: Array, place: Ints, xs: Floats, ys: Floats) -> Array:
    """Values of frames at positions that differ from frame to frame.

    Parameters
    ----------
    values : array, shape (n_time, n_pix)
        Pixels of square frames, one frame a row, finite.
    place : array of int64, shape (side**2,)
        Column of each pixel, below `n_pix`; negative for those not held, which count as zero.
    xs, ys : array of float64, shape (n_time, n_point)
        Positions on each frame [px], finite. Outside of the frames is zero.

    Returns
    -------
    array of float64, shape (n_time, n_point)
        In the array library of `values`.

    Raises
    ------
    KernelInputError
        If shapes do not fit, a position is not finite, or a column is not among the values.

    Notes
    -----
    A sinc with a Kaiser window of `REACH_PX` pixels on either side. Cost: 64 multiplications
    a point.
    """
    side = math.isqrt(place.size)
    matrices = values.ndim == 2 and xs.ndim == 2 and place.ndim == 1
    if not matrices or side * side != place.size or xs.shape != ys.shape:
        raise KernelInputError(
            f"values {values.shape}, {place.shape} pixels, positions {xs.shape} and {ys.shape}"
        )
    if xs.shape[0] != values.shape[0]:
        raise KernelInputError(f"positions on {xs.shape[0]} frames, values of {values.shape[0]}")
    out = np.empty(xs.shape)
    if isinstance(values, np.ndarray):
        sound = _sample_held(values, place, side, xs, ys, _KERNEL, out)
    else:
        sound = np.isfinite(xs).all() and np.isfinite(ys).all()
        sound = sound and np.max(place, initial=-1) < values.shape[1]
    if not sound:
        raise KernelInputError(
            f"finite positions and columns below {values.shape[1]} wanted; the largest column is "
            f"{np.max(place, initial=-1)}"
        )
    if isinstance(values, np.ndarray):
        return out
    return _gathered(values, np.reshape(place, (side, side)), xs, ys)


def _gathered(values: Array, place: Ints, xs: Floats, ys: Floats) -> Array:
    """Sample on other array libraries: indices and weights of all taps are made here."""
    xp = array_namespace(values)
    held = values.shape[1]
    known = np.full((place.shape[0] + 2 * REACH_PX,) * 2, held)
    known[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX] = np.where(place < 0, held, place)
    taps = np.arange(1 - REACH_PX, REACH_PX + 1)
    # Whole numbers have no room for what is far away.
    far = place.shape[0] + 2 * REACH_PX
    xs, ys = np.clip(xs, -far, far), np.clip(ys, -far, far)
    columns, rows = (np.floor(p).astype(np.int64)[..., None] + taps + REACH_PX for p in (xs, ys))
    last = known.shape[0] - 1
    index = known[np.clip(rows, 0, last)[..., :, None], np.clip(columns, 0, last)[..., None, :]]
    weight = _taps(ys)[..., :, None] * _taps(xs)[..., None, :]
    zero = xp.zeros((values.shape[0], 1), dtype=values.dtype)
    flat = xp.asarray(np.reshape(index, (xs.shape[0], -1)))
    picked = xp.take_along_axis(xp.concat([values, zero], axis=1), flat, axis=1)
    products = xp.astype(xp.reshape(picked, weight.shape), xp.float64) * xp.asarray(weight)
    return xp.sum(products, axis=(-2, -1))


def _taps(position: Floats) -> Floats:
    """Weights of the taps about positions, shape (..., 2 * REACH_PX)."""
    place = (position - np.floor(position)) * _STEPS
    whole = place.astype(np.int64)
    fraction = (place - whole)[..., None]
    return np.asarray(_KERNEL[whole] + fraction * (_KERNEL[whole + 1] - _KERNEL[whole]))
