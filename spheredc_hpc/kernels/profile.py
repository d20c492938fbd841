"""Azimuthal profiles of frames, and their subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.polar import radius_map

Array = Any
Floats = NDArray[np.float64]
Statistic = Literal["mean", "median"]


@dataclass(frozen=True)
class Rings:
    """Rings of pixels about the centre and the cubic that joins them.

    Attributes
    ----------
    order : array of int64, shape (n_used,)
        Flat indices of the pixels that count, ring by ring.
    start : array of int64, shape (n_ring + 1,)
        Where each ring begins in `order`.
    slope : array of float64, shape (n_ring, 3)
        Weights of the values of the ring before, the ring itself and the next one in the slope
        of the profile at the ring [1/px].
    lower : array of int64, shape (n_pix,)
        Last ring inside of each pixel; the next one is outside.
    place : array of float64, shape (n_pix,)
        Where the pixel lies between the two, 0 to 1.
    gap : array of float64, shape (n_ring,)
        Distance to the next ring [px]; 1 for the last one.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    slope: Floats
    lower: NDArray[np.int64]
    place: Floats
    gap: Floats


def rings_of(
    shape: tuple[int, int],
    width_px: float,
    statistic: Statistic = "mean",
    valid: NDArray[np.bool_] | None = None,
) -> Rings:
    """Sort the pixels of a frame into rings about its centre pixel ``(n // 2, n // 2)``.

    Parameters
    ----------
    shape : (int, int)
        Size of the frame.
    width_px : float
        Width of a ring; ring `k` holds the radii about ``k * width_px``.
    statistic : {"mean", "median"}
        How the values of a ring will be summarised; the ring's radius is the same statistic of
        the radii of its pixels.
    valid : array of bool, shape `shape`, optional
        Pixels that count; all of them if absent.

    Returns
    -------
    Rings

    Raises
    ------
    KernelInputError
        If no pixel counts, the width is not positive or the statistic is unknown.
    """
    if not width_px > 0:
        raise KernelInputError(f"rings of {width_px} px: a positive width is wanted")
    if statistic not in ("mean", "median"):
        raise KernelInputError(f"unknown statistic {statistic!r}")
    radius = radius_map(shape).ravel()
    used = np.arange(radius.size) if valid is None else np.flatnonzero(valid)
    if used.size == 0:
        raise KernelInputError("no pixel counts: there is no profile")
    label = np.floor(radius[used] / width_px + 0.5).astype(np.int64)
    by_ring = np.argsort(label, kind="stable")
    order = used[by_ring]
    first = np.flatnonzero(np.diff(label[by_ring], prepend=-1))
    start = np.append(first, order.size)
    summary = np.mean if statistic == "mean" else np.median
    knots = np.array([summary(radius[order[a:b]]) for a, b in pairwise(start)])
    lower = np.clip(np.searchsorted(knots, radius, side="right") - 1, 0, max(knots.size - 2, 0))
    gap = np.append(np.diff(knots), 1.0)
    place = np.clip((radius - knots[lower]) / gap[lower], 0.0, 1.0)
    if knots.size == 1:
        place[:] = 0.0
    return Rings(order, start, _slope_weights(knots), lower, place, gap)


def _slope_weights(knots: Floats) -> Floats:
    """Weights of three neighbours in the slope of the parabola through them.

    The profile is flat at the star; at other ends it has the slope of the last interval.
    """
    weights = np.zeros((knots.size, 3))
    if knots.size > 1:
        weights[-1, :2] = np.array([-1, 1]) / (knots[-1] - knots[-2])
        if knots[0] > 0:
            weights[0, 1:] = np.array([-1, 1]) / (knots[1] - knots[0])
    if knots.size > 2:
        before, after = np.diff(knots)[:-1], np.diff(knots)[1:]
        both = before + after
        weights[1:-1, 0] = -after / (before * both)
        weights[1:-1, 1] = (after - before) / (before * after)
        weights[1:-1, 2] = before / (after * both)
    return weights


