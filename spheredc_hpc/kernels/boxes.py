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
    total = np.empty(nx)
    for y in range(-half, ny):
        _slide(image, half, y, column)
        if y < 0:
            continue
        _along(column, half, total)
        rows = min(y + half, ny - 1) - max(y - half, 0) + 1
        for x in range(nx):
            count = rows * (min(x + half, nx - 1) - max(x - half, 0) + 1)
            out[y, x] = total[x] / count


@numba.njit(cache=True, nogil=True)
def _scatters(image, half, around, spread):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    column, squared = np.zeros(nx + 2 * half), np.zeros(nx + 2 * half)
    total, squares = np.empty(nx), np.empty(nx)
    for y in range(-half, ny):
        _slide(image, half, y, column)
        _slide_squares(image, half, y, squared)
        if y < 0:
            continue
        _along(column, half, total)
        _along(squared, half, squares)
        rows = min(y + half, ny - 1) - max(y - half, 0) + 1
        for x in range(nx):
            others = rows * (min(x + half, nx - 1) - max(x - half, 0) + 1) - 1
            value = np.float64(image[y, x])
            mean = (total[x] - value) / others
            variance = (squares[x] - value * value) / others - mean * mean
            around[y, x] = mean
            spread[y, x] = np.sqrt(max(variance, 0.0))


@numba.njit(cache=True, nogil=True)
def _slide(image, half, y, column):  # type: ignore[no-untyped-def]
    """Move sums of columns on to the box of row `y`."""
    ny, nx = image.shape
    if y + half < ny:
        row = image[y + half]
        for x in range(nx):
            column[half + x] += row[x]
    if y - half - 1 >= 0:
        row = image[y - half - 1]
        for x in range(nx):
            column[half + x] -= row[x]


@numba.njit(cache=True, nogil=True)
def _slide_squares(image, half, y, column):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    if y + half < ny:
        row = image[y + half]
        for x in range(nx):
            column[half + x] += np.float64(row[x]) * row[x]
    if y - half - 1 >= 0:
        row = image[y - half - 1]
        for x in range(nx):
            column[half + x] -= np.float64(row[x]) * row[x]


@numba.njit(cache=True, nogil=True)
def _along(column, half, total):  # type: ignore[no-untyped-def]
    total[:] = 0.0
    for k in range(2 * half + 1):
        for x in range(total.size):
            total[x] += column[x + k]
