"""Sweeps of hierarchical alternating least squares, the steps of a non-negative fit.

For the model ``V = W H`` one row of `H`, or one column of `W`, is put at its best non-negative
value while the others stay; a sweep goes through all of them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

Array = Any

# Pixels swept together, so that all modes of a piece stay in the innermost cache.
_TILE = 512


def positive(values: Array) -> Array:
    """Values with zero in place of the negative ones."""
    xp = array_namespace(values)
    return xp.maximum(values, xp.zeros_like(values))


def sweep_modes(
    modes: Array, begin: int, target: Array, square: Array, scale: Array, sweeps: int
) -> float:
    """Improve some pixels of the modes, in place, for fixed weights.

    Parameters
    ----------
    modes : array, shape (n_modes, n_pix)
        Modes; multiplied by `scale` first.
    begin : int
        First of the pixels to improve.
    target : array, shape (n_modes, n_some)
        ``W^T V`` of the pixels, in the type of the modes.
    square : array of float64, shape (n_modes, n_modes)
        ``W^T W``; a mode without weight stays.
    scale : array of float64, shape (n_modes,)
        Factors of the modes.
    sweeps : int
        Sweeps over all modes.

    Returns
    -------
    float
        Sum of the squared changes.
    """
    if is_numpy_namespace(array_namespace(modes)):
        return float(_sweep_tiles(modes, begin, target, square, scale, sweeps))
    return _sweep_arrays(modes, begin, target, square, scale, sweeps)


def sweep_weights(weights: Array, cross: Array, square: Array, sweeps: int) -> Array:
    """Improve the weights for fixed modes.

    Parameters
    ----------
    weights : array of float64, shape (n, n_modes)
        Weights; not changed.
    cross : array of float64, shape (n, n_modes)
        ``V H^T``.
    square : array of float64, shape (n_modes, n_modes)
        ``H H^T``; the weights of an empty mode stay.
    sweeps : int
        Sweeps over all modes.

    Returns
    -------
    array of float64, shape (n, n_modes)
    """
    xp = array_namespace(weights)
    if is_numpy_namespace(xp):
        return _sweep_columns(weights.T.copy(), cross.T.copy(), square, sweeps).T
    weights = xp.asarray(weights, copy=True)
    for _ in range(sweeps):
        for j in range(weights.shape[1]):
            own = float(square[j, j])
            if own > 0:
                gradient = cross[:, j] - weights @ square[:, j]
                weights[:, j] = positive(weights[:, j] + gradient / own)
    return weights


@numba.njit(cache=True, nogil=True)
def _sweep_tiles(modes, begin, target, square, scale, sweeps):  # type: ignore[no-untyped-def]
    n_modes, n_pix = target.shape
    gradient = np.empty(_TILE, modes.dtype)
    start = np.empty((n_modes, _TILE), modes.dtype)
    held = np.empty((n_modes, _TILE), modes.dtype)
    zero = modes.dtype.type(0.0)
    change = 0.0
    for first in range(0, n_pix, _TILE):
        count = min(_TILE, n_pix - first)
        for j in range(n_modes):
            factor = modes.dtype.type(scale[j])
            for p in range(count):
                held[j, p] = modes[j, begin + first + p] * factor
                start[j, p] = held[j, p]
        for _ in range(sweeps):
            for j in range(n_modes):
                if square[j, j] <= 0.0:
                    continue
                for p in range(count):
                    gradient[p] = target[j, first + p]
                for k in range(n_modes):
                    factor = modes.dtype.type(square[j, k])
                    for p in range(count):
                        gradient[p] -= factor * held[k, p]
                step = modes.dtype.type(1.0 / square[j, j])
                for p in range(count):
                    value = held[j, p] + step * gradient[p]
                    held[j, p] = value if value > zero else zero
        for j in range(n_modes):
            total = zero
            for p in range(count):
                difference = held[j, p] - start[j, p]
                total += difference * difference
                modes[j, begin + first + p] = held[j, p]
            change += total
    return change


def _sweep_arrays(
    whole: Array, begin: int, target: Array, square: Array, scale: Array, sweeps: int
) -> float:
    """Compute the same with array operations, for other array libraries."""
    xp = array_namespace(whole)
    modes = whole[:, begin : begin + target.shape[1]]
    modes = modes * xp.astype(scale, modes.dtype)[:, None]
    start = xp.asarray(modes, copy=True)
    couplings = xp.astype(square, modes.dtype)
    for _ in range(sweeps):
        for j in range(modes.shape[0]):
            own = float(square[j, j])
            if own > 0:
                gradient = target[j, :] - xp.reshape(couplings[j : j + 1, :] @ modes, (-1,))
                modes[j, :] = positive(modes[j, :] + gradient / own)
    whole[:, begin : begin + target.shape[1]] = modes
    return float(xp.sum(xp.astype(modes - start, xp.float64) ** 2))


@numba.njit(cache=True, nogil=True)
def _sweep_columns(weights, cross, square, sweeps):  # type: ignore[no-untyped-def]
    n_modes, n = weights.shape
    gradient = np.empty(n)
    for _ in range(sweeps):
        for j in range(n_modes):
            if square[j, j] <= 0.0:
                continue
            gradient[:] = cross[j]
            for k in range(n_modes):
                for i in range(n):
                    gradient[i] -= square[j, k] * weights[k, i]
            for i in range(n):
                value = weights[j, i] + gradient[i] / square[j, j]
                weights[j, i] = value if value > 0.0 else 0.0
    return weights
