"""Non-negative least squares on submatrices of a Gram matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spheredc_hpc.kernels.lanes import part
from spheredc_hpc.kernels.ql import EPSILON
from spheredc_hpc.kernels.submatrices import Batch, most_rows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Factor(NamedTuple):
    """Problem ``min x^T A x - 2 g^T x`` and the factor of its passive part.

    Attributes
    ----------
    matrix, right : array, shapes (n, n) and (n,)
        ``A`` and ``g``.
    lower : array, shape (n, n)
        Cholesky factor of ``A[P, P]``, its rows in the order in which `P` grew.
    turned : array, shape (n,)
        ``L^-1 g[P]``.
    passive : array of int, shape (n,)
        The set `P`.
    """

    matrix: Floats
    right: Floats
    lower: Floats
    turned: Floats
    passive: Integers


@njit(cache=True, nogil=True)
def solve_nonnegative(batch: Batch, limit: int, out: Floats) -> NDArray[np.bool_]:
    """Solve ``min |target - x R|^2`` with ``x >= 0`` for the rows of each submatrix.

    Parameters
    ----------
    batch : Batch
    limit : int
        Changes of the active set at most, in units of the number of rows.
    out : array of float64, shape (n_target, n)
        Set where rows are used, else left alone.

    Returns
    -------
    array of bool, shape (n_target,)
        Where the limit was met. Nothing was written there.
    """
    size = max(1, most_rows(batch.numbers))
    failed = np.zeros(batch.targets.size, np.bool_)
    matrix = np.empty((size, size))
    lower = np.empty((size, size))
    vectors = np.empty((2, size))
    passive = np.empty(size, np.int64)
    for target in range(batch.targets.size):
        n = batch.numbers[target]
        rows = batch.rows[target, :n]
        for i in range(n):
            vectors[0, i] = batch.gram[rows[i], batch.targets[target]]
            for j in range(n):
                matrix[i, j] = batch.gram[rows[i], rows[j]]
        problem = Factor(matrix[:n, :n], vectors[0, :n], lower, vectors[1], passive)
        solution = np.zeros(n)
        failed[target] = not _active_set(problem, limit * n, solution)
        if not failed[target]:
            for i in range(n):
                out[target, rows[i]] = solution[i]
    return failed


@part
def _active_set(problem: Factor, limit: int, solution: Floats) -> bool:
    """Lawson & Hanson (1974), chapter 23, on the normal equations; False past the limit."""
    n = problem.right.size
    used = 0
    free = np.ones(n, np.bool_)
    gradient = problem.right.copy()
    tolerance = 0.0
    for i in range(n):
        tolerance = max(tolerance, 10 * n * EPSILON * abs(gradient[i]))
    trial = np.empty(n)
    for _ in range(limit):
        best, steepest = -1, tolerance
        for i in range(n):
            if free[i] and gradient[i] > steepest:
                best, steepest = i, gradient[i]
        if best < 0:
            return True
        # Not free until another row has entered: it depends on the passive rows, or would
        # turn negative at once by round-off.
        free[best] = False
        if not _append(problem, used, best):
            continue
        _solve_passive(problem, used + 1, trial)
        if trial[used] <= 0:
            continue
        used = _step(problem, used + 1, trial, solution)
        for i in range(n):
            free[i] = True
            gradient[i] = problem.right[i]
        for i in range(used):
            free[problem.passive[i]] = False
            row = problem.passive[i]
            for j in range(n):
                gradient[j] -= problem.matrix[row, j] * solution[row]
    return False


@part
def _append(problem: Factor, used: int, row: int) -> bool:
    """Add a row to the factor, unless it depends on those that are in it."""
    lower = problem.lower
    own = problem.matrix[row, row]
    pivot, turned = own, problem.right[row]
    for i in range(used):
        value = problem.matrix[row, problem.passive[i]]
        for k in range(i):
            value -= lower[used, k] * lower[i, k]
        value /= lower[i, i]
        lower[used, i] = value
        pivot -= value * value
        turned -= value * problem.turned[i]
    if not pivot > problem.right.size * EPSILON * own:
        return False
    lower[used, used] = np.sqrt(pivot)
    problem.turned[used] = turned / lower[used, used]
    problem.passive[used] = row
    return True


@part
def _solve_passive(problem: Factor, used: int, trial: Floats) -> None:
    """Unconstrained solution on the passive rows, in their order."""
    lower = problem.lower
    for i in range(used):
        trial[i] = problem.turned[i]
    for i in range(used - 1, -1, -1):
        trial[i] /= lower[i, i]
        for k in range(i):
            trial[k] -= lower[i, k] * trial[i]


@part
def _step(problem: Factor, used: int, trial: Floats, solution: Floats) -> int:
    """Go from `solution` towards `trial`; rows that reach zero on the way leave the factor."""
    passive = problem.passive
    while True:
        length = 1.0
        for i in range(used):
            if trial[i] <= 0:
                old = solution[passive[i]]
                length = min(length, old / (old - trial[i]))
        kept, first = 0, used
        for i in range(used):
            row = passive[i]
            value = solution[row] + length * (trial[i] - solution[row])
            # The same expression as above: the row that sets the length must leave.
            reached = trial[i] <= 0 and solution[row] / (solution[row] - trial[i]) <= length
            if reached or value <= 0:
                solution[row] = 0.0
                first = min(first, kept)
            else:
                solution[row] = trial[i] if length == 1.0 else value
                passive[kept] = row
                kept += 1
        if kept == used:
            return used
        used = first
        for i in range(first, kept):
            row = passive[i]
            if _append(problem, used, row):
                used += 1
            else:
                solution[row] = 0.0
        _solve_passive(problem, used, trial)
