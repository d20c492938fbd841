"""Implicit QL iteration on sixteen tridiagonal matrices at once, without eigenvectors.

For a function of a matrix times a vector, ``f(T) y = Z f(L) Z^T y``, the eigenvectors `Z` are
never needed: they are the product of the rotations of the iteration. These turn `y` on the way
to the eigenvalues, are kept, and are undone in the opposite order. One step waits for the
root and the quotient of the step before; twice the lanes of a vector register fill the wait.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
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
    with_sign,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Vector = Any

WIDTH = 16
EPSILON = float(np.finfo(np.float64).eps)


class Iteration(NamedTuple):
    """Sixteen tridiagonal matrices; element `i` of lane `k` is at ``16 * i + k``.

    Attributes
    ----------
    diagonal, off, side : array, flat
        The matrices and one vector `y` each; `off` couples `i` and ``i + 1``. Replaced by the
        eigenvalues, zero and ``Z^T y``.
    rotations : array, flat
        Cosine and sine of each rotation, in their order.
    first, last : array of int
        Rows over which each sweep runs; they limit the number of sweeps.
    low, high : array of int, shape (16,)
        Block of each lane that the next sweep works on.
    tolerance : array, shape (16,)
        Values of `off` that count as zero: round-off of the norm of the matrix.
    state : array, flat
        Scratch.
    """

    diagonal: Floats
    off: Floats
    side: Floats
    rotations: Floats
    first: Integers
    last: Integers
    low: Integers
    high: Integers
    tolerance: Floats
    state: Floats


@part
def new_iteration(size: int, room: float) -> Iteration:
    """Room for matrices of up to `size` rows and ``room * size**2`` rotations.

    Some 0.6 to 1.2 times ``size**2`` are needed, more only for a few rows.
    """
    sweeps = 30 * size + 30
    return Iteration(
        np.empty(size * WIDTH),
        np.empty(size * WIDTH),
        np.empty(size * WIDTH),
        np.empty(2 * WIDTH * int(room * (size + 16) * (size + 16))),
        np.empty(sweeps, np.int64),
        np.empty(sweeps, np.int64),
        np.empty(WIDTH, np.int64),
        np.empty(WIDTH, np.int64),
        np.empty(WIDTH),
        np.empty(7 * WIDTH),
    )


@part
def diagonalise(work: Iteration, n: int) -> int:
    """Find the eigenvalues and turn the vectors at the side.

    Returns
    -------
    int
        Number of sweeps; -1 if there is no room for another one.

    Notes
    -----
    Implicit shifts of Dubrulle, Martin & Wilkinson (1968), Numer. Math. 12, 377. Each lane has
    its own block and its own pace; lanes that a sweep does not concern are turned by nothing.
    Cost: about ``6 n**2`` rotations and roots for the sixteen.
    """
    _start(work, n)
    sweeps, rotations = 0, 0
    while True:
        first, last = _next_windows(work, n)
        if first >= n:
            return sweeps
        if sweeps == work.first.size or (rotations + last - first) * 2 * WIDTH > (
            work.rotations.size
        ):
            return -1
        work.first[sweeps], work.last[sweeps] = first, last
        _sweep(work, first, last, rotations * 2 * WIDTH)
        sweeps += 1
        rotations += last - first
        _end_sweep(work, n)


@part
def undo_rotations(work: Iteration, sweeps: int, vectors: Floats) -> None:
    """Replace each of the `vectors`, shape (n_vector, 16 n), by ``Z vector``."""
    end = 0
    for sweep in range(sweeps):
        end += (work.last[sweep] - work.first[sweep]) * 2 * WIDTH
    for sweep in range(sweeps - 1, -1, -1):
        first, last = work.first[sweep], work.last[sweep]
        for k in range(vectors.shape[0]):
            vector = vectors[k]
            position = end
            lower = load(vector, first * WIDTH, WIDTH)
            for i in range(first, last):
                position -= 2 * WIDTH
                cosine = load(work.rotations, position, WIDTH)
                sine = load(work.rotations, position + WIDTH, WIDTH)
                upper = load(vector, (i + 1) * WIDTH, WIDTH)
                store(vector, i * WIDTH, multiply_add(cosine, lower, sine * upper))
                lower = cosine * upper - sine * lower
            store(vector, last * WIDTH, lower)
        end -= (last - first) * 2 * WIDTH


@part
def _start(work: Iteration, n: int) -> None:
    norm = splat(0.0, WIDTH)
    for i in range(n):
        row = magnitude(load(work.diagonal, i * WIDTH, WIDTH))
        row = row + magnitude(load(work.off, i * WIDTH, WIDTH))
        norm = select(row > norm, row, norm)
    store(work.tolerance, 0, norm * splat(0.5 * EPSILON, WIDTH))
    for lane in range(WIDTH):
        work.low[lane] = 0
        work.high[lane] = _end_of_block(work, n, 0, lane)


@part
def _end_of_block(work: Iteration, n: int, start: int, lane: int) -> int:
    """Find the last row that is coupled to row `start`."""
    row = start
    while row < n - 1 and abs(work.off[row * WIDTH + lane]) > work.tolerance[lane]:
        row += 1
    return row


@part
def _next_windows(work: Iteration, n: int) -> tuple[int, int]:
    """Choose the block of each lane, set its shift up, and tell the rows of all blocks."""
    first, last = n, 0
    state = work.state
    for lane in range(WIDTH):
        low, high = work.low[lane], work.high[lane]
        while low == high and low < n - 1:
            low += 1
            high = _end_of_block(work, n, low, lane)
        work.low[lane], work.high[lane] = low, high
        if low < n - 1:
            first, last = min(first, low), max(last, high)
            state[lane], state[WIDTH + lane] = low, high
            state[2 * WIDTH + lane] = work.diagonal[low * WIDTH + lane]
            state[3 * WIDTH + lane] = work.diagonal[(low + 1) * WIDTH + lane]
            state[4 * WIDTH + lane] = work.off[low * WIDTH + lane]
            state[5 * WIDTH + lane] = work.diagonal[high * WIDTH + lane]
        else:
            state[lane], state[WIDTH + lane] = n, 0
            state[2 * WIDTH + lane] = state[3 * WIDTH + lane] = state[5 * WIDTH + lane] = 0.0
            state[4 * WIDTH + lane] = 1.0
    return first, last


@part
def _shifted_end(work: Iteration) -> Vector:
    """Last diagonal value of each block less the shift, an eigenvalue of its first two rows."""
    one = splat(1.0, WIDTH)
    first = load(work.state, 2 * WIDTH, WIDTH)
    off = load(work.state, 4 * WIDTH, WIDTH)
    ratio = (load(work.state, 3 * WIDTH, WIDTH) - first) / (splat(2.0, WIDTH) * off)
    size = root(multiply_add(ratio, ratio, one))
    return load(work.state, 5 * WIDTH, WIDTH) - first + off / (ratio + with_sign(size, ratio))


@part
def _sweep(work: Iteration, first: int, last: int, position: int) -> None:
    """Chase the bulge from row `last` to row `first`, and store the rotations."""
    zero, one = splat(0.0, WIDTH), splat(1.0, WIDTH)
    low, high = load(work.state, 0, WIDTH), load(work.state, WIDTH, WIDTH)
    tolerance = load(work.tolerance, 0, WIDTH)
    bulge = _shifted_end(work)
    sine, cosine, change, split = one, one, zero, high
    upper = load(work.diagonal, last * WIDTH, WIDTH)
    side = load(work.side, last * WIDTH, WIDTH)
    row = splat(float(last), WIDTH)
    for i in range(last - 1, first - 1, -1):
        next_row, row = row, row - one
        on = (row < high) & (row >= low)
        off, lower = load(work.off, i * WIDTH, WIDTH), load(work.diagonal, i * WIDTH, WIDTH)
        product, coupling = sine * off, cosine * off
        length = root(multiply_add(bulge, bulge, product * product))
        turned = on & (length > zero)
        inverse = one / select(turned, length, one)
        sine = select(turned, product * inverse, select(on, zero, sine))
        cosine = select(turned, bulge * inverse, select(on, one, cosine))
        store(work.rotations, position, select(on, cosine, one))
        store(work.rotations, position + WIDTH, select(on, sine, zero))
        position += 2 * WIDTH
        old = load(work.off, (i + 1) * WIDTH, WIDTH)
        store(work.off, (i + 1) * WIDTH, select(on, length, old))
        split = select(on & (length <= tolerance) & (next_row < high), next_row, split)
        base = upper - change
        slope = multiply_add(lower - base, sine, (cosine + cosine) * coupling)
        change = select(on, sine * slope, change)
        bulge = select(on, cosine * slope - coupling, bulge)
        store(work.diagonal, (i + 1) * WIDTH, select(on, base + change, upper))
        partner = load(work.side, i * WIDTH, WIDTH)
        turn, keep = select(on, sine, zero), select(on, cosine, one)
        store(work.side, (i + 1) * WIDTH, multiply_add(turn, partner, keep * side))
        side = keep * partner - turn * side
        ends = on & (row <= low)
        upper = select(ends, lower - change, lower)
        store(work.diagonal, i * WIDTH, upper)
        store(work.off, i * WIDTH, select(ends, bulge, off))
    store(work.side, first * WIDTH, side)
    store(work.state, 6 * WIDTH, split)


@part
def _end_sweep(work: Iteration, n: int) -> None:
    """Close the blocks, and note those that have split or given their first eigenvalue."""
    for lane in range(WIDTH):
        low, high = work.low[lane], work.high[lane]
        if low < n - 1:
            work.off[high * WIDTH + lane] = 0.0
            work.high[lane] = int(work.state[6 * WIDTH + lane])
            if abs(work.off[low * WIDTH + lane]) <= work.tolerance[lane]:
                work.high[lane] = low
