"""Shift and rescaling of an image in one separable interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.banded import Banded, apply_columns, apply_rows
from spheredc_hpc.kernels.scratch import scratch

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

HALF_WIDTH = 6
KAISER_BETA = 6.0
# Round-off leaves about 1e-7 of a kernel where nothing is good.
LEAST_SHARE = 1e-5


@dataclass(frozen=True)
class Grid:
    """Where the pixels of the output lie on the input, axis by axis.

    Attributes
    ----------
    rows, columns : Banded
        Interpolation along y and x.
    rows_inside, columns_inside : array of bool, shape (n_out,)
        Rows and columns whose whole kernel lies within the window of valid input.
    """

    rows: Banded
    columns: Banded
    rows_inside: NDArray[np.bool_]
    columns_inside: NDArray[np.bool_]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Pixels whose whole kernel lies within the window, shape (n_out, n_out)."""
        return np.asarray(self.rows_inside[:, np.newaxis] & self.columns_inside)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return len(self.rows.first), len(self.columns.first)


def interpolation_matrix(positions: Floats, n_in: int) -> Banded:
    """Build the matrix that interpolates `n_in` samples at real positions.

    Parameters
    ----------
    positions : array, shape (n_out,)
        Where values are wanted, 0-based [samples], increasing.
    n_in : int
        Number of samples.

    Returns
    -------
    Banded
        Twelve taps a row, sum 1. Taps outside of the samples count as zero.

    Notes
    -----
    Sinc with a Kaiser window (Kaiser & Schafer 1980, IEEE Trans. ASSP 28, 105), half width 6,
    beta 6. A Gaussian of 3.3 samples FWHM comes out to 4e-4 of its peak, one of 2.2 samples
    to 2e-3. At whole shifts the kernel is the identity.
    """
    positions = np.asarray(positions, dtype=np.float64)
    first = np.floor(positions).astype(np.int64) - HALF_WIDTH + 1
    distance = positions[:, np.newaxis] - (first[:, np.newaxis] + np.arange(2 * HALF_WIDTH))
    reach = np.clip(1 - (distance / HALF_WIDTH) ** 2, 0, None)
    taps = np.sinc(distance) * np.i0(KAISER_BETA * np.sqrt(reach))
    taps[np.abs(taps) < 1e-14 * np.abs(taps).max()] = 0.0
    return Banded(first, taps / taps.sum(axis=1, keepdims=True), n_in)


def recentring_grid(
    centre_xy: tuple[float, float],
    scale_xy: tuple[float, float],
    size: int,
    shape: tuple[int, int],
    window: tuple[slice, slice] | None = None,
) -> Grid:
    """Prepare the move of a star to the middle pixel of a square image.

    Parameters
    ----------
    centre_xy : (float, float)
        Star on the input, (x, y) [px].
    scale_xy : (float, float)
        Output pixels per input pixel along x and y: 1.0062 along y undoes an input that is
        squeezed by that factor.
    size : int
        Side of the output [px]; the star falls on ``(size // 2, size // 2)``.
    shape : (int, int)
        Rows and columns of the input.
    window : (slice, slice), optional
        Rows and columns of the input that hold data; all of them if absent.

    Returns
    -------
    Grid

    Raises
    ------
    KernelInputError
        If the centre or a scale is not finite, or a scale is not positive.
    """
    if not np.all(np.isfinite([*centre_xy, *scale_xy])) or min(scale_xy) <= 0:
        raise KernelInputError(f"centre {centre_xy} and scale {scale_xy} must be finite numbers")
    steps = np.arange(size) - size // 2
    held = window or (slice(0, shape[0]), slice(0, shape[1]))
    matrices, covered = [], []
    for axis in (0, 1):
        along_x = axis == 1
        positions = centre_xy[0 if along_x else 1] + steps / scale_xy[0 if along_x else 1]
        matrix = interpolation_matrix(positions, shape[axis])
        used = matrix.taps != 0
        columns = matrix.first[:, np.newaxis] + np.arange(matrix.taps.shape[1])
        start, stop, _ = held[axis].indices(shape[axis])
        covered.append(np.all(~used | ((columns >= start) & (columns < stop)), axis=1))
        matrices.append(matrix)
    return Grid(matrices[0], matrices[1], covered[0], covered[1])


def resample(image: Image, grid: Grid, factor: float = 1.0, out: Image | None = None) -> Image:
    """Interpolate an image on a grid.

    Parameters
    ----------
    image : array of float32, shape (ny, nx)
        Finite values; fill holes first, NaN would spread.
    grid : Grid
        From `recentring_grid`.
    factor : float
        By which the result is multiplied.
    out : array of float32, shape (size, size), optional
        Where the result goes; a new array if absent.

    Returns
    -------
    array of float32, shape (size, size)
        Interpolated values, NaN where the grid has no data. Surface brightness is kept: the
        sum over a source changes by the product of the scales.
    """
    out = _apply(image, grid.rows, grid.columns, out)
    _finish(out, grid.rows_inside, grid.columns_inside, np.float32(factor))
    return out


def resample_weight(
    variance: Image, good: Image, grid: Grid, factor: float = 1.0, out: Image | None = None
) -> Image:
    """Propagate variance and bad pixels through `resample` to an inverse variance.

    Parameters
    ----------
    variance : array of float32, shape (ny, nx)
        Variance of each input pixel as if it were good, smooth, positive and finite.
    good : array of float32, shape (ny, nx)
        1 where the pixel was measured, 0 where it was interpolated over.
    grid : Grid
    factor : float
        By which the result is multiplied.
    out : array of float32, shape (size, size), optional
        Where the result goes; a new array if absent.

    Returns
    -------
    array of float32, shape (size, size)
        Fraction of the squared kernel that falls on good pixels over the propagated
        variance; 0 where the grid has no data or no pixel is good.
    """
    rows, columns = grid.rows.squared, grid.columns.squared
    kept = _apply(good, rows, columns, out)
    carried = _apply(variance, rows, columns, scratch("resample variance", grid.shape, np.float32))
    totals = (rows.taps.sum(axis=1).astype(np.float32), columns.taps.sum(axis=1).astype(np.float32))
    _weigh(kept, carried, *totals, grid.rows_inside, grid.columns_inside, np.float32(factor))
    return kept


def _apply(image: Image, rows: Banded, columns: Banded, out: Image | None) -> Image:
    between = scratch("resample rows", (len(rows.first), image.shape[1]), np.float32)
    return apply_columns(apply_rows(rows, image, between), columns, out)


@numba.njit(cache=True, nogil=True)
def _finish(image, rows_inside, columns_inside, factor):  # type: ignore[no-untyped-def]
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            inside = rows_inside[y] and columns_inside[x]
            image[y, x] = image[y, x] * factor if inside else np.float32(np.nan)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weigh(kept, variance, row_totals, column_totals, rows_inside, columns_inside, factor):  # type: ignore[no-untyped-def]
    for y in range(kept.shape[0]):
        for x in range(kept.shape[1]):
            share = kept[y, x] / (row_totals[y] * column_totals[x])
            if rows_inside[y] and columns_inside[x] and share >= LEAST_SHARE:
                kept[y, x] = min(share, np.float32(1)) / variance[y, x] * factor
            else:
                kept[y, x] = 0
