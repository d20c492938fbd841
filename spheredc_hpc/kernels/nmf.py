"""Non-negative factors of a set of frames.

The frames `V` (one a row) are approximated by ``W H`` with weights `W` and modes `H` that are
nowhere negative. Given the weights, the pixels of `H` are independent of each other, and `W`
depends on the products ``V H^T`` and ``H H^T`` alone: one pass over blocks of pixels updates the
modes and gathers the products, so the frames are read once an iteration.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from array_api_compat import array_namespace

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.checks import check_floating
from spheredc_hpc.kernels.hals import positive, sweep_modes, sweep_weights
from spheredc_hpc.kernels.modes import apply_operator, gram_matrix
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Array = Any
Negative = Literal["shift", "clip"]

# Pixels in one piece of a pass: the frames of a piece stay in the cache of a core. Fixed, so
# that sums do not depend on threads.
BLOCK_PIXELS = 4096
# Sweeps over the modes, and over the weights, for each product with the frames, which costs
# more than a sweep.
_MODE_SWEEPS = 3
_WEIGHT_SWEEPS = 8


class Factors(NamedTuple):
    """Non-negative factors of frames.

    Attributes
    ----------
    weights : array of float64, shape (n, n_modes)
        `W`; every column has length one, or is zero if its mode is empty.
    modes : array, shape (n_modes, n_pix)
        `H`, in the type of the frames.
    iterations : int
        Passes over the frames.
    """

    weights: Array
    modes: Array
    iterations: int


class _Pass(NamedTuple):
    """What one pass over the pixels gathers, in float64."""

    cross: Array
    square: Array
    change: float
    size: float


def factorise(
    rows: Array,
    n_modes: int,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    floor: float = 0.0,
) -> Factors:
    """Find non-negative weights and modes whose product is near to the frames.

    Parameters
    ----------
    rows : array of float32 or float64, shape (n, n_pix)
        Frames, one a row, finite and not below `floor`; ``n_pix > 0``.
    n_modes : int
        Modes wanted, ``1 <= n_modes <= n``.
    max_iterations : int
        Passes over the frames at most.
    tolerance : float
        The iteration ends when a pass changes the modes by less than this, relative.
    floor : float
        Taken off every pixel first.

    Returns
    -------
    Factors

    Raises
    ------
    KernelInputError
        If `n_modes` is out of range, or the frames are not floating or have no pixels.

    Notes
    -----
    Hierarchical alternating least squares with several sweeps for each product (Cichocki & Phan
    2009, IEICE E92-A, 708; Gillis & Glineur 2012, Neural Computation 24, 1085), from the
    non-negative parts of the leading singular vectors (Boutsidis & Gallopoulos 2008, Pattern
    Recognition 41, 1350). Nothing is random. The mean frame is held apart, so that products in
    float32 lose nothing of what varies. Cost: O(n * n_modes * n_pix) a pass.
    """
    n = rows.shape[0]
    if rows.ndim != 2 or 0 in rows.shape:
        raise KernelInputError(f"nothing to fit: frames (n, n_pix) wanted, got {rows.shape}")
    if not 1 <= n_modes <= n:
        raise KernelInputError(f"n_modes={n_modes} outside 1..{n} for frames {rows.shape}")
    check_floating(rows)
    xp = array_namespace(rows)
    varying, mean = _split_mean(rows, floor)
    weights, modes = _starting_factors(varying, mean, n_modes)
    scale = xp.ones((n_modes,), dtype=xp.float64)
    iterations = 0
    for iterations in range(1, max_iterations + 1):  # noqa: B007 - also the count of passes
        done = _improve_modes(varying, mean, weights, modes, scale)
        weights = sweep_weights(weights, done.cross, done.square, _WEIGHT_SWEEPS)
        length = xp.sqrt(xp.sum(weights * weights, axis=0))
        scale = xp.where(length > 0, length, xp.ones_like(length))
        weights = weights / scale[None, :]
        if done.change <= tolerance**2 * done.size:
            break
    return Factors(weights, modes * xp.astype(scale, modes.dtype)[:, None], iterations)


def _split_mean(rows: Array, floor: float) -> tuple[Array, Array]:
    """Give the frames less their mean, and the mean above a floor in float64."""
    xp = array_namespace(rows)
    mean = xp.sum(rows, axis=0, keepdims=True, dtype=xp.float64) / rows.shape[0]
    varying = xp.empty_like(rows)

    def part(block: slice) -> None:
        exact = xp.astype(rows[:, block], xp.float64)
        varying[:, block] = xp.astype(exact - mean[:, block], rows.dtype)

    map_ordered(part, blocks(rows.shape[1], BLOCK_PIXELS))
    return varying, mean - floor


def fit_weights(
    rows: Array,
    modes: Array,
    sweeps: int = 500,
    tolerance: float = 1e-6,
    floor: float = 0.0,
) -> Array:
    """Find the non-negative weights of given modes in frames.

    Parameters
    ----------
    rows : array of float32 or float64, shape (n, n_pix)
        Frames, finite. Without pixels all weights are zero.
    modes : array, shape (n_modes, n_pix)
        Modes, not negative; of the type of the frames.
    sweeps : int
        Sweeps over the weights at most.
    tolerance : float
        They end when ten of them change the weights by less than this, relative.
    floor : float
        Taken off every pixel of the frames first.

    Returns
    -------
    array of float64, shape (n, n_modes)

    Raises
    ------
    KernelInputError
        If shapes do not fit or the frames are not floating.

    Notes
    -----
    Least squares with the weights as unknowns: only ``rows @ modes.T`` and ``modes @ modes.T``
    enter. Cost: O(n * n_modes * n_pix), once.
    """
    xp = array_namespace(rows, modes)
    cross, square = gram_matrix(rows, modes), gram_matrix(modes)
    cross = cross - floor * xp.sum(modes, axis=1, dtype=xp.float64)[None, :]
    weights = xp.zeros(cross.shape, dtype=xp.float64)
    for _ in range(0, sweeps, 10):
        before = weights
        weights = sweep_weights(weights, cross, square, 10)
        change = float(xp.sum((weights - before) ** 2))
        if change <= tolerance**2 * float(xp.sum(weights * weights)):
            break
    return weights


def subtract_nonnegative(
    targets: Array,
    references: Array | None,
    n_modes: int,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    negative: Negative = "shift",
) -> Array:
    """Remove from each target its approximation by non-negative modes of references.

    Parameters
    ----------
    targets : array of float32 or float64, shape (n_target, n_pix)
        One frame per row, the pixels of one zone. Finite; NaN is not checked.
    references : array of float32 or float64, shape (n_ref, n_pix), or None
        Frames that define the modes; None: the targets themselves.
    n_modes : int
        Modes, ``1 <= n_modes <= n_ref``.
    max_iterations, tolerance : int, float
        As for `factorise`.
    negative : {"shift", "clip"}
        What is done to negative pixels before the fit: the smallest value of all is taken off
        every pixel, or they count as zero.

    Returns
    -------
    array, shape (n_target, n_pix)
        Residuals of the frames as they were given, dtype of `targets`.

    Raises
    ------
    KernelInputError
        If the zones differ, are empty or not floating, `n_modes` is out of range or `negative`
        is unknown.

    Notes
    -----
    Ren et al. (2018), ApJ 852, 104, with all modes at once and equal weights of all pixels.
    Cost: O(n_ref * n_modes * n_pix) an iteration.
    """
    library = targets if references is None else references
    if targets.ndim != 2 or library.ndim != 2 or targets.shape[1] != library.shape[1]:
        raise KernelInputError(f"zones differ: targets {targets.shape}, refs {library.shape}")
    if 0 in library.shape or 0 in targets.shape:
        raise KernelInputError(f"nothing to fit: {targets.shape} targets, refs {library.shape}")
    if negative not in ("shift", "clip"):
        raise KernelInputError(f"unknown treatment of negative pixels: {negative!r}")
    check_floating(targets, "targets")
    check_floating(library, "references")
    xp = array_namespace(targets, library)
    given, floor = targets, 0.0
    if negative == "clip":
        given, library = positive(targets), positive(library)
    else:
        floor = float(min(xp.min(targets), xp.min(library)))
    factors = factorise(library, n_modes, max_iterations, tolerance, floor)
    weights, modes = factors.weights, factors.modes
    if references is not None:
        weights = fit_weights(given, modes, floor=floor)
    matrix, left = xp.astype(weights, targets.dtype), xp.empty_like(targets)

    def part(block: slice) -> None:
        left[:, block] = (targets[:, block] - floor) - matrix @ modes[:, block]

    map_ordered(part, blocks(targets.shape[1], BLOCK_PIXELS))
    return left


def _starting_factors(varying: Array, mean: Array, n_modes: int) -> tuple[Array, Array]:
    """Non-negative parts of the leading singular vectors of ``varying + mean``."""
    xp = array_namespace(varying)
    across = gram_matrix(varying, mean)
    gram = gram_matrix(varying) + across + xp.matrix_transpose(across) + gram_matrix(mean)
    values, vectors = xp.linalg.eigh(gram)
    n = values.shape[0]
    values, vectors = xp.flip(values[n - n_modes :]), xp.flip(vectors[:, n - n_modes :], axis=1)
    real = values > n * float(xp.finfo(xp.float64).eps) * xp.max(xp.abs(values))
    root = xp.sqrt(xp.where(real, values, xp.ones_like(values)))
    left = vectors * xp.astype(real, xp.float64)[None, :]
    turned = xp.matrix_transpose(left / root[None, :])
    right = apply_operator(turned, varying)
    right = right + xp.astype(xp.sum(turned, axis=1, keepdims=True) * mean, right.dtype)
    weights, modes = xp.zeros_like(left), xp.zeros_like(right)
    for j in range(n_modes):
        best = -1.0
        for sign in (1.0, -1.0):
            u, v = positive(sign * left[:, j]), positive(sign * right[j, :])
            size_u = float(xp.sqrt(xp.sum(u * u)))
            size_v = float(xp.sqrt(xp.sum(xp.astype(v, xp.float64) ** 2)))
            if size_u * size_v > best:
                best = size_u * size_v
                weights[:, j] = u / size_u if size_u > 0 else u
                modes[j, :] = v * (float(root[j]) * size_u)
    return weights, modes


def _improve_modes(
    varying: Array, mean: Array, weights: Array, modes: Array, scale: Array
) -> _Pass:
    """Sweep over all modes, in place, and gather their products with the frames.

    `modes` are multiplied by `scale` first; the frames are ``varying + mean``.
    """
    xp = array_namespace(varying)
    square = xp.matrix_transpose(weights) @ weights
    across = xp.astype(xp.matrix_transpose(weights), varying.dtype)
    total = xp.astype(xp.sum(weights, axis=0), varying.dtype)

    def part(block: slice) -> _Pass:
        frames, level = varying[:, block], mean[:, block]
        target = across @ frames + total[:, None] * xp.astype(level, varying.dtype)
        change = sweep_modes(modes, block.start, target, square, scale, _MODE_SWEEPS)
        piece = modes[:, block]
        exact = xp.astype(piece, xp.float64)
        turned = xp.matrix_transpose(exact)
        cross = xp.astype(frames @ xp.matrix_transpose(piece), xp.float64) + level @ turned
        return _Pass(cross, exact @ turned, change, float(xp.sum(exact * exact)))

    parts = map_ordered(part, blocks(varying.shape[1], BLOCK_PIXELS))
    return _Pass(*(sum(values[1:], values[0]) for values in zip(*parts, strict=True)))
