"""Householder reduction of eight symmetric matrices at once, one in each lane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.lanes import (
    load,
    multiply_add,
    part,
    root,
    select,
    splat,
    store,
    with_sign,
)

Floats = NDArray[np.float64]
Vector = Any

WIDTH = 8


class Reduction(NamedTuple):
    """Eight matrices and what is left of them; element `i` of lane `k` is at ``8 * i + k``.

    Attributes
    ----------
    matrix : array, flat
        Column `j` starts at element ``j * leading``; only ``i >= j`` is used. The reduction
        replaces the matrices by its reflectors.
    leading : int
        Elements from one column to the next, at least the size.
    side : array, flat
        One vector `y` for each matrix, replaced by ``Q^T y``.
    diagonal, off : array, flat
        The tridiagonal matrices ``T = Q^T A Q``; `off` couples `i` and ``i + 1``.
    factor : array, flat
        Factors of the reflectors ``I - factor v v^T``.
    reflector, update, weight, product : array, flat
        Scratch.
    """

    matrix: Floats
    leading: int
    side: Floats
    diagonal: Floats
    off: Floats
    factor: Floats
    reflector: Floats
    update: Floats
    weight: Floats
    product: Floats


@part
def new_reduction(size: int) -> Reduction:
    """Room for matrices of up to `size` rows."""
    leading = size | 1  # An odd number: columns that are a power of two apart share cache lines.
    rows = size * WIDTH
    return Reduction(
        np.empty(leading * rows),
        leading,
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
        np.empty(rows),
    )


@part
def reduce_matrices(work: Reduction, n: int) -> None:
    """Reduce the matrices of `work`, of size `n`, to tridiagonal form.

    Notes
    -----
    Golub & Van Loan, Matrix Computations, 4th ed., algorithm 8.3.1. The update of one step and
    the matrix-vector product of the next share one pass over the matrix, so that every element
    is read and written once in a step. Zero rows at the end stay out: their reflectors are
    void. Cost: ``4 n**3 / 3`` operations in each lane.
    """
    zero = splat(0.0, WIDTH)
    for i in range(n * WIDTH):
        work.update[i] = 0.0
        work.weight[i] = 0.0
    for k in range(n - 1):
        factor = _new_reflector(work, n, k)
        _turn_side(work, n, k, factor)
        for i in range(k + 1, n):
            store(work.product, i * WIDTH, zero)
        start = k + 1
        while start + 4 <= n:
            _update_triangle(work, start)
            _update_block(work, start, n)
            start += 4
        for j in range(start, n):
            _update_column(work, j, n)
        _new_update(work, n, k, factor)
    last = (n - 1) * work.leading + n - 1
    step = load(work.update, (n - 1) * WIDTH, WIDTH) * load(work.weight, (n - 1) * WIDTH, WIDTH)
    store(work.diagonal, (n - 1) * WIDTH, load(work.matrix, last * WIDTH, WIDTH) - step - step)


@part
def turn_back(work: Reduction, n: int, vector: Floats) -> None:
    """Replace `vector` by ``Q vector``, with the reflectors of `reduce_matrices`."""
    for k in range(n - 2, -1, -1):
        column = k * work.leading
        total = splat(0.0, WIDTH)
        for i in range(k + 1, n):
            total = multiply_add(
                load(work.matrix, (column + i) * WIDTH, WIDTH),
                load(vector, i * WIDTH, WIDTH),
                total,
            )
        total = splat(0.0, WIDTH) - total * load(work.factor, k * WIDTH, WIDTH)
        for i in range(k + 1, n):
            reflector = load(work.matrix, (column + i) * WIDTH, WIDTH)
            store(
                vector,
                i * WIDTH,
                multiply_add(total, reflector, load(vector, i * WIDTH, WIDTH)),
            )


@part
def _new_reflector(work: Reduction, n: int, k: int) -> Vector:
    """Bring column `k` up to date, and find the reflector that takes it to two elements."""
    zero, one = splat(0.0, WIDTH), splat(1.0, WIDTH)
    column = k * work.leading
    update = zero - load(work.update, k * WIDTH, WIDTH)
    weight = zero - load(work.weight, k * WIDTH, WIDTH)
    value = _updated(work, column, k, update, weight)
    store(work.diagonal, k * WIDTH, value)
    first = _updated(work, column, k + 1, update, weight)
    rest = zero
    for i in range(k + 2, n):
        value = _updated(work, column, i, update, weight)
        store(work.reflector, i * WIDTH, value)
        rest = multiply_add(value, value, rest)
    some = rest > zero
    length = with_sign(root(multiply_add(first, first, rest)), first)
    off = select(some, zero - length, first)
    factor = select(some, (first + length) / select(some, length, one), zero)
    scale = select(some, one / select(some, first + length, one), zero)
    store(work.off, k * WIDTH, off)
    store(work.factor, k * WIDTH, factor)
    store(work.reflector, (k + 1) * WIDTH, one)
    store(work.matrix, (column + k + 1) * WIDTH, one)
    for i in range(k + 2, n):
        value = load(work.reflector, i * WIDTH, WIDTH) * scale
        store(work.reflector, i * WIDTH, value)
        store(work.matrix, (column + i) * WIDTH, value)
    return factor


@part
def _turn_side(work: Reduction, n: int, k: int, factor: Vector) -> None:
    """Apply reflector `k` to the vectors at the side."""
    total = splat(0.0, WIDTH)
    for i in range(k + 1, n):
        total = multiply_add(
            load(work.reflector, i * WIDTH, WIDTH), load(work.side, i * WIDTH, WIDTH), total
        )
    total = splat(0.0, WIDTH) - total * factor
    for i in range(k + 1, n):
        value = load(work.side, i * WIDTH, WIDTH)
        value = multiply_add(total, load(work.reflector, i * WIDTH, WIDTH), value)
        store(work.side, i * WIDTH, value)


@part
def _updated(work: Reduction, column: int, i: int, update: Vector, weight: Vector) -> Vector:
    """Bring element `i` of a column up to date, with the negative values of the column."""
    value = load(work.matrix, (column + i) * WIDTH, WIDTH)
    value = multiply_add(load(work.weight, i * WIDTH, WIDTH), update, value)
    return multiply_add(load(work.update, i * WIDTH, WIDTH), weight, value)


@part
def _update_column(work: Reduction, j: int, stop: int) -> None:
    """Update rows `j` to `stop` of column `j`, and add them to the product."""
    zero = splat(0.0, WIDTH)
    column = j * work.leading
    update = zero - load(work.update, j * WIDTH, WIDTH)
    weight = zero - load(work.weight, j * WIDTH, WIDTH)
    reflector = load(work.reflector, j * WIDTH, WIDTH)
    value = _updated(work, column, j, update, weight)
    store(work.matrix, (column + j) * WIDTH, value)
    total = multiply_add(value, reflector, load(work.product, j * WIDTH, WIDTH))
    for i in range(j + 1, stop):
        value = _updated(work, column, i, update, weight)
        store(work.matrix, (column + i) * WIDTH, value)
        total = multiply_add(value, load(work.reflector, i * WIDTH, WIDTH), total)
        value = multiply_add(value, reflector, load(work.product, i * WIDTH, WIDTH))
        store(work.product, i * WIDTH, value)
    store(work.product, j * WIDTH, total)


@part
def _update_triangle(work: Reduction, j: int) -> None:
    """Do the same for rows and columns `j` to ``j + 3``, in registers."""
    j0, j1, j2, j3 = j * WIDTH, (j + 1) * WIDTH, (j + 2) * WIDTH, (j + 3) * WIDTH
    v0, v1 = load(work.reflector, j0, WIDTH), load(work.reflector, j1, WIDTH)
    v2, v3 = load(work.reflector, j2, WIDTH), load(work.reflector, j3, WIDTH)
    a00, a10 = _update_one(work, j, 0), _update_one(work, j, 1)
    a20, a30 = _update_one(work, j, 2), _update_one(work, j, 3)
    a11, a21 = _update_one(work, j + 1, 0), _update_one(work, j + 1, 1)
    a31, a22 = _update_one(work, j + 1, 2), _update_one(work, j + 2, 0)
    a32, a33 = _update_one(work, j + 2, 1), _update_one(work, j + 3, 0)
    p0, p1 = load(work.product, j0, WIDTH), load(work.product, j1, WIDTH)
    p2, p3 = load(work.product, j2, WIDTH), load(work.product, j3, WIDTH)
    p0, p1 = multiply_add(a00, v0, p0), multiply_add(a10, v0, p1)
    p2, p3 = multiply_add(a20, v0, p2), multiply_add(a30, v0, p3)
    p0, p1 = multiply_add(a10, v1, p0), multiply_add(a11, v1, p1)
    p2, p3 = multiply_add(a21, v1, p2), multiply_add(a31, v1, p3)
    p0, p1 = multiply_add(a20, v2, p0), multiply_add(a21, v2, p1)
    p2, p3 = multiply_add(a22, v2, p2), multiply_add(a32, v2, p3)
    p0, p1 = multiply_add(a30, v3, p0), multiply_add(a31, v3, p1)
    p2, p3 = multiply_add(a32, v3, p2), multiply_add(a33, v3, p3)
    store(work.product, j0, p0)
    store(work.product, j1, p1)
    store(work.product, j2, p2)
    store(work.product, j3, p3)


@part
def _update_one(work: Reduction, j: int, down: int) -> Vector:
    """Bring one element of column `j` up to date, `down` rows below the diagonal."""
    zero = splat(0.0, WIDTH)
    update = zero - load(work.update, j * WIDTH, WIDTH)
    weight = zero - load(work.weight, j * WIDTH, WIDTH)
    value = _updated(work, j * work.leading, j + down, update, weight)
    store(work.matrix, (j * work.leading + j + down) * WIDTH, value)
    return value


@part
def _update_block(work: Reduction, j: int, n: int) -> None:
    """Do the same for the rows below the triangle of columns `j` to ``j + 3``."""
    zero = splat(0.0, WIDTH)
    c0 = j * work.leading
    c1, c2, c3 = c0 + work.leading, c0 + 2 * work.leading, c0 + 3 * work.leading
    j0, j1, j2, j3 = j * WIDTH, (j + 1) * WIDTH, (j + 2) * WIDTH, (j + 3) * WIDTH
    u0, u1 = zero - load(work.update, j0, WIDTH), zero - load(work.update, j1, WIDTH)
    u2, u3 = zero - load(work.update, j2, WIDTH), zero - load(work.update, j3, WIDTH)
    w0, w1 = zero - load(work.weight, j0, WIDTH), zero - load(work.weight, j1, WIDTH)
    w2, w3 = zero - load(work.weight, j2, WIDTH), zero - load(work.weight, j3, WIDTH)
    v0, v1 = load(work.reflector, j0, WIDTH), load(work.reflector, j1, WIDTH)
    v2, v3 = load(work.reflector, j2, WIDTH), load(work.reflector, j3, WIDTH)
    p0, p1 = load(work.product, j0, WIDTH), load(work.product, j1, WIDTH)
    p2, p3 = load(work.product, j2, WIDTH), load(work.product, j3, WIDTH)
    for i in range(j + 4, n):
        update = load(work.update, i * WIDTH, WIDTH)
        weight = load(work.weight, i * WIDTH, WIDTH)
        reflector = load(work.reflector, i * WIDTH, WIDTH)
        total = load(work.product, i * WIDTH, WIDTH)
        a0 = multiply_add(weight, u0, load(work.matrix, (c0 + i) * WIDTH, WIDTH))
        a1 = multiply_add(weight, u1, load(work.matrix, (c1 + i) * WIDTH, WIDTH))
        a2 = multiply_add(weight, u2, load(work.matrix, (c2 + i) * WIDTH, WIDTH))
        a3 = multiply_add(weight, u3, load(work.matrix, (c3 + i) * WIDTH, WIDTH))
        a0, a1 = multiply_add(update, w0, a0), multiply_add(update, w1, a1)
        a2, a3 = multiply_add(update, w2, a2), multiply_add(update, w3, a3)
        store(work.matrix, (c0 + i) * WIDTH, a0)
        store(work.matrix, (c1 + i) * WIDTH, a1)
        store(work.matrix, (c2 + i) * WIDTH, a2)
        store(work.matrix, (c3 + i) * WIDTH, a3)
        p0, p1 = multiply_add(a0, reflector, p0), multiply_add(a1, reflector, p1)
        p2, p3 = multiply_add(a2, reflector, p2), multiply_add(a3, reflector, p3)
        total = multiply_add(a1, v1, multiply_add(a0, v0, total))
        total = multiply_add(a3, v3, multiply_add(a2, v2, total))
        store(work.product, i * WIDTH, total)
    store(work.product, j0, p0)
    store(work.product, j1, p1)
    store(work.product, j2, p2)
    store(work.product, j3, p3)


@part
def _new_update(work: Reduction, n: int, k: int, factor: Vector) -> None:
    """Find the rank-two update ``v w^T + w v^T`` that the reflector brings."""
    total = splat(0.0, WIDTH)
    for i in range(k + 1, n):
        value = load(work.product, i * WIDTH, WIDTH) * factor
        store(work.product, i * WIDTH, value)
        total = multiply_add(value, load(work.reflector, i * WIDTH, WIDTH), total)
    total = splat(-0.5, WIDTH) * factor * total
    for i in range(k + 1, n):
        value = load(work.reflector, i * WIDTH, WIDTH)
        store(work.update, i * WIDTH, value)
        store(
            work.weight,
            i * WIDTH,
            multiply_add(total, value, load(work.product, i * WIDTH, WIDTH)),
        )
