"""Banded matrices that act on the rows or columns of an image, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import blocks

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

# Rows of the matrix that share one dense product. Fixed, so that bits do not change.
BLOCK_ROWS = 64


@dataclass(frozen=True)
class Banded:
    """A matrix whose rows hold a few neighbouring values each.

    Attributes
    ----------
    first : array of int, shape (n_out,)
        Column of the first value of each row; it does not decrease.
    taps : array of float64, shape (n_out, n_tap)
        Values of each row; those outside of the matrix are zero.
    n_in : int
        Columns of the matrix.
    """

    first: NDArray[np.int64]
    taps: Floats
    n_in: int
    _dense: list[tuple[slice, slice, Image]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Cut the band into small dense blocks."""
        if self.first.ndim != 1 or self.taps.ndim != 2 or len(self.first) != len(self.taps):
            raise KernelInputError(
                f"first {self.first.shape} and taps {self.taps.shape} do not fit"
            )
        if np.any(np.diff(self.first) < 0):
            raise KernelInputError("rows of a banded matrix must not step back")
        object.__setattr__(self, "_dense", list(self._cut()))

    def _cut(self) -> Iterator[tuple[slice, slice, Image]]:
        n_tap = self.taps.shape[1]
        for rows in blocks(len(self.first), BLOCK_ROWS):
            starts = self.first[rows]
            low, high = int(starts[0]), int(starts[-1]) + n_tap
            dense = np.zeros((len(starts), high - low))
            columns = starts[:, np.newaxis] - low + np.arange(n_tap)
            np.put_along_axis(dense, columns, self.taps[rows], axis=1)
            inside = slice(max(low, 0), min(high, self.n_in))
            if inside.start < inside.stop:
                dense = dense[:, inside.start - low : inside.stop - low]
            else:
                inside, dense = slice(0, 1), np.zeros((len(starts), 1))
            yield rows, inside, np.ascontiguousarray(dense, dtype=np.float32)

    @property
    def squared(self) -> Banded:
        """The matrix of squared values, which propagates variances."""
        return Banded(self.first, self.taps**2, self.n_in)

    def dense(self) -> Floats:
        """Write the full matrix out, shape (n_out, n_in)."""
        full = np.zeros((len(self.first), self.n_in))
        for rows, columns, block in self._dense:
            full[rows, columns] = block
        return full


def apply_rows(matrix: Banded, image: Image, out: Image | None = None) -> Image:
    """Multiply ``matrix @ image``.

    Parameters
    ----------
    matrix : Banded
    image : array of float32, shape (n_in, nx)
        Finite; NaN would spread along the column and is not checked.
    out : array of float32, shape (n_out, nx), optional
        Where the result goes; a new array if absent.

    Returns
    -------
    array of float32, shape (n_out, nx)

    Raises
    ------
    KernelInputError
        If the shapes do not fit.

    Notes
    -----
    One dense product per block of `BLOCK_ROWS` rows, in float32. Cost:
    O(n_out * (BLOCK_ROWS + n_tap) * nx), at the speed of the matrix product.
    """
    _check(matrix, image, 0)
    out = _place((len(matrix.first), image.shape[1]), out)
    for rows, columns, block in matrix._dense:
        np.matmul(block, image[columns], out=out[rows])
    return out


def apply_columns(image: Image, matrix: Banded, out: Image | None = None) -> Image:
    """Multiply ``image @ matrix.T``; as `apply_rows`, along the second axis."""
    _check(matrix, image, 1)
    out = _place((image.shape[0], len(matrix.first)), out)
    for rows, columns, block in matrix._dense:
        np.matmul(image[:, columns], block.T, out=out[:, rows])
    return out


def box_matrix(n: int, width: int) -> Banded:
    """Build the matrix of a running mean over `width` (odd) values, shortened at the ends.

    Raises
    ------
    KernelInputError
        If `width` is even or below 1.
    """
    if width < 1 or width % 2 == 0:
        raise KernelInputError(f"width {width} of a running mean; an odd number is wanted")
    first = np.arange(n) - width // 2
    columns = first[:, np.newaxis] + np.arange(width)
    inside = ((columns >= 0) & (columns < n)).astype(np.float64)
    return Banded(first, inside / inside.sum(axis=1, keepdims=True), n)


def _place(shape: tuple[int, int], out: Image | None) -> Image:
    if out is None:
        return np.empty(shape, dtype=np.float32)
    if out.shape != shape or out.dtype != np.float32:
        raise KernelInputError(f"place of {out.dtype} {out.shape}, float32 {shape} wanted")
    return out


def _check(matrix: Banded, image: Any, axis: int) -> None:
    if image.ndim != 2 or image.dtype != np.float32:
        raise KernelInputError(f"float32 image wanted, got {image.ndim}-d {image.dtype}")
    if image.shape[axis] != matrix.n_in:
        raise KernelInputError(
            f"matrix takes {matrix.n_in} values, axis {axis} of the image has {image.shape[axis]}"
        )
