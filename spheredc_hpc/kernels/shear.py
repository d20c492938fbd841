"""Shears of images by short interpolation filters, the fast alternative to phase ramps.

All points of a row move by the same fraction of a pixel, so a row is a plain convolution with
a few taps. Three shears make a rotation (Larkin, Oldenburg & Klemm 1997, Opt. Commun. 139, 99).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.kernels.quarter import Shears
from spheredc_hpc.kernels.scratch import scratch

Array = Any
Floats = NDArray[np.float64]

# The filters are best for images whose power spectrum is that of a Gaussian of this FWHM and a
# floor below it (white noise of 1e-4 of its amplitude).
DESIGN_FWHM_PX = 3.5
DESIGN_FLOOR = 1e-8
# A tap as function of the fraction of a pixel is a polynomial of this degree to 4e-9.
DEGREE = 13
_LANES = 16


@lru_cache(maxsize=8)
def tap_polynomials(taps: int) -> Floats:
    """Coefficients of the interpolation filter with an even number of taps.

    Parameters
    ----------
    taps : int
        Number of taps, even.

    Returns
    -------
    array of float64, shape (DEGREE + 1, taps)
        Polynomials in the fraction f of a pixel, highest power first. Tap k weighs the sample
        ``k - taps // 2 + 1`` when the value at position f, ``0 <= f < 1``, is wanted.

    Notes
    -----
    The linear estimate of least expected squared error (Wiener) for an image whose power
    spectrum is that of a Gaussian of `DESIGN_FWHM_PX` plus `DESIGN_FLOOR`; its
    autocorrelation is a Gaussian wider by the square root of two plus a sinc. The taps
    are scaled to sum 1.
    """
    samples = np.arange(taps, dtype=np.float64) - taps // 2 + 1
    nodes = (1 - np.cos(np.pi * (np.arange(2 * DEGREE) + 0.5) / (2 * DEGREE))) / 2

    def correlation(distance: Floats) -> Floats:
        gaussian = np.exp(-2 * np.log(2) * (distance / DESIGN_FWHM_PX) ** 2)
        return np.asarray(gaussian + DESIGN_FLOOR * np.sinc(distance), np.float64)

    weights = np.linalg.solve(
        correlation(samples[:, None] - samples), correlation(samples[:, None] - nodes)
    )
    weights /= weights.sum(axis=0)
    fitted = np.linalg.lstsq(np.vander(nodes, DEGREE + 1), weights.T, rcond=None)[0]
    return np.asarray(fitted, np.float64)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def taps_at(polynomials, fraction, work, taps):  # type: ignore[no-untyped-def]
    """Evaluate the filter at a fraction of a pixel; `work` is float64, `taps` of any type."""
    work[:] = polynomials[0]
    for power in range(1, polynomials.shape[0]):
        for k in range(work.size):
            work[k] = work[k] * fraction + polynomials[power, k]
    for k in range(work.size):
        taps[k] = work[k]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _convolve_row(row, start, taps, target, low, high):  # type: ignore[no-untyped-def]
    """Weigh `row` from `start` on into ``target[low:high]``, four taps at a time; zero beside."""
    target[:low] = 0
    target[high:] = 0
    part = target[low:high]
    count = high - low
    for k in range(0, taps.size, 4):
        a, b, c, d = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
        source = row[start + low + k : start + low + k + count + 3]
        if k == 0:
            for j in range(count):
                part[j] = ((a * source[j] + b * source[j + 1]) + c * source[j + 2]) + d * source[
                    j + 3
                ]
        else:
            for j in range(count):
                part[j] = (
                    ((part[j] + a * source[j]) + b * source[j + 1]) + c * source[j + 2]
                ) + d * source[j + 3]


@numba.njit(cache=True, nogil=True)
def store_columns(lines, low, target, first):  # type: ignore[no-untyped-def]
    """Write lines, from their sample `low` on, as columns of `target` from `first` on."""
    for block in range(0, lines.shape[0], _LANES):
        if block + _LANES <= lines.shape[0]:
            for j in range(target.shape[0]):
                row = target[j]
                for i in range(_LANES):
                    row[first + block + i] = lines[block + i, low + j]
        else:
            for j in range(target.shape[0]):
                for i in range(block, lines.shape[0]):
                    target[j, first + i] = lines[i, low + j]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def shear_rows(source, centre, factor, first, polynomials, target, transposed):  # type: ignore[no-untyped-def]
    """Shift every row of `source` by `factor` times its distance from row `centre`.

    The rows have margins of zeros, one sample per tap on either side. Sample j of the result is
    the value at position ``first + j`` of the shifted row. Results are rows of `target`, or,
    transposed, columns of it within margins of the same width.
    """
    work = np.empty(polynomials.shape[1])
    taps = np.empty(work.size, source.dtype)
    margin = work.size
    length = source.shape[1] - 2 * margin
    count = target.shape[0] if transposed else target.shape[1]
    tile = np.empty((_LANES, count), source.dtype)
    for block in range(0, source.shape[0], _LANES):
        rows = min(_LANES, source.shape[0] - block)
        for i in range(rows):
            position = first - factor * (block + i - centre)
            whole = int(np.floor(position))
            taps_at(polynomials, position - whole, work, taps)
            start = margin + whole - taps.size // 2 + 1
            low = min(max(0, margin - taps.size + 1 - start), count)
            high = max(min(count, margin + length - start), low)
            line = tile[i] if transposed else target[block + i]
            _convolve_row(source[block + i], start, taps, line, low, high)
        if transposed:
            store_columns(tile[:rows], 0, target, margin + block)


def rotate_sheared(
    source: NDArray[Any], shears: Shears, polynomials: Floats, target: NDArray[Any]
) -> None:
    """Turn a square image by three shears about the centres.

    Parameters
    ----------
    source : array, shape (n, n + 2 * taps)
        Image with margins of zeros left and right.
    shears : Shears
        From `split_turn`.
    polynomials : array
        From `tap_polynomials`.
    target : array, shape (m, m)
        Takes the result.
    """
    margin = polynomials.shape[1]
    side, wanted = source.shape[0], target.shape[0]
    reach = reached(min(side, wanted), abs(shears.along_x), margin)
    between = zero_margins(scratch("between", (2 * reach, side + 2 * margin), source.dtype), margin)
    after = zero_margins(scratch("after", (wanted, 2 * reach + 2 * margin), source.dtype), margin)
    x, y = shears
    shear_rows(source, side // 2, x, side // 2 - reach, polynomials, between, True)
    shear_rows(between, reach, y, side // 2 - wanted // 2, polynomials, after, True)
    shear_rows(after, wanted // 2, x, reach - wanted // 2, polynomials, target, False)


def reached(side: int, along_x: float, margin: int) -> int:
    """Columns on a side that an image reaches after one shear and that the last one asks for."""
    return math.ceil(side * 0.5 * (1 + along_x)) + margin


def zero_margins(array: NDArray[Any], margin: int) -> NDArray[Any]:
    """Set the first and last `margin` columns of an array to zero and return it."""
    array[:, :margin] = 0
    array[:, array.shape[1] - margin :] = 0
    return array


def interpolate_lines(
    stack: Array, whole: Array, fraction: Array, polynomials: Floats, count: int
) -> Array:
    """Interpolate along the last axis, in the array library of the arguments.

    Parameters
    ----------
    stack : array, shape (n, rows, length)
        Real images; zero outside.
    whole, fraction : array of int64 and of float64, shape (n, rows or 1, count or 1)
        Positions along the axis, whole and fractional part [px]. With one position a row,
        the next values follow at whole steps from it.
    polynomials : array
        From `tap_polynomials`.
    count : int
        Values a row.

    Returns
    -------
    array, shape (n, rows, count)
        Interpolated values, dtype of `stack`.
    """
    xp = array_namespace(stack)
    number, rows, length = stack.shape
    taps = polynomials.shape[1]
    if whole.shape[2] == 1:
        whole = whole + xp.arange(count, dtype=xp.int64)[None, None, :]
    edge = xp.zeros((number, rows, 1), dtype=stack.dtype)
    padded = xp.concat([edge, stack, edge], axis=2)
    result = xp.zeros((number, rows, count), dtype=stack.dtype)
    for k in range(taps):
        weight = xp.zeros(fraction.shape, dtype=xp.float64)
        for coefficient in polynomials[:, k].tolist():
            weight = weight * fraction + coefficient
        index = xp.clip(whole + (k - taps // 2 + 2), 0, length + 1)
        index = xp.broadcast_to(index, (number, rows, count))
        values = xp.take_along_axis(padded, index, axis=2)
        result = result + xp.astype(weight, stack.dtype) * values
    return result


def shear_stack(
    xp: Any, stack: Array, shears: list[Shears], polynomials: Floats, wanted: int
) -> Array:
    """Turn square images as `rotate_sheared` does, in the array library `xp`.

    Parameters
    ----------
    xp : module
        Array library.
    stack : array, shape (n_images, n, n)
        Images.
    shears : list of Shears
        One an image.
    polynomials : array
        From `tap_polynomials`.
    wanted : int
        Side of the result.

    Returns
    -------
    array, shape (n_images, wanted, wanted)
        Turned images.
    """
    side, margin = stack.shape[-1], polynomials.shape[1]
    reach = reached(min(side, wanted), max(abs(s.along_x) for s in shears), margin)
    along_x = xp.asarray([s.along_x for s in shears], dtype=xp.float64)
    along_y = xp.asarray([s.along_y for s in shears], dtype=xp.float64)

    def shear(image: Array, centre: int, factors: Array, first: int, count: int) -> Array:
        distance = xp.arange(image.shape[1], dtype=xp.float64) - centre
        position = first - factors[:, None, None] * distance[None, :, None]
        whole = xp.floor(position)
        places = xp.astype(whole, xp.int64), position - whole
        return interpolate_lines(image, *places, polynomials, count)

    stack = xp.matrix_transpose(shear(stack, side // 2, along_x, side // 2 - reach, 2 * reach))
    stack = shear(stack, reach, along_y, side // 2 - wanted // 2, wanted)
    return shear(xp.matrix_transpose(stack), wanted // 2, along_x, reach - wanted // 2, wanted)