def subtract_profile(
    frames: Array,
    width_px: float = 1.0,
    statistic: Statistic = "mean",
    valid: Array | None = None,
) -> Array:
    """Take its own azimuthal profile off every frame.

    Parameters
    ----------
    frames : array, shape (n, ny, nx)
        Frames with the star on pixel ``(n // 2, n // 2)``; finite where `valid`.
    width_px : float
        Width of the rings over which the statistic is taken [px].
    statistic : {"mean", "median"}
        What the profile is of each ring.
    valid : array of bool, shape (ny, nx), optional
        Pixels that count, in any array library; all of them if absent. The profile is taken off
        the others, too.

    Returns
    -------
    array, shape (n, ny, nx), dtype and library of `frames`

    Raises
    ------
    KernelInputError
        If `frames` are not real or not three-dimensional, the mask does not fit, or as `rings_of`.

    Notes
    -----
    The profile is a cubic between the rings, smooth in its slope (Catmull & Rom 1974, here on
    rings that need not be equally far apart), and constant beyond the first and the last one.
    With the mean it is linear in the frame. Sums are taken in float64.
    Cost: O(n * ny * nx), with a sort of the pixels before.
    """
    xp = array_namespace(frames)
    if frames.ndim != 3 or not xp.isdtype(frames.dtype, "real floating"):
        wrong = f"{frames.shape} {frames.dtype}"
        raise KernelInputError(f"real frames (n, ny, nx) wanted, got {wrong}")
    ny, nx = frames.shape[1:]
    if valid is not None and valid.shape != (ny, nx):
        raise KernelInputError(f"mask {valid.shape} does not fit frames {frames.shape}")
    if valid is not None:
        valid = as_numpy(valid)
    rings = rings_of((ny, nx), width_px, statistic, valid)
    if not is_numpy_namespace(xp):
        return _subtracted(frames, rings, statistic)
    result = np.empty_like(frames, order="C")

    def one(index: int) -> None:
        flat = np.ascontiguousarray(frames[index]).reshape(-1)
        values = _ring_values(flat, rings.order, rings.start, statistic == "median")
        _take_off(
            flat, values, rings.slope, rings.lower, rings.place, rings.gap, result[index].ravel()
        )

    map_ordered(one, range(frames.shape[0]))
    return result


@numba.njit(cache=True, nogil=True)
def _ring_values(frame, order, start, median):  # type: ignore[no-untyped-def]
    n_ring = start.size - 1
    values = np.empty(n_ring)
    longest = 0
    for k in range(n_ring):
        longest = max(longest, start[k + 1] - start[k])
    scratch = np.empty(longest, frame.dtype)
    for k in range(n_ring):
        count = start[k + 1] - start[k]
        if median:
            for i in range(count):
                scratch[i] = frame[order[start[k] + i]]
            values[k] = np.median(scratch[:count])
        else:
            total = 0.0
            for i in range(count):
                total += frame[order[start[k] + i]]
            values[k] = total / count
    return values


@numba.njit(cache=True, nogil=True)
def _take_off(frame, values, slope, lower, place, gap, result):  # type: ignore[no-untyped-def]
    n_ring = values.size
    slopes = np.zeros(n_ring)
    for k in range(n_ring):
        before, after = values[max(k - 1, 0)], values[min(k + 1, n_ring - 1)]
        slopes[k] = slope[k, 0] * before + slope[k, 1] * values[k] + slope[k, 2] * after
    for p in range(frame.size):
        k = lower[p]
        nxt = min(k + 1, n_ring - 1)
        t = place[p]
        rest = 1.0 - t
        level = (1.0 + 2.0 * t) * rest * rest * values[k] + t * t * (3.0 - 2.0 * t) * values[nxt]
        level += gap[k] * t * rest * (rest * slopes[k] - t * slopes[nxt])
        result[p] = frame[p] - level


def _subtracted(frames: Array, rings: Rings, statistic: Statistic) -> Array:
    """Compute the same with array operations, for other array libraries."""
    xp = array_namespace(frames)
    flat = xp.reshape(frames, (frames.shape[0], -1))
    each = []
    for begin, end in pairwise(rings.start):
        pixels = xp.asarray(rings.order[begin:end])
        ring = xp.astype(xp.take(flat, pixels, axis=1), xp.float64)
        each.append(_middle(ring) if statistic == "median" else xp.mean(ring, axis=1))
    values = xp.stack(each, axis=1)
    ring = np.arange(values.shape[1])
    before = xp.asarray(np.maximum(ring - 1, 0))
    after = xp.asarray(np.minimum(ring + 1, ring[-1]))
    weights = xp.asarray(rings.slope)
    slopes = (
        weights[:, 0] * xp.take(values, before, axis=1)
        + weights[:, 1] * values
        + weights[:, 2] * xp.take(values, after, axis=1)
    )
    low = xp.asarray(rings.lower)
    high = xp.asarray(np.minimum(rings.lower + 1, ring[-1]))
    t, gap = xp.asarray(rings.place), xp.asarray(rings.gap[rings.lower])
    rest = 1.0 - t
    level = (1.0 + 2.0 * t) * rest * rest * xp.take(values, low, axis=1)
    level = level + t * t * (3.0 - 2.0 * t) * xp.take(values, high, axis=1)
    inner, outer = xp.take(slopes, low, axis=1), xp.take(slopes, high, axis=1)
    level = level + gap * t * rest * (rest * inner - t * outer)
    return xp.reshape(xp.astype(xp.astype(flat, xp.float64) - level, frames.dtype), frames.shape)


def _middle(values: Array) -> Array:
    """Median along the second axis."""
    xp = array_namespace(values)
    ranked = xp.sort(values, axis=1)
    count = values.shape[1]
    return 0.5 * (ranked[:, (count - 1) // 2] + ranked[:, count // 2])
