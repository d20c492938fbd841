"""Products of rows of pixels: Gram matrices, their leading modes, and matrices times rows.

A linear subtraction gives every frame the residual ``M R``, where the rows of `R` are the
frames and the matrix `M` depends on the Gram matrix ``R R^T`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.checks import check_floating
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.scratch import scratch

Array = Any

# Pixels in one partial product. Fixed, so that sums do not depend on threads or memory; fewer
# take longer, more take more memory and nothing less.
BLOCK_PIXELS = 4096
# Elements of the partial products that wait to be added (128 MB), unless that were fewer than
# keep threads busy. They change no bit.
_WAITING_VALUES = 2**24
_LEAST_TOGETHER = 8


def gram_matrix(rows: Array, others: Array | None = None) -> Array:
    """Compute ``rows @ others.T`` in float64.

    Parameters
    ----------
    rows : array of float32 or float64, shape (n, n_pix)
        Frames, one a row, finite.
    others : array of float32 or float64, shape (m, n_pix), optional
        Second set of frames; `rows` if absent, and the result is then symmetric.

    Returns
    -------
    array of float64, shape (n, m)

    Raises
    ------
    KernelInputError
        If the two sets have different numbers of pixels or are not floating.

    Notes
    -----
    Partial products over blocks of `BLOCK_PIXELS` pixels are added in their order: the result
    is the same, bit for bit, for any number of threads. Cost: O(n * m * n_pix).
    """
    if rows.ndim != 2 or (others is not None and others.shape[1:] != rows.shape[1:]):
        shape = None if others is None else others.shape
        raise KernelInputError(f"frames do not fit: {rows.shape} and {shape}")
    for frames in (rows,) if others is None else (rows, others):
        check_floating(frames)
    xp = array_namespace(rows)

    def partial(block: slice) -> Array:
        left = xp.astype(rows[:, block], xp.float64)
        right = left if others is None else xp.astype(others[:, block], xp.float64)
        return left @ xp.matrix_transpose(right)

    n_others = rows.shape[0] if others is None else others.shape[0]
    return _summed(partial, rows, (rows.shape[0], n_others))


def _summed(partial: Callable[[slice], Array], rows: Array, shape: tuple[int, int]) -> Array:
    """Add the products of blocks of pixels in their order, a few at a time."""
    total = array_namespace(rows).zeros(shape, dtype=array_namespace(rows).float64)
    pieces = blocks(rows.shape[1], BLOCK_PIXELS)
    together = max(_LEAST_TOGETHER, _WAITING_VALUES // max(1, math.prod(shape)))
    for group in blocks(len(pieces), together):
        for part in map_ordered(partial, pieces[group]):
            total = total + part
    return total


def zone_gram(base: Array) -> Array:
    """Gram matrix of rows and a row of ones, in float64.

    Parameters
    ----------
    base : array of float32 or float64, shape (n, n_pix)
        Rows of one zone, finite.

    Returns
    -------
    array of float64, shape (n + 1, n + 1)
        The last row and column hold the sums of the rows, the last element the number of
        pixels.

    Raises
    ------
    KernelInputError
        If the rows are not floating or no matrix.

    Notes
    -----
    Partial products over blocks of `BLOCK_PIXELS` pixels, added in their order.
    """
    if base.ndim != 2:
        raise KernelInputError(f"rows (n, n_pix) wanted, got {base.shape}")
    check_floating(base, "rows")
    xp = array_namespace(base)
    n = base.shape[0]

    def partial(block: slice) -> Array:
        part = base[:, block]
        if not is_numpy_namespace(xp):
            ones = xp.ones((1, part.shape[1]), dtype=xp.float64)
            wide = xp.concat([xp.astype(part, xp.float64), ones])
            return wide @ xp.matrix_transpose(wide)
        wide = scratch("wide", (n + 1, part.shape[1]), np.float64)
        wide[:n], wide[n] = part, 1.0
        buffers.release(base)
        return wide @ wide.T

    return _summed(partial, base, (n + 1, n + 1))


@numba.njit(cache=True, nogil=True)
def _put_columns(out, lines, index, values):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        line = out[lines[i]]
        for j in range(index.size):
            line[index[j]] = values[i, j]


def put_columns(
    out: NDArray[Any],
    index: NDArray[np.int64],
    values: NDArray[Any],
    lines: NDArray[np.int64] | None = None,
) -> None:
    """Write values into some columns of some rows, in place.

    Parameters
    ----------
    out : array, shape (n, n_pix)
        Rows; changed.
    index : array of int64, shape (m,)
        Columns, within `out`: not checked.
    values : array, shape (n_line, m)
        What to write.
    lines : array of int64, shape (n_line,), optional
        Rows, within `out`: not checked. The first ones if absent.
    """
    _put_columns(out, np.arange(values.shape[0]) if lines is None else lines, index, values)


def leading_modes(gram: Array, n_modes: int) -> tuple[Array, Array]:
    """Leading eigenvectors of a Gram matrix, without those below round-off.

    Parameters
    ----------
    gram : array of float64, shape (n, n)
        Gram matrix of the references.
    n_modes : int
        Modes wanted, ``0 <= n_modes <= n``.

    Returns
    -------
    vectors : array, shape (n, n_modes)
        Orthonormal eigenvectors, the leading one last; zero where the mode does not exist.
    inverse : array, shape (n_modes,)
        Inverse eigenvalues, zero for modes that do not exist (duplicated references).

    Raises
    ------
    KernelInputError
        If `n_modes` is out of range.
    """
    n = gram.shape[0]
    if not 0 <= n_modes <= n:
        raise KernelInputError(f"n_modes={n_modes} outside 0..{n}")
    xp = array_namespace(gram)
    if n_modes == 0:
        return xp.zeros((n, 0), dtype=gram.dtype), xp.zeros((0,), dtype=gram.dtype)
    values, vectors = xp.linalg.eigh(gram)
    values, vectors = values[n - n_modes :], vectors[:, n - n_modes :]
    floor = n * xp.finfo(gram.dtype).eps * xp.max(xp.abs(values))
    kept = values > floor
    inverse = xp.where(kept, 1 / xp.where(kept, values, xp.ones_like(values)), 0 * values)
    return vectors * xp.astype(kept, gram.dtype)[None, :], inverse


def apply_operator(operator: Array, rows: Array) -> Array:
    """Compute ``operator @ rows`` block by block, in the precision of `rows`.

    Parameters
    ----------
    operator : array, shape (m, n)
        Square or rectangular matrix.
    rows : array of float32 or float64, shape (n, n_pix)
        Frames, one a row, finite; `n_pix` may be 0.

    Returns
    -------
    array, shape (m, n_pix), dtype of `rows`

    Raises
    ------
    KernelInputError
        If the shapes do not fit or the frames are not floating.
    """
    if operator.ndim != 2 or rows.ndim != 2 or operator.shape[1] != rows.shape[0]:
        raise KernelInputError(f"operator {operator.shape} does not fit frames {rows.shape}")
    check_floating(rows)
    xp = array_namespace(operator, rows)
    matrix = xp.astype(operator, rows.dtype)
    parts = map_ordered(lambda block: matrix @ rows[:, block], blocks(rows.shape[1], BLOCK_PIXELS))
    return xp.concat(parts, axis=1) if parts else xp.zeros((operator.shape[0], 0), dtype=rows.dtype)
