"""Means and scatter of the box around each pixel."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Image = NDArray[np.float32]


def box_mean(image: Image, width: int, out: Image) -> Image:
    """Take the mean over a box of `width` (odd) pixels, shortened at the edges.

    Parameters
    ----------
    image : array of float32, shape (ny, nx)
        Finite; NaN spreads over the rows that follow and is not checked.
    width : int
        Side of the box [px].
    out : array of float32, shape of `image`
        Where the result goes; not `image`.

    Returns
    -------
    array
        `out`.

    Raises
    ------
    KernelInputError
        If `width` is even or below 1, or the shapes differ.

    Notes
    -----
    Sums are running ones in float64. Cost: O(ny * nx * width) additions of vectors.
    """
    _check(image, width, out)
    _means(image, width // 2, out)
    return out


def box_scatter(image: Image, width: int, around: Image, spread: Image) -> None:
    """Take mean and standard deviation of the box around each pixel, the pixel itself left out.

    Parameters
    ----------
    image : array of float32, shape (ny, nx)
        Finite; NaN spreads over the rows that follow and is not checked.
    width : int
        Side of the box (odd, at least 3) [px]; shortened at the edges.
    around, spread : array of float32, shape of `image`
        Where mean and standard deviation go.

    Raises
    ------
    KernelInputError
        If `width` is even or below 3, or the shapes differ.
    """
    _check(image, width, around, spread, least=3)
    _scatters(image, width // 2, around, spread)


def _check(image: Image, width: int, *outputs: Image, least: int = 1) -> None:
    if width < least or width % 2 == 0:
        raise KernelInputError(f"box of {width} px; an odd number from {least} is wanted")
    if any(output.shape != image.shape for output in outputs):
        shapes = [output.shape for output in outputs]
        raise KernelInputError(f"image {image.shape}, results {shapes}")


@numba.njit(cache=True, nogil=True)
def _means(image, half, out):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    column = np.zeros(nx + 2 * half)
    total, inverse = np.empty(nx), np.empty(nx)
    known = 0
    for y in range(-half, ny):
        _slide(image, half, y, column)
        if y < 0:
            continue
        _along(column, half, total)
        rows = min(y + half, ny - 1) - max(y - half, 0) + 1
        if rows != known:
            known = rows
            _inverse_counts(rows, half, 0, inverse)
        line = out[y]
        for x in range(nx):
            line[x] = total[x] * inverse[x]


@numba.njit(cache=True, nogil=True)
def _scatters(image, half, around, spread):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    column, squared = np.zeros(nx + 2 * half), np.zeros(nx + 2 * half)
    total, squares, inverse = np.empty(nx), np.empty(nx), np.empty(nx)
    known = 0
    for y in range(-half, ny):
        _slide_both(image, half, y, column, squared)
        if y < 0:
            continue
        _along(column, half, total)
        _along(squared, half, squares)
        rows = min(y + half, ny - 1) - max(y - half, 0) + 1
        if rows != known:
            known = rows
            _inverse_counts(rows, half, 1, inverse)
        line, means, widths = image[y], around[y], spread[y]
        for x in range(nx):
            value = np.float64(line[x])
            mean = (total[x] - value) * inverse[x]
            variance = (squares[x] - value * value) * inverse[x] - mean * mean
            means[x] = mean
            widths[x] = np.sqrt(np.float32(max(variance, 0.0)))


@numba.njit(cache=True, nogil=True)
def _inverse_counts(rows, half, less, inverse):  # type: ignore[no-untyped-def]
    """One over the pixels of the boxes of a row, `less` left out of each."""
    nx = inverse.size
    for x in range(nx):
        count = rows * (min(x + half, nx - 1) - max(x - half, 0) + 1) - less
        inverse[x] = 1.0 / max(count, 1)


@numba.njit(cache=True, nogil=True)
def _slide(image, half, y, column):  # type: ignore[no-untyped-def]
    """Move sums of columns on to the box of row `y`."""
    ny, nx = image.shape
    inner = column[half : half + nx]
    if y + half < ny:
        row = image[y + half]
        for x in range(nx):
            inner[x] += row[x]
    if y - half - 1 >= 0:
        row = image[y - half - 1]
        for x in range(nx):
            inner[x] -= row[x]


@numba.njit(cache=True, nogil=True)
def _slide_both(image, half, y, column, squared):  # type: ignore[no-untyped-def]
    """Move sums of columns and of their squares on to the box of row `y`."""
    ny, nx = image.shape
    inner, squares = column[half : half + nx], squared[half : half + nx]
    if y + half < ny:
        row = image[y + half]
        for x in range(nx):
            value = np.float64(row[x])
            inner[x] += value
            squares[x] += value * value
    if y - half - 1 >= 0:
        row = image[y - half - 1]
        for x in range(nx):
            value = np.float64(row[x])
            inner[x] -= value
            squares[x] -= value * value


@numba.njit(cache=True, nogil=True)
def _along(column, half, total):  # type: ignore[no-untyped-def]
    """Sum the columns of each box, two at a time."""
    nx = total.size
    first = column[:nx]
    for x in range(nx):
        total[x] = first[x]
    for k in range(1, 2 * half, 2):
        left, right = column[k : k + nx], column[k + 1 : k + 1 + nx]
        for x in range(nx):
            total[x] += left[x] + right[x]
