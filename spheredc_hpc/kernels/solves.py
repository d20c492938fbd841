"""Many small symmetric problems on submatrices of one Gram matrix.

`solve` evaluates ``f(A) g`` for every target, with ``A = G[S, S]`` and ``g = G[S, i]``. It
chooses between three ways that agree to round-off: compiled batches (NumPy arrays), one
eigenvalue problem for many targets that share their rows, and batched array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import NDArray

from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.cholesky import solve_ridge
from spheredc_hpc.kernels.device import pieces_at_once
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.spectral import invert_spectra
from spheredc_hpc.kernels.submatrices import Batch, list_rows

Array = Any
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

# Targets of one compiled batch, a multiple of its lanes. Fixed, so that bits do not change.
BATCH_TARGETS = 32
# Beyond this many targets with equal rows, one full eigenvalue problem is cheaper.
SHARED_TARGETS = 8
# Beyond this many rows the lanes of a spectrum need some 100 MB, and LAPACK is nearly as fast.
# Those of a ridge regression need 64 bytes times the rows squared and stay as fast as LAPACK.
LANE_ROWS = 512
# Rotations for which a batch has room, in squares of its rows. See `ql.new_iteration`.
ROOM = 1.2
# Matrix elements of one batch of array operations (1 GB).
ARRAY_ELEMENTS = 2**27
# What a batch takes per element: indices, matrices, eigenvectors and room to find them [bytes].
_ARRAY_BYTES = 8 * 8
# Error of the product of sound Cholesky factors, in rows times round-off of the largest element.
_FACTOR_ERROR = 4


@dataclass(frozen=True)
class Inverse:
    """What stands for the inverse of a matrix.

    Attributes
    ----------
    counts : tuple of int
        Leading eigenvalues kept at most, one number for each result.
    tolerance : float
        Fraction of the largest eigenvalue above which eigenvalues are kept. Those below
        round-off, the number of rows times the machine precision, are never kept.
    strength : float
        Added to the diagonal first, in units of its mean.
    """

    counts: tuple[int, ...]
    tolerance: float = 0.0
    strength: float = 0.0

    def weights(self, values: Array, numbers: Array) -> list[Array]:
        """Inverse eigenvalues, zero for those that are not kept.

        Parameters
        ----------
        values : array, shape (..., n)
            Eigenvalues, ascending; zero rows of the matrix may have added zeros.
        numbers : array, shape (..., 1)
            Rows of each matrix.

        Returns
        -------
        list of array, shape (..., n), one for each count
        """
        xp = array_namespace(values)
        floor = numbers * xp.finfo(values.dtype).eps
        floor = xp.where(floor > self.tolerance, floor, xp.full_like(floor, self.tolerance))
        good = values > floor * xp.max(values, axis=-1, keepdims=True)
        rank = values.shape[-1] - xp.arange(values.shape[-1])
        inverse = 1 / xp.where(good, values, xp.ones_like(values))
        zero = xp.zeros_like(values)
        return [xp.where(good & (rank <= count), inverse, zero) for count in self.counts]

    @property
    def is_ridge(self) -> bool:
        """Whether a positive definite matrix is simply inverted."""
        return self.tolerance == 0 and len(self.counts) == 1 and self.strength > 0


def solve(gram: Array, targets: Array, allowed: Array, inverse: Inverse) -> Array:
    """Evaluate ``f(A) g`` for every target of one Gram matrix or of each of a stack.

    Parameters
    ----------
    gram : array of float64, shape (..., n, n)
        At most one leading axis.
    targets : array of int, shape (n_target,)
    allowed : array of bool, shape (..., n_target, n)
    inverse : Inverse

    Returns
    -------
    array of float64, shape (n_count, ..., n_target, n)
        Zero for rows that are not allowed.
    """
    xp = array_namespace(gram)
    n_target, n = allowed.shape[-2:]
    if 0 in allowed.shape:
        return xp.zeros((len(inverse.counts), *allowed.shape), dtype=gram.dtype)
    if is_numpy_namespace(xp):
        if gram.ndim == 2:
            return _solve_compiled(gram, targets, allowed, inverse)
        pairs = zip(gram, allowed, strict=True)
        return np.stack([_solve_compiled(g, targets, a, inverse) for g, a in pairs], axis=1)
    flat = xp.reshape(allowed, (-1, n))
    if bool(xp.all(flat == flat[:1, :])):
        return _solve_shared(gram, targets, flat[0, :], inverse)
    # Targets of all matrices are one list; each says where its matrix begins.
    every = xp.arange(flat.shape[0], dtype=xp.int64)
    each = xp.take(xp.astype(targets, xp.int64), every % n_target)
    first = (every // n_target) * n**2
    size = pieces_at_once(gram, _ARRAY_BYTES * n**2, ARRAY_ELEMENTS // n**2)
    parts = [
        _solve_arrays(gram, (first[part], each[part]), flat[part, :], inverse)
        for part in blocks(flat.shape[0], size)
    ]
    return xp.reshape(xp.concat(parts, axis=1), (len(inverse.counts), *allowed.shape))


def batches(gram: Floats, targets: Integers, allowed: Truths) -> list[tuple[Integers, Batch]]:
    """Sort targets by their number of rows, and cut them into compiled batches.

    Returns
    -------
    list of (array of int, Batch)
        Indices of the targets of each batch, and the batch. Targets without rows are left out.
    """
    numbers: Integers = np.asarray(np.sum(allowed, axis=1, dtype=np.int64))
    order = np.argsort(-numbers, kind="stable")
    order = order[numbers[order] > 0]
    cut = []
    for part in blocks(order.size, BATCH_TARGETS):
        chosen = order[part]
        rows = list_rows(allowed[chosen], numbers[chosen])
        cut.append((chosen, Batch(gram, targets[chosen], rows, numbers[chosen])))
    return cut


def _solve_compiled(gram: Floats, targets: Integers, allowed: Truths, inverse: Inverse) -> Floats:
    gram = np.ascontiguousarray(gram)
    targets = np.ascontiguousarray(targets, dtype=np.int64)
    allowed = np.ascontiguousarray(allowed)
    out = np.zeros((len(inverse.counts), *allowed.shape))
    alone = np.ones(targets.size, dtype=np.bool_)
    groups = _shared_groups(allowed)
    for group in groups:
        alone[group] = False
    rest = np.flatnonzero(alone)
    jobs = batches(gram, targets[rest], allowed[rest])

    # Each writes its own targets: all parts at once would take as much memory as the result.
    def run(job: tuple[Integers, Batch]) -> None:
        chosen, batch = job
        out[:, rest[chosen]] = _run_batch(batch, inverse)

    def share(group: Integers) -> None:
        out[:, group] = _solve_shared(gram, targets[group], allowed[group[0]], inverse)

    map_ordered(run, jobs)
    map_ordered(share, groups)
    return out


def _shared_groups(allowed: Truths) -> list[Integers]:
    """Find the targets that share their rows with many others."""
    if allowed.shape[0] <= SHARED_TARGETS:
        return []
    members: dict[bytes, list[int]] = {}
    for i, packed in enumerate(np.packbits(allowed, axis=1)):
        members.setdefault(packed.tobytes(), []).append(i)
    return [np.array(group) for group in members.values() if len(group) > SHARED_TARGETS]


def _run_batch(batch: Batch, inverse: Inverse) -> Floats:
    """Solve a batch in compiled code, and what fails there by LAPACK."""
    n_target = batch.targets.size
    out = np.zeros((len(inverse.counts), n_target, batch.gram.shape[0]))
    failed = np.ones(n_target, dtype=np.bool_)
    if inverse.is_ridge:
        failed = solve_ridge(batch, inverse.strength, out[0])
    if failed.any() and batch.rows.shape[1] <= LANE_ROWS:
        left = np.flatnonzero(failed)
        again = Batch(batch.gram, batch.targets[left], batch.rows[left], batch.numbers[left])
        part = np.zeros((len(inverse.counts), left.size, batch.gram.shape[0]))
        counts = np.array(inverse.counts, dtype=np.int64)
        failed[left] = invert_spectra(
            again, counts, inverse.tolerance, inverse.strength, ROOM, part
        )
        out[:, left] = part
    for i in np.flatnonzero(failed):
        mask = np.zeros(batch.gram.shape[0], dtype=np.bool_)
        mask[batch.rows[i, : batch.numbers[i]]] = True
        out[:, i] = _solve_shared(batch.gram, batch.targets[i : i + 1], mask, inverse)[:, 0]
    return out


def _solve_shared(gram: Array, targets: Array, mask: Array, inverse: Inverse) -> Array:
    """Solve for targets of equal rows, by one eigenvalue problem a matrix; any array library."""
    xp = array_namespace(gram)
    n = gram.shape[-1]
    rows = xp.nonzero(mask)[0]
    number = rows.shape[0]
    if not number:
        shape = (len(inverse.counts), *gram.shape[:-2], targets.shape[0], n)
        return xp.zeros(shape, dtype=gram.dtype)
    columns = xp.take(gram, rows, axis=-1)
    matrix = xp.take(columns, rows, axis=-2)
    shift = inverse.strength * xp.mean(xp.linalg.diagonal(matrix), axis=-1)
    matrix = matrix + shift[..., None, None] * xp.eye(number, dtype=gram.dtype)
    values, vectors = xp.linalg.eigh(matrix)
    projected = xp.take(columns, targets, axis=-2) @ vectors
    numbers = xp.full((1,), float(number), dtype=gram.dtype)
    # Columns of the identity put the results back to their rows.
    spread = xp.take(xp.eye(n, dtype=gram.dtype), rows, axis=0)
    back = xp.matrix_transpose(vectors) @ spread
    weights = inverse.weights(values, numbers)
    return xp.stack([(projected * w[..., None, :]) @ back for w in weights])


def _solve_arrays(
    gram: Array, places: tuple[Array, Array], allowed: Array, inverse: Inverse
) -> Array:
    """Solve for all targets at once, on submatrices that are filled up with zeros.

    `places` tells where in the elements of `gram` the matrix of each target begins, and the row
    of the target in it.
    """
    xp = array_namespace(gram)
    first, targets = places
    n_target, n = allowed.shape
    numbers = xp.sum(xp.astype(allowed, xp.int64), axis=1, keepdims=True)
    size = max(1, int(xp.max(numbers)))
    order = xp.argsort(xp.astype(~allowed, xp.int8), axis=1, stable=True)
    rows = order[:, :size]
    inside = xp.astype(xp.arange(size)[None, :] < numbers, gram.dtype)
    flat = xp.reshape(gram, (-1,))
    index = rows[:, :, None] * n + rows[:, None, :] + first[:, None, None]
    index = xp.reshape(index, (-1,))
    matrix = xp.reshape(xp.take(flat, index), (n_target, size, size))
    matrix = matrix * inside[:, :, None] * inside[:, None, :]
    index = xp.reshape(rows * n + (first + targets)[:, None], (-1,))
    right = xp.reshape(xp.take(flat, index), (n_target, size)) * inside
    numbers = xp.astype(numbers, gram.dtype)
    if inverse.strength:
        mean = xp.sum(xp.linalg.diagonal(matrix), axis=1, keepdims=True)
        mean = mean / xp.where(numbers > 0, numbers, xp.ones_like(numbers))
        shift = inverse.strength * mean * inside
        matrix = matrix + shift[:, :, None] * xp.eye(size, dtype=gram.dtype)[None, :, :]
    results = _apply_inverse(matrix, right, numbers, inside, inverse)
    filling = xp.zeros((n_target, n - size), dtype=gram.dtype)
    place = xp.argsort(order, axis=1)
    return xp.stack(
        [xp.take_along_axis(xp.concat([x * inside, filling], axis=1), place) for x in results]
    )


def _apply_inverse(
    matrix: Array, right: Array, numbers: Array, inside: Array, inverse: Inverse
) -> list[Array]:
    """Apply the inverse to batches of right-hand sides, shape (n_target, size)."""
    if not inverse.is_ridge:
        return _spectral_solve(matrix, right, numbers, inverse)
    xp = array_namespace(matrix)
    solved, sound = _definite_solve(matrix, right, numbers, inside)
    left = np.flatnonzero(~as_numpy(sound))
    if not left.size:
        return [solved]
    one, two, three = (xp.take(part, xp.asarray(left), axis=0) for part in (matrix, right, numbers))
    # What each target gets: its own solution, or one of those that follow.
    place = np.arange(sound.shape[0])
    place[left] = place.size + np.arange(left.size)
    every = xp.concat([solved, *_spectral_solve(one, two, three, inverse)], axis=0)
    return [xp.take(every, xp.asarray(place), axis=0)]


def _spectral_solve(matrix: Array, right: Array, numbers: Array, inverse: Inverse) -> list[Array]:
    """Solve by eigenvalues, once for each count."""
    xp = array_namespace(matrix)
    values, vectors = xp.linalg.eigh(matrix)
    projected = xp.matmul(xp.matrix_transpose(vectors), right[:, :, None])[:, :, 0]
    return [
        xp.matmul(vectors, (projected * weight)[:, :, None])[:, :, 0]
        for weight in inverse.weights(values, numbers)
    ]


def _definite_solve(
    matrix: Array, right: Array, numbers: Array, inside: Array
) -> tuple[Array, Array]:
    """Solve where Cholesky factors show a matrix to be positive definite, and tell where."""
    xp = array_namespace(matrix)
    largest = xp.max(xp.linalg.diagonal(matrix), axis=1, keepdims=True)
    filling = (1 - inside) * xp.where(largest > 0, largest, xp.ones_like(largest))
    unit = xp.eye(matrix.shape[1], dtype=matrix.dtype)[None, :, :]
    filled = matrix + filling[:, :, None] * unit
    try:
        lower = xp.linalg.cholesky(filled)
    except np.linalg.LinAlgError:
        # One of them fails, and the library does not say which.
        if matrix.shape[0] == 1:
            return xp.zeros_like(right), xp.zeros((1,), dtype=xp.bool)
        halves = blocks(matrix.shape[0], (matrix.shape[0] + 1) // 2)
        parts = [
            _definite_solve(*(part[half, ...] for part in (matrix, right, numbers, inside)))
            for half in halves
        ]
        solved, sound = zip(*parts, strict=True)
        return xp.concat(solved, axis=0), xp.concat(sound, axis=0)
    pivots = xp.linalg.diagonal(lower)
    eps = xp.finfo(matrix.dtype).eps
    floor = numbers * eps * largest
    # Some libraries raise no error, but leave a pivot that is not positive, or not a number, or
    # what they had when they stopped.
    wrong = xp.max(xp.abs(lower @ xp.matrix_transpose(lower) - filled), axis=(-2, -1))
    scale = xp.max(xp.linalg.diagonal(filled), axis=1)
    sound = wrong <= _FACTOR_ERROR * matrix.shape[1] * eps * scale
    sound = sound & xp.all((pivots > 0) & (pivots**2 > floor), axis=1)
    filled = xp.where(sound[:, None, None], filled, unit)
    return xp.linalg.solve(filled, right[:, :, None])[:, :, 0], sound
