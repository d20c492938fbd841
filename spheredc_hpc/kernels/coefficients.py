"""Coefficients of the references of many targets, from one Gram matrix.

Every linear subtraction models target `i` by ``sum_j C_ij R_j``, and the coefficients depend
on the Gram matrix ``G = R R^T`` of the rows alone. With the rows ``S`` that may serve the
target, the submatrix ``A = G[S, S]`` and the vector ``g = G[S, i]``, they are ``C = f(A) g``:

* KLIP: inverse eigenvalues of the leading modes, zero for the others;
* LOCI by truncated least squares: inverse eigenvalues above a fraction of the largest;
* LOCI by ridge regression: ``(A + shift I)^-1``;
* positive LOCI: least squares without negative coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy.optimize import nnls

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.nonnegative import solve_nonnegative
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.solves import Inverse, batches, solve
from spheredc_hpc.kernels.submatrices import Batch

Array = Any

# Changes of the active set of a non-negative fit at most, in units of the number of rows.
LARGEST_CHANGES = 10


def truncated_coefficients(
    gram: Array, targets: Array, allowed: Array, counts: Sequence[int]
) -> Array:
    """Coefficients of a projection on the leading Karhunen-Loeve modes (KLIP).

    Parameters
    ----------
    gram : array of float64, shape (n, n) or (n_matrix, n, n)
        Gram matrix of the rows, or a stack of them; finite, symmetric, without negative
        eigenvalues. `n_matrix` may be 0.
    targets : array of int, shape (n_target,)
        Row of each target, the same in all matrices.
    allowed : array of bool, shape (n_target, n) or (n_matrix, n_target, n)
        Rows that may serve each target. A target may serve itself.
    counts : sequence of int
        Numbers of modes, each at least 0; all cost one pass. Modes below round-off do not
        exist: a count beyond the rank takes what there is.

    Returns
    -------
    array of float64, shape (n_count, n_target, n) or (n_count, n_matrix, n_target, n)
        Coefficients, zero for rows that are not allowed.

    Raises
    ------
    KernelInputError
        If shapes do not fit, a count is negative, a row is out of range or `gram` is not
        finite.

    Notes
    -----
    Soummer, Pueyo & Larkin (2012), ApJ 755, L28, eqs. 5 to 8, written for coefficients:
    ``C = V_k L_k^-1 V_k^T g``. Modes with an eigenvalue below ``n eps`` times the largest are
    round-off.
    """
    wanted = tuple(int(count) for count in counts)
    if not wanted or min(wanted) < 0:
        raise KernelInputError(f"counts={wanted}, at least one and none below 0 wanted")
    _check(gram, targets, allowed)
    return solve(gram, targets, allowed, Inverse(wanted))


def thresholded_coefficients(
    gram: Array, targets: Array, allowed: Array, tolerance: float
) -> Array:
    """Coefficients of a least-squares fit without its ill-determined directions (LOCI).

    Parameters
    ----------
    gram, targets, allowed
        As for `truncated_coefficients`.
    tolerance : float
        Eigenvalues of the Gram matrix of the references above `tolerance` times the largest
        are kept, ``0 <= tolerance < 1``. A tolerance on the singular values of the rows
        themselves (``scipy.linalg.lstsq(rows.T, target, cond=t)``) is ``tolerance = t**2``.

    Returns
    -------
    array of float64, shape (n_target, n) or (n_matrix, n_target, n)
        Coefficients, zero for rows that are not allowed.

    Raises
    ------
    KernelInputError
        As `truncated_coefficients`, or if `tolerance` is out of range.

    Notes
    -----
    Lafreniere et al. (2007), ApJ 660, 770, eq. 9, solved by truncation.
    """
    if not 0 <= tolerance < 1:
        raise KernelInputError(f"tolerance={tolerance} outside 0..1")
    _check(gram, targets, allowed)
    return solve(gram, targets, allowed, Inverse((gram.shape[-1],), tolerance=tolerance))[0, ...]


def ridge_coefficients(gram: Array, targets: Array, allowed: Array, strength: float) -> Array:
    """Coefficients of a ridge regression (damped LOCI).

    Parameters
    ----------
    gram, targets, allowed
        As for `truncated_coefficients`.
    strength : float
        Added to the diagonal, in units of the mean diagonal of the references; at least 0.

    Returns
    -------
    array of float64, shape (n_target, n) or (n_matrix, n_target, n)
        Coefficients, zero for rows that are not allowed.

    Raises
    ------
    KernelInputError
        As `truncated_coefficients`, or if `strength` is negative or not finite.

    Notes
    -----
    ``C = (A + strength * mean(diag A) I)^-1 g``. Where that matrix is singular to round-off
    (a squared pivot of its Cholesky factor below ``n eps`` times the largest diagonal value),
    the solution of least norm is taken instead, over eigenvalues above round-off.
    """
    if not 0 <= strength < math.inf:
        raise KernelInputError(f"strength={strength}, finite and at least 0 wanted")
    _check(gram, targets, allowed)
    return solve(gram, targets, allowed, Inverse((gram.shape[-1],), strength=strength))[0, ...]


def positive_coefficients(gram: Array, targets: Array, allowed: Array) -> Array:
    """Coefficients of a least-squares fit in which none is negative (positive LOCI).

    Parameters
    ----------
    gram, targets, allowed
        As for `truncated_coefficients`.

    Returns
    -------
    array of float64, shape (n_target, n) or (n_matrix, n_target, n)
        Coefficients, zero for rows that are not allowed.

    Raises
    ------
    KernelInputError
        As `truncated_coefficients`.

    Notes
    -----
    Active-set method of Lawson & Hanson (1974) on the normal equations, as Bro & de Jong
    (1997), J. Chemometrics 11, 393.
    """
    _check(gram, targets, allowed)
    xp = array_namespace(gram)
    grams, rows, masks = (as_numpy(array) for array in (gram, targets, allowed))
    if gram.ndim == 2:
        return xp.asarray(_solve_positive(grams, rows, masks))
    found = np.zeros(masks.shape)
    for number, (own, mask) in enumerate(zip(grams, masks, strict=True)):
        found[number] = _solve_positive(own, rows, mask)
    return xp.asarray(found)


def _solve_positive(gram: NDArray[Any], targets: NDArray[Any], allowed: NDArray[Any]) -> Array:
    gram = np.ascontiguousarray(gram)
    out = np.zeros(allowed.shape)
    jobs = batches(gram, np.ascontiguousarray(targets, dtype=np.int64), allowed)

    def run(job: tuple[Any, Batch]) -> tuple[Array, Array]:
        part = np.zeros((job[0].size, gram.shape[0]))
        return solve_nonnegative(job[1], LARGEST_CHANGES, part), part

    for (chosen, _), (failed, part) in zip(jobs, map_ordered(run, jobs), strict=True):
        out[chosen] = part
        for target in chosen[failed]:
            out[target] = _plain_positive(gram, int(targets[target]), allowed[target])
    return out


def _plain_positive(gram: NDArray[Any], target: int, allowed: NDArray[Any]) -> NDArray[Any]:
    """Solve for one target by SciPy, on rows that have the wanted Gram matrix."""
    values, vectors = np.linalg.eigh(gram)
    rows = vectors * np.sqrt(np.maximum(values, 0))
    used = np.flatnonzero(allowed)
    out = np.zeros(gram.shape[0])
    out[used] = nnls(rows[used].T, rows[target])[0]
    return out


def _check(gram: Array, targets: Array, allowed: Array) -> None:
    xp = array_namespace(gram, targets, allowed)
    square = gram.ndim in (2, 3) and gram.shape[-1] == gram.shape[-2]
    if not square or gram.dtype != xp.float64:
        raise KernelInputError(f"float64 square Gram matrix wanted, got {gram.shape} {gram.dtype}")
    wanted = (*gram.shape[:-2], targets.shape[0], gram.shape[-1])
    if targets.ndim != 1 or allowed.shape != wanted:
        raise KernelInputError(
            f"{targets.shape} targets, allowed {allowed.shape} and Gram matrix {gram.shape} "
            "do not fit"
        )
    if allowed.dtype != xp.bool:
        raise KernelInputError(f"allowed is {allowed.dtype}, bool wanted")
    n = gram.shape[-1]
    if targets.shape[0] and not (0 <= int(xp.min(targets)) <= int(xp.max(targets)) < n):
        raise KernelInputError(f"a target is outside of the {n} rows")
    if not bool(xp.all(xp.isfinite(gram))):
        raise KernelInputError("the Gram matrix is not finite")
