"""Principal modes of a set of frames, by way of its Gram matrix.

A linear subtraction gives every frame the residual ``M R``, where the rows of `R` are the
frames and the square matrix `M` depends on the Gram matrix ``R R^T`` alone. Here are the
Gram matrix, the matrix `M` of a principal-component subtraction, and the product.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Array = Any

# Pixels in one partial product. Fixed, so that sums do not depend on threads or memory.
BLOCK_PIXELS = 16384


def gram_matrix(rows: Array, others: Array | None = None) -> Array:
    """Compute ``rows @ others.T`` in float64.

    Parameters
    ----------
    rows : array, shape (n, n_pix)
        Frames, one a row, finite.
    others : array, shape (m, n_pix), optional
        Second set of frames; `rows` if absent, and the result is then symmetric.

    Returns
    -------
    array of float64, shape (n, m)

    Raises
    ------
    KernelInputError
        If the two sets have different numbers of pixels.

    Notes
    -----
    Partial products over blocks of `BLOCK_PIXELS` pixels are added in their order: the result
    is the same, bit for bit, for any number of threads. Cost: O(n * m * n_pix).
    """
    if rows.ndim != 2 or (others is not None and others.shape[1:] != rows.shape[1:]):
        shape = None if others is None else others.shape
        raise KernelInputError(f"frames do not fit: {rows.shape} and {shape}")
    xp = array_namespace(rows)

    def partial(block: slice) -> Array:
        left = xp.astype(rows[:, block], xp.float64)
        right = left if others is None else xp.astype(others[:, block], xp.float64)
        return left @ xp.matrix_transpose(right)

    n_others = rows.shape[0] if others is None else others.shape[0]
    total = xp.zeros((rows.shape[0], n_others), dtype=xp.float64)
    for part in map_ordered(partial, blocks(rows.shape[1], BLOCK_PIXELS)):
        total = total + part
    return total


def zone_gram(base: Array) -> Array:
    """Gram matrix of rows and a row of ones, in float64.

    Parameters
    ----------
    base : array, shape (n, n_pix)
        Rows of one zone, finite.

    Returns
    -------
    array of float64, shape (n + 1, n + 1)
        The last row and column hold the sums of the rows, the last element the number of
        pixels.

    Notes
    -----
    Partial products over blocks of `BLOCK_PIXELS` pixels, added in their order.
    """
    xp = array_namespace(base)
    n = base.shape[0]

    def partial(block: slice) -> Array:
        part = base[:, block]
        wide = xp.ones((n + 1, part.shape[1]), dtype=xp.float64)
        wide[:n, :] = xp.astype(part, xp.float64, copy=False)
        buffers.release(base)
        return wide @ xp.matrix_transpose(wide)

    total = xp.zeros((n + 1, n + 1), dtype=xp.float64)
    for part in map_ordered(partial, blocks(base.shape[1], BLOCK_PIXELS)):
        total = total + part
    return total


@numba.njit(cache=True, nogil=True)
def _put_columns(out, lines, index, values):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        line = out[lines[i]]
        for j in range(index.size):
            line[index[j]] = values[i, j]


def put_columns(
    out: Array, index: NDArray[np.int64], values: Array, lines: NDArray[np.int64] | None = None
) -> None:
    """Write values into some columns of some rows, in place.

    Parameters
    ----------
    out : array, shape (n, n_pix)
        Rows; changed.
    index : array of int64, shape (m,)
        Columns, within `out`.
    values : array, shape (n_line, m)
        What to write, in the array library of `out`.
    lines : array of int64, shape (n_line,), optional
        Rows, within `out`; the first ones if absent.
    """
    lines = np.arange(values.shape[0]) if lines is None else lines
    if isinstance(out, np.ndarray):
        _put_columns(out, lines, index, values)
        return
    xp = array_namespace(out)
    out[xp.asarray(lines)[:, None], xp.asarray(index)[None, :]] = values


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


def pca_operator(gram: Array, n_modes: int, *, centre: bool = True) -> Array:
    """Matrix that takes frames to their residuals after a principal-component subtraction.

    Parameters
    ----------
    gram : array of float64, shape (n, n)
        Gram matrix of the frames, whether or not their mean has been taken off.
    n_modes : int
        Modes to remove, ``0 <= n_modes <= n``.
    centre : bool
        Take the temporal mean off first. It does not count as a mode.

    Returns
    -------
    array of float64, shape (n, n)
        ``M``; the residual of the frames `R` (one a row) is ``M @ R``.

    Notes
    -----
    Soummer, Pueyo & Larkin (2012), ApJ 755, L28, eqs. 5 to 8; Amara & Quanz (2012), MNRAS
    427, 948. With the frames as their own references the projection on the modes is
    ``V V^T`` with the leading eigenvectors `V` of the (centred) Gram matrix.
    Cost: O(n**3).
    """
    xp = array_namespace(gram)
    n = gram.shape[0]
    identity = xp.eye(n, dtype=gram.dtype)
    if centre:
        identity = identity - 1.0 / n
        gram = identity @ gram @ identity
    vectors, _ = leading_modes(gram, n_modes)
    return identity - vectors @ xp.matrix_transpose(vectors)


def apply_operator(operator: Array, rows: Array) -> Array:
    """Compute ``operator @ rows`` block by block, in the precision of `rows`.

    Parameters
    ----------
    operator : array, shape (m, n)
        Square or rectangular matrix.
    rows : array, shape (n, n_pix)
        Frames, one a row, finite.

    Returns
    -------
    array, shape (m, n_pix), dtype of `rows`
    """
    if operator.shape[1] != rows.shape[0]:
        raise KernelInputError(f"operator {operator.shape} does not fit frames {rows.shape}")
    xp = array_namespace(operator, rows)
    matrix = xp.astype(operator, rows.dtype)
    parts = map_ordered(lambda block: matrix @ rows[:, block], blocks(rows.shape[1], BLOCK_PIXELS))
    return xp.concat(parts, axis=1) if parts else xp.zeros((operator.shape[0], 0), rows.dtype)


def subtract_modes(
    targets: Array, references: Array | None, n_modes: int, *, centre: bool = True
) -> Array:
    """Remove the mean and the leading Karhunen-Loeve modes of references from each target.

    Parameters
    ----------
    targets : array, shape (n_target, n_pix)
        One frame per row, the pixels of one zone. Finite; NaN is not checked.
    references : array, shape (n_ref, n_pix), or None
        Reference frames of the same zone; None: the targets are their own references.
    n_modes : int
        Modes to remove, ``0 <= n_modes <= n_ref``; none leaves ``targets - mean``.
    centre : bool
        Take the temporal mean of the references off all frames first.

    Returns
    -------
    array, shape (n_target, n_pix)
        Residuals, dtype of `targets`.

    Raises
    ------
    KernelInputError
        If the zones differ or `n_modes` is out of range.

    Notes
    -----
    Soummer, Pueyo & Larkin (2012), ApJ 755, L28, eqs. 5 to 8, by way of the ``n_ref`` x
    ``n_ref`` covariance. Modes whose eigenvalue is below round-off are dropped, so duplicated
    references are harmless. Cost: O(n_ref**2 * n_pix).
    """
    own = references is None
    references = targets if references is None else references
    if targets.ndim != 2 or references.ndim != 2 or targets.shape[1] != references.shape[1]:
        raise KernelInputError(f"zones differ: targets {targets.shape}, refs {references.shape}")
    if not 0 <= n_modes <= references.shape[0]:
        raise KernelInputError(f"n_modes={n_modes} outside 0..{references.shape[0]}")
    xp = array_namespace(targets, references)
    if centre:
        mean = xp.mean(xp.astype(references, xp.float64), axis=0, keepdims=True)
        targets = xp.astype(xp.astype(targets, xp.float64) - mean, targets.dtype)
        references = (
            targets
            if own
            else xp.astype(xp.astype(references, xp.float64) - mean, references.dtype)
        )
    gram = gram_matrix(references)
    if own:
        return apply_operator(pca_operator(gram, n_modes, centre=False), targets)
    vectors, inverse = leading_modes(gram, n_modes)
    cross = gram_matrix(targets, references)
    coefficients = (cross @ vectors) * inverse[None, :] @ xp.matrix_transpose(vectors)
    return targets - apply_operator(coefficients, references)
