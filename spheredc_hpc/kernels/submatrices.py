"""Submatrices of one Gram matrix, copied to the lanes of a batch and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from spheredc_hpc.kernels.lanes import part
from spheredc_hpc.kernels.tridiagonal import WIDTH, Reduction

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Batch(NamedTuple):
    """Submatrices of a Gram matrix, and a right-hand side each.

    Attributes
    ----------
    gram : array, shape (n, n)
        C-contiguous.
    targets : array of int, shape (n_target,)
        Rows of the right-hand sides.
    rows : array of int, shape (n_target, n_row)
        Rows of each submatrix; what is beyond their number is ignored.
    numbers : array of int, shape (n_target,)
        Number of rows of each submatrix.
    """

    gram: Floats
    targets: Integers
    rows: Integers
    numbers: Integers


@part
def most_rows(numbers: Integers) -> int:
    """Find the largest of some numbers of rows (``np.max`` takes half a second to compile)."""
    most = 0
    for i in range(numbers.size):
        most = max(most, numbers[i])
    return most


@njit(cache=True, nogil=True)
def list_rows(allowed: NDArray[np.bool_], numbers: Integers) -> Integers:
    """List the true columns of every row of `allowed`, zero beyond their number."""
    rows = np.zeros((allowed.shape[0], max(1, most_rows(numbers))), np.int64)
    for i in range(allowed.shape[0]):
        used = 0
        for j in range(allowed.shape[1]):
            if allowed[i, j]:
                rows[i, used] = j
                used += 1
    return rows


@part
def _scale(batch: Batch, target: int) -> float:
    """Power of two that brings the largest diagonal value of a submatrix near to one."""
    largest = 0.0
    for i in range(batch.numbers[target]):
        row = batch.rows[target, i]
        largest = max(largest, abs(batch.gram[row, row]))
    if largest == 0:
        return 1.0
    return float(2.0 ** min(max(-np.floor(np.log2(largest)), -1000.0), 1000.0))


@part
def fill_lanes(batch: Batch, start: int, n: int, strength: float, work: Reduction) -> None:
    """Copy the submatrices of eight targets, scaled, with zero rows at the end."""
    gram = batch.gram.ravel()
    columns = np.uint64(batch.gram.shape[0])
    index = np.zeros(n * WIDTH, np.uint64)
    factor = np.zeros(n * WIDTH)
    shift = np.zeros(WIDTH)
    work.side[: n * WIDTH] = 0.0
    for lane in range(WIDTH):
        target = start + lane
        if target < batch.targets.size:
            scale = _scale(batch, target)
            other = batch.targets[target]
            for i in range(batch.numbers[target]):
                row = batch.rows[target, i]
                index[i * WIDTH + lane] = row
                factor[i * WIDTH + lane] = scale
                work.side[i * WIDTH + lane] = batch.gram[row, other] * scale
                shift[lane] += batch.gram[row, row] * scale
            shift[lane] *= strength / max(batch.numbers[target], 1)
    for j in range(n):
        base = index[j * WIDTH : (j + 1) * WIDTH] * columns
        inside = factor[j * WIDTH : (j + 1) * WIDTH] > 0
        for i in range(j, n):
            position = (j * work.leading + i) * WIDTH
            for lane in range(WIDTH):
                value = gram[base[lane] + index[i * WIDTH + lane]] * factor[i * WIDTH + lane]
                work.matrix[position + lane] = value if inside[lane] else 0.0
        for lane in range(WIDTH):
            if inside[lane]:
                work.matrix[(j * work.leading + j) * WIDTH + lane] += shift[lane]


@part
def scatter_lanes(
    batch: Batch, start: int, vector: Floats, failed: NDArray[np.bool_], out: Floats
) -> None:
    """Write the solutions of eight targets to their rows."""
    for lane in range(WIDTH):
        target = start + lane
        if target < batch.targets.size and not failed[target]:
            for i in range(batch.numbers[target]):
                out[target, batch.rows[target, i]] = vector[i * WIDTH + lane]
