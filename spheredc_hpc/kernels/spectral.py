"""Functions of the submatrices of a Gram matrix, times a vector each, in compiled batches.

For target `i` with the rows `S` the result is ``f(A) g`` with ``A = G[S, S]``, ``g = G[S, i]``
and `f` the inverse of the eigenvalues that are kept. Sixteen targets go together: Householder
reduction in two halves (`tridiagonal`), implicit QL (`ql`), both undone on ``f(L) Z^T Q^T g``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spheredc_hpc.kernels import ql, tridiagonal
from spheredc_hpc.kernels.lanes import load, part, select, splat, store
from spheredc_hpc.kernels.ql import EPSILON, Iteration, diagonalise, new_iteration, undo_rotations
from spheredc_hpc.kernels.submatrices import Batch, fill_lanes, most_rows, scatter_lanes
from spheredc_hpc.kernels.tridiagonal import (
    Reduction,
    new_reduction,
    reduce_matrices,
    turn_back,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Vector = Any

WIDTH = ql.WIDTH
HALF = tridiagonal.WIDTH

# Norm and trace of every problem are compared before and after; round-off is some 1e-13.
LARGEST_CHANGE = 1e-10


@njit(cache=True, nogil=True)
def invert_spectra(
    batch: Batch,
    counts: Integers,
    tolerance: float,
    strength: float,
    room: float,
    out: Floats,
) -> NDArray[np.bool_]:
    """Solve with the leading eigenvalues of each submatrix.

    Parameters
    ----------
    batch : Batch
    counts : array of int, shape (n_count,)
        Eigenvalues kept at most, for each result.
    tolerance : float
        Only eigenvalues above this fraction of the largest are kept, and only those above
        round-off, the number of rows times the machine precision.
    strength : float
        Added to the diagonal, in units of its mean.
    room : float
        Rotations that the iteration may take, in units of the square of the size.
    out : array of float64, shape (n_count, n_target, n)
        Set where rows are used, else left alone.

    Returns
    -------
    array of bool, shape (n_target,)
        Where the iteration failed. Nothing was written there.
    """
    size = max(1, most_rows(batch.numbers))
    iteration = new_iteration(size, room)
    halves = (new_reduction(size), new_reduction(size))
    vectors = np.empty((counts.size, size * WIDTH))
    failed = np.zeros(batch.targets.size, np.bool_)
    for start in range(0, batch.targets.size, WIDTH):
        stop = min(start + WIDTH, batch.targets.size)
        n = most_rows(batch.numbers[start:stop])
        if n == 0:
            continue
        for half in range(2):
            fill_lanes(batch, start + half * HALF, n, strength, halves[half])
            sums = _sums(halves[half], n)
            store(iteration.state, half * HALF, sums[0])
            store(iteration.state, WIDTH + half * HALF, sums[1])
            reduce_matrices(halves[half], n)
            _put_half(halves[half], iteration, n, half)
        before = iteration.state.copy()
        sweeps = diagonalise(iteration, n)
        if sweeps < 0:
            failed[start:stop] = True
            continue
        _compare(iteration, n, before, failed[start:stop])
        _weigh(iteration, n, batch.numbers[start:stop], counts, tolerance, vectors)
        undo_rotations(iteration, sweeps, vectors)
        for half in range(2):
            for k in range(counts.size):
                _get_half(halves[half], vectors[k], n, half)
                turn_back(halves[half], n, halves[half].side)
                scatter_lanes(batch, start + half * HALF, halves[half].side, failed, out[k])
    return failed


@part
def _sums(work: Reduction, n: int) -> tuple[Vector, Vector]:
    """Traces of the matrices, and squared norms of the vectors at the side."""
    trace, norm = splat(0.0, HALF), splat(0.0, HALF)
    for i in range(n):
        trace = trace + load(work.matrix, (i * work.leading + i) * HALF, HALF)
        value = load(work.side, i * HALF, HALF)
        norm = norm + value * value
    return trace, norm


@part
def _put_half(work: Reduction, iteration: Iteration, n: int, half: int) -> None:
    """Hand tridiagonal matrices over, last row first: QL wants large values at the end."""
    zero = splat(0.0, HALF)
    for i in range(n):
        here, there = i * HALF, (n - 1 - i) * WIDTH + half * HALF
        store(iteration.diagonal, there, load(work.diagonal, here, HALF))
        store(iteration.side, there, load(work.side, here, HALF))
        off = load(work.off, (n - 2 - i) * HALF, HALF) if i < n - 1 else zero
        store(iteration.off, i * WIDTH + half * HALF, off)


@part
def _get_half(work: Reduction, vector: Floats, n: int, half: int) -> None:
    """Take solutions back, in the order of the rows."""
    for i in range(n):
        there = (n - 1 - i) * WIDTH + half * HALF
        store(work.side, i * HALF, load(vector, there, HALF))


@part
def _compare(work: Iteration, n: int, before: Floats, failed: NDArray[np.bool_]) -> None:
    """Mark problems whose trace or norm has changed, or is not finite."""
    for lane in range(failed.size):
        trace, norm, size = 0.0, 0.0, 0.0
        for i in range(lane, n * WIDTH, WIDTH):
            trace += work.diagonal[i]
            size += abs(work.diagonal[i])
            norm += work.side[i] * work.side[i]
        same = abs(trace - before[lane]) <= LARGEST_CHANGE * size
        same &= abs(norm - before[WIDTH + lane]) <= LARGEST_CHANGE * before[WIDTH + lane]
        failed[lane] = not same


@part
def _weigh(
    work: Iteration,
    n: int,
    numbers: Integers,
    counts: Integers,
    tolerance: float,
    vectors: Floats,
) -> None:
    """Divide the turned vectors by the eigenvalues that are kept."""
    zero, one = splat(0.0, WIDTH), splat(1.0, WIDTH)
    work.state[:WIDTH] = tolerance
    for lane in range(numbers.size):
        work.state[lane] = max(tolerance, numbers[lane] * EPSILON)
    largest = zero
    for i in range(n):
        value = load(work.diagonal, i * WIDTH, WIDTH)
        largest = select(value > largest, value, largest)
    limit = load(work.state, 0, WIDTH) * largest
    for i in range(n):
        value = load(work.diagonal, i * WIDTH, WIDTH)
        kept = value > limit
        inverse = select(kept, load(work.side, i * WIDTH, WIDTH) / select(kept, value, one), zero)
        rank = zero
        for j in range(i):
            rank = rank + select(load(work.diagonal, j * WIDTH, WIDTH) >= value, one, zero)
        for j in range(i + 1, n):
            rank = rank + select(load(work.diagonal, j * WIDTH, WIDTH) > value, one, zero)
        for k in range(counts.size):
            used = rank < splat(float(counts[k]), WIDTH)
            store(vectors[k], i * WIDTH, select(used, inverse, zero))
