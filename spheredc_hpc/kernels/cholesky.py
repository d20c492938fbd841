"""Ridge regression on submatrices of a Gram matrix, by Cholesky factors of eight at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spheredc_hpc.kernels.lanes import (
    load,
    magnitude,
    multiply_add,
    part,
    root,
    select,
    splat,
    store,
)
from spheredc_hpc.kernels.ql import EPSILON
from spheredc_hpc.kernels.submatrices import Batch, fill_lanes, most_rows, scatter_lanes
from spheredc_hpc.kernels.tridiagonal import WIDTH, Reduction, new_reduction

Floats = NDArray[np.float64]
Vector = Any


@njit(cache=True, nogil=True)
def solve_ridge(batch: Batch, strength: float, out: Floats) -> NDArray[np.bool_]:
    """Solve ``(A + strength * mean(diag A) I) x = g`` for each submatrix.

    Parameters
    ----------
    batch : Batch
    strength : float
        At least 0.
    out : array of float64, shape (n_target, n)
        Set where rows are used, else left alone.

    Returns
    -------
    array of bool, shape (n_target,)
        Where the matrix is not positive definite to round-off: a squared pivot is not above
        the number of rows times the machine precision times the largest diagonal value.
        Nothing was written there.
    """
    size = max(1, most_rows(batch.numbers)) + 3
    work = new_reduction(size)
    failed = np.zeros(batch.targets.size, np.bool_)
    for start in range(0, batch.targets.size, WIDTH):
        stop = min(start + WIDTH, batch.targets.size)
        # Whole tiles of four rows; rows beyond the number become those of an identity.
        n = (most_rows(batch.numbers[start:stop]) + 3) // 4 * 4
        if n == 0:
            continue
        fill_lanes(batch, start, n, strength, work)
        for lane in range(stop - start):
            for i in range(batch.numbers[start + lane], n):
                work.matrix[(i * work.leading + i) * WIDTH + lane] = 1.0
        limit = _pivot_limit(work, n, batch.numbers[start:stop])
        smallest = _factorise(work, n, limit)
        store(work.product, 0, smallest)
        store(work.update, 0, limit)
        for lane in range(stop - start):
            failed[start + lane] = not work.product[lane] > work.update[lane]
        _substitute(work, n)
        scatter_lanes(batch, start, work.side, failed, out)
    return failed


@part
def _pivot_limit(work: Reduction, n: int, numbers: NDArray[np.int64]) -> Vector:
    work.update[:WIDTH] = EPSILON
    for lane in range(numbers.size):
        work.update[lane] = numbers[lane] * EPSILON
    largest = splat(0.0, WIDTH)
    for i in range(n):
        value = magnitude(load(work.matrix, (i * work.leading + i) * WIDTH, WIDTH))
        largest = select(value > largest, value, largest)
    return load(work.update, 0, WIDTH) * largest


@part
def _factorise(work: Reduction, n: int, limit: Vector) -> Vector:
    """Replace the lower triangles by their factors; inverse pivots go to ``work.factor``.

    Returns the smallest squared pivots. Those not above `limit` are taken for one.
    """
    smallest = splat(np.inf, WIDTH)
    for j in range(0, n, 4):
        for i in range(j, n, 4):
            _subtract_products(work, i, j)
        smallest = _factorise_tile(work, j, limit, smallest)
        for i in range(j + 4, n):
            _solve_row(work, i, j)
    return smallest


@part
def _subtract_products(work: Reduction, i: int, j: int) -> None:
    """Take the products of the columns before `j` off the tile of rows `i` and columns `j`."""
    for half in range(0, 4, 2):
        c0, c1 = (j + half) * work.leading + i, (j + half + 1) * work.leading + i
        a00, a10 = load(work.matrix, c0 * WIDTH, WIDTH), load(work.matrix, (c0 + 1) * WIDTH, WIDTH)
        a20 = load(work.matrix, (c0 + 2) * WIDTH, WIDTH)
        a30 = load(work.matrix, (c0 + 3) * WIDTH, WIDTH)
        a01, a11 = load(work.matrix, c1 * WIDTH, WIDTH), load(work.matrix, (c1 + 1) * WIDTH, WIDTH)
        a21 = load(work.matrix, (c1 + 2) * WIDTH, WIDTH)
        a31 = load(work.matrix, (c1 + 3) * WIDTH, WIDTH)
        zero = splat(0.0, WIDTH)
        for k in range(j):
            left, top = (k * work.leading + i) * WIDTH, (k * work.leading + j + half) * WIDTH
            f0 = zero - load(work.matrix, top, WIDTH)
            f1 = zero - load(work.matrix, top + WIDTH, WIDTH)
            row = load(work.matrix, left, WIDTH)
            a00, a01 = multiply_add(row, f0, a00), multiply_add(row, f1, a01)
            row = load(work.matrix, left + WIDTH, WIDTH)
            a10, a11 = multiply_add(row, f0, a10), multiply_add(row, f1, a11)
            row = load(work.matrix, left + 2 * WIDTH, WIDTH)
            a20, a21 = multiply_add(row, f0, a20), multiply_add(row, f1, a21)
            row = load(work.matrix, left + 3 * WIDTH, WIDTH)
            a30, a31 = multiply_add(row, f0, a30), multiply_add(row, f1, a31)
        store(work.matrix, c0 * WIDTH, a00)
        store(work.matrix, (c0 + 1) * WIDTH, a10)
        store(work.matrix, (c0 + 2) * WIDTH, a20)
        store(work.matrix, (c0 + 3) * WIDTH, a30)
        store(work.matrix, c1 * WIDTH, a01)
        store(work.matrix, (c1 + 1) * WIDTH, a11)
        store(work.matrix, (c1 + 2) * WIDTH, a21)
        store(work.matrix, (c1 + 3) * WIDTH, a31)


@part
def _factorise_tile(work: Reduction, j: int, limit: Vector, smallest: Vector) -> Vector:
    """Factorise the tile on the diagonal, whose upper triangle is not used."""
    one = splat(1.0, WIDTH)
    for c in range(j, j + 4):
        _solve_row(work, c, j)
        pivot = load(work.matrix, (c * work.leading + c) * WIDTH, WIDTH)
        for k in range(j, c):
            value = load(work.matrix, (k * work.leading + c) * WIDTH, WIDTH)
            pivot = pivot - value * value
        smallest = select(pivot < smallest, pivot, smallest)
        pivot = root(select(pivot > limit, pivot, one))
        store(work.matrix, (c * work.leading + c) * WIDTH, pivot)
        store(work.factor, c * WIDTH, one / pivot)
    return smallest


@part
def _solve_row(work: Reduction, i: int, j: int) -> None:
    """Finish row `i` of the columns `j` to ``j + 3`` as far as it is below the diagonal."""
    zero = splat(0.0, WIDTH)
    for c in range(j, min(j + 4, i)):
        value = load(work.matrix, (c * work.leading + i) * WIDTH, WIDTH)
        for k in range(j, c):
            done = zero - load(work.matrix, (k * work.leading + i) * WIDTH, WIDTH)
            top = load(work.matrix, (k * work.leading + c) * WIDTH, WIDTH)
            value = multiply_add(done, top, value)
        store(
            work.matrix,
            (c * work.leading + i) * WIDTH,
            value * load(work.factor, c * WIDTH, WIDTH),
        )


@part
def _substitute(work: Reduction, n: int) -> None:
    """Replace the vectors at the side by the solutions."""
    zero = splat(0.0, WIDTH)
    for j in range(n):
        value = load(work.side, j * WIDTH, WIDTH) * load(work.factor, j * WIDTH, WIDTH)
        store(work.side, j * WIDTH, value)
        value = zero - value
        for i in range(j + 1, n):
            element = load(work.matrix, (j * work.leading + i) * WIDTH, WIDTH)
            rest = multiply_add(element, value, load(work.side, i * WIDTH, WIDTH))
            store(work.side, i * WIDTH, rest)
    for j in range(n - 1, -1, -1):
        total = zero - load(work.side, j * WIDTH, WIDTH)
        for i in range(j + 1, n):
            element = load(work.matrix, (j * work.leading + i) * WIDTH, WIDTH)
            total = multiply_add(element, load(work.side, i * WIDTH, WIDTH), total)
        store(work.side, j * WIDTH, (zero - total) * load(work.factor, j * WIDTH, WIDTH))
