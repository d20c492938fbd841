"""Frames as a low-rank part, a sparse part and Gaussian noise."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from scipy import linalg

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.checks import check_floating
from spheredc_hpc.kernels.clipping import MAD_TO_SIGMA
from spheredc_hpc.kernels.modes import BLOCK_PIXELS, gram_matrix, leading_modes
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Array = Any

# Buckets of an absolute float32 value by its leading bits: eight an octave.
_SHIFT = 20
_BUCKETS = 2048


def sparse_part(
    rows: Array,
    references: Array | None,
    n_modes: int,
    *,
    threshold: float = 0.5,
    iterations: int = 10,
    centre: bool = False,
    root: bool = False,
) -> Array:
    """Separate what stands out of frames from what they have in common and from noise.

    Parameters
    ----------
    rows : array of float32 or float64, shape (n, n_pix)
        Frames, one a row, the pixels of one zone, ``n_pix > 0``. Finite; NaN is not checked.
    references : array, shape (n_ref, n_pix), or None
        Further frames of the same zone that take part in the decomposition, in the type of
        `rows`.
    n_modes : int
        Rank of the common part, ``0 <= n_modes <= n + n_ref``.
    threshold : float
        Soft threshold of the sparse part in units of the noise of the zone, finite and at
        least 0.
    iterations : int
        Times that both parts are found anew, at least 1.
    centre : bool
        Let the common part have a temporal mean beside its modes.
    root : bool
        Take the square root of the unscaled noise as unit of the threshold, as published. Then
        the result depends on the unit of the frames.

    Returns
    -------
    array, shape (n, n_pix)
        Sparse part of `rows`: what is left of each value after the common part and the
        threshold, zero for most. Dtype of `rows`.

    Raises
    ------
    KernelInputError
        If the zones differ, are empty or not floating, or a number is out of range.

    Notes
    -----
    Gomez Gonzalez et al. (2016), A&A 589, A54, after Zhou & Tao (2011), ICML 28: the common part
    is the projection of ``frames - sparse`` on its leading modes, the sparse part is
    ``frames - common`` with its absolute values lowered by the threshold. The modes come from
    the Gram matrix, so nothing is random. The noise is the scaled median of the absolute values
    of ``frames - common``. Cost: O((n + n_ref)**2 * n_pix) an iteration.
    """
    if rows.ndim != 2 or 0 in rows.shape:
        raise KernelInputError(f"nothing to separate: rows (n, n_pix) wanted, got {rows.shape}")
    check_floating(rows, "rows")
    if references is not None and references.shape[1:] != rows.shape[1:]:
        raise KernelInputError(f"zones differ: rows {rows.shape}, refs {references.shape}")
    if references is not None and references.dtype != rows.dtype:
        raise KernelInputError(f"rows are {rows.dtype}, references {references.dtype}")
    if iterations < 1:
        raise KernelInputError(f"iterations={iterations}, at least 1 wanted")
    if not 0 <= threshold < math.inf:
        raise KernelInputError(f"threshold={threshold}, finite and at least 0 wanted")
    xp = array_namespace(rows)
    frames = rows if references is None else xp.concat([rows, references], axis=0)
    if not 0 <= n_modes <= frames.shape[0]:
        raise KernelInputError(f"n_modes={n_modes} outside 0..{frames.shape[0]}")
    if centre:
        mean = xp.mean(xp.astype(frames, xp.float64), axis=0, keepdims=True)
        frames = xp.astype(xp.astype(frames, xp.float64) - mean, rows.dtype)
    common = xp.asarray(frames, copy=True)
    sparse = xp.zeros_like(frames)
    for _ in range(iterations):
        basis = _basis(gram_matrix(common), n_modes, centre)
        size = _left_over(frames, xp.astype(basis, frames.dtype), common, sparse)
        _split(frames, threshold * (size**0.5 if root else MAD_TO_SIGMA * size), common, sparse)
    return sparse[: rows.shape[0], :]


def _basis(gram: Array, n_modes: int, centre: bool) -> Array:
    """Orthonormal vectors of the leading modes and, on demand, of the temporal mean."""
    if not centre:
        return _leading(gram, n_modes)
    xp = array_namespace(gram)
    n = gram.shape[0]
    constant = xp.full((n, 1), n**-0.5, dtype=gram.dtype)
    inner = xp.eye(n, dtype=gram.dtype) - 1.0 / n
    return xp.concat([_leading(inner @ gram @ inner, n_modes), constant], axis=1)


def _leading(gram: Array, n_modes: int) -> Array:
    """Leading eigenvectors; where LAPACK can leave the others out, it does."""
    n = gram.shape[0]
    if not is_numpy_namespace(array_namespace(gram)) or not 0 < n_modes < n // 3:
        return leading_modes(gram, n_modes)[0]
    wanted = (n - n_modes, n - 1)
    return linalg.eigh(gram, subset_by_index=wanted, driver="evr", check_finite=False)[1]


def _left_over(frames: Array, basis: Array, common: Array, left: Array) -> float:
    """Write `frames` less the projection of `common` to `left`; give its typical size."""
    xp = array_namespace(frames)
    turned = xp.matrix_transpose(basis)

    def part(block: slice) -> None:
        left[:, block] = frames[:, block] - basis @ (turned @ common[:, block])

    map_ordered(part, blocks(frames.shape[1], BLOCK_PIXELS))
    return median_size(left)


def median_size(values: Array) -> float:
    """Median of absolute values.

    Parameters
    ----------
    values : array of float32 or float64, shape (n, n_pix)
        Values, finite; at least one.

    Returns
    -------
    float
        Exact. For float32 the values are counted by their leading bits, and only those that
        share a bucket with the median are ranked. Cost: O(n * n_pix).

    Raises
    ------
    KernelInputError
        If there are no values, or they are not floating or no matrix.
    """
    if values.ndim != 2 or 0 in values.shape:
        raise KernelInputError(f"values (n, n_pix) wanted, at least one, got {values.shape}")
    check_floating(values, "values")
    xp = array_namespace(values)
    if not is_numpy_namespace(xp):
        ranked, count = xp.sort(xp.reshape(xp.abs(values), (-1,))), values.size
        return float(ranked[(count - 1) // 2] + ranked[count // 2]) / 2
    if values.dtype != np.float32:
        return float(np.median(np.abs(values)))
    pieces = blocks(values.shape[1], BLOCK_PIXELS)
    bits = values.view(np.uint32)
    counts = np.stack(map_ordered(lambda b: _counts(bits, b.start, b.stop), pieces))
    below = np.cumsum(counts.sum(axis=0))
    wanted = (values.size - 1) // 2, values.size // 2
    first, last = (int(np.searchsorted(below, rank, side="right")) for rank in wanted)
    ranked = np.empty(int(counts[:, first : last + 1].sum()), np.uint32)
    number = 0
    for piece in pieces:
        number = _gather(bits, piece.start, piece.stop, (first, last), ranked, number)
    offset = int(below[first - 1]) if first > 0 else 0
    low, high = wanted[0] - offset, wanted[1] - offset
    ranked.partition((low, high))
    pair = ranked[[low, high]].view(np.float32).astype(np.float64)
    return float(pair.mean())


@numba.njit(cache=True, nogil=True)
def _counts(bits, start, stop):  # type: ignore[no-untyped-def]
    counts = np.zeros(_BUCKETS, np.int64)
    for i in range(bits.shape[0]):
        for p in range(start, stop):
            counts[(bits[i, p] & np.uint32(0x7FFFFFFF)) >> np.uint32(_SHIFT)] += 1
    return counts


@numba.njit(cache=True, nogil=True)
def _gather(bits, start, stop, buckets, found, number):  # type: ignore[no-untyped-def]
    """Append absolute values of some columns whose bucket is one of a range to `found`."""
    lowest = np.uint32(buckets[0]) << np.uint32(_SHIFT)
    width = (np.uint32(buckets[1] + 1) << np.uint32(_SHIFT)) - lowest
    for i in range(bits.shape[0]):
        for p in range(start, stop):
            size = bits[i, p] & np.uint32(0x7FFFFFFF)
            if np.uint32(size - lowest) < width:
                found[number] = size
                number += 1
    return number


def _split(frames: Array, limit: float, common: Array, sparse: Array) -> None:
    """Lower the absolute values of `sparse` by a limit, and let `common` be the rest."""
    xp = array_namespace(frames)
    if is_numpy_namespace(xp):

        def part(block: slice) -> None:
            _split_columns(
                frames, frames.dtype.type(limit), common, sparse, block.start, block.stop
            )

        map_ordered(part, blocks(frames.shape[1], BLOCK_PIXELS))
        return
    sparse[...] = sparse - xp.clip(sparse, -limit, limit)
    common[...] = frames - sparse


@numba.njit(cache=True, nogil=True)
def _split_columns(frames, limit, common, sparse, start, stop):  # type: ignore[no-untyped-def]
    zero = limit - limit
    for i in range(frames.shape[0]):
        for p in range(start, stop):
            value = sparse[i, p]
            size = abs(value) - limit
            size = size if size > zero else zero
            value = size if value > zero else -size
            sparse[i, p] = value
            common[i, p] = frames[i, p] - value
