"""Interpolation over bad pixels, and the search for hits that last one exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, median_filter

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.boxes import box_scatter
from spheredc_hpc.kernels.scratch import scratch

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# How far neighbours are looked for [px], and how many end the search.
REACHES = (2, 4, 7)
ENOUGH = 3
# Before the spread of a box is measured for good, values are drawn in to this many spreads.
TAMING = 3.0


@dataclass(frozen=True)
class Neighbours:
    """For each bad pixel, the good pixels that stand in for it.

    Attributes
    ----------
    targets : array of int, shape (n,)
        Flat indices of the bad pixels.
    sources : array of int, shape (n, k)
        Flat indices of good pixels.
    weights : array of float32, shape (n, k)
        Their weights, sum 1.
    shape : (int, int)
        Of the image.
    """

    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    weights: Image
    shape: tuple[int, int]


def find_neighbours(bad: Mask, usable: Mask | None = None, count: int = 12) -> Neighbours:
    """Find the nearest good pixels of every bad one.

    Parameters
    ----------
    bad : array of bool, shape (ny, nx)
        Pixels to interpolate over.
    usable : array of bool, shape of `bad`, optional
        Pixels that may serve and be served (the illuminated window); all if absent.
    count : int
        Neighbours per pixel, at least 1.

    Returns
    -------
    Neighbours
        Weights fall as the inverse square of the distance. A pixel with fewer than three good
        neighbours within 2 px looks as far as 4, then 7 px; failing that the nearest good
        pixel serves.

    Raises
    ------
    KernelInputError
        If the shapes differ, `count` is below 1, or no pixel is good.
    """
    usable = np.ones(bad.shape, dtype=bool) if usable is None else usable
    if usable.shape != bad.shape or count < 1:
        raise KernelInputError(f"bad {bad.shape}, usable {usable.shape}, count {count}")
    good = usable & ~bad
    if not good.any():
        raise KernelInputError("no good pixel is left to interpolate from")
    ys, xs = np.nonzero(usable & bad)
    targets = ys * bad.shape[1] + xs
    sources = np.repeat(targets[:, np.newaxis], count, axis=1)
    weights = np.zeros((len(targets), count))
    found = np.zeros(len(targets), dtype=np.int64)
    for reach in REACHES:
        open_rows = np.nonzero(found < min(count, ENOUGH))[0]
        if len(open_rows) == 0:
            break
        found[open_rows], weights[open_rows] = 0, 0.0
        _collect(good, ys, xs, open_rows, reach, sources, weights, found)
    lonely = np.nonzero(found == 0)[0]
    if len(lonely):
        nearest = distance_transform_edt(~good, return_distances=False, return_indices=True)
        at = ys[lonely], xs[lonely]
        sources[lonely, 0] = nearest[0][at] * bad.shape[1] + nearest[1][at]
        weights[lonely, 0] = 1.0
    # A place that was not needed must not point at a value that may be NaN.
    sources = np.where(weights > 0, sources, sources[:, :1])
    weights /= weights.sum(axis=1, keepdims=True)
    return Neighbours(targets, sources, weights.astype(np.float32), bad.shape)


def _collect(
    good: Mask,
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    rows: NDArray[np.int64],
    reach: int,
    sources: NDArray[np.int64],
    weights: NDArray[np.float64],
    found: NDArray[np.int64],
) -> None:
    steps = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    steps.sort(key=lambda step: (step[0] ** 2 + step[1] ** 2, step))
    ny, nx = good.shape
    for dy, dx in steps[1:]:
        y, x = ys[rows] + dy, xs[rows] + dx
        free = found[rows] < sources.shape[1]
        fits = free & (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        fits[fits] = good[y[fits], x[fits]]
        picked = rows[fits]
        sources[picked, found[picked]] = y[fits] * nx + x[fits]
        weights[picked, found[picked]] = 1.0 / (dy * dy + dx * dx)
        found[picked] += 1


def fill_from_neighbours(image: Image, neighbours: Neighbours) -> None:
    """Replace bad pixels by the weighted mean of their neighbours, in place.

    Parameters
    ----------
    image : array of float32, shape ``neighbours.shape``
        Changed in place. Values of the bad pixels are not looked at.
    neighbours : Neighbours
        From `find_neighbours`; serves any number of images.
    """
    if image.shape != neighbours.shape:
        raise KernelInputError(f"image {image.shape}, neighbours of {neighbours.shape}")
    _fill(image, neighbours.targets, neighbours.sources, neighbours.weights)


@numba.njit(cache=True, nogil=True)
def _fill(image, targets, sources, weights):  # type: ignore[no-untyped-def]
    # A bad pixel never serves another one, so their order does not matter.
    nx = image.shape[1]
    for i in range(targets.size):
        total = 0.0
        for k in range(sources.shape[1]):
            if weights[i, k] > 0:
                total += weights[i, k] * image[sources[i, k] // nx, sources[i, k] % nx]
        image[targets[i] // nx, targets[i] % nx] = total


@dataclass(frozen=True)
class HitFilter:
    """Settings of the search for single-exposure hits.

    Attributes
    ----------
    box : int
        Side of the box, odd [px].
    sigma : float
        Threshold in standard deviations of the box.
    sharpness : float
        Largest excess of the pixels beside a hit, relative to that of the hit itself.
    """

    box: int
    sigma: float
    sharpness: float


def find_hits(image: Image, hits: HitFilter) -> Mask:
    """Find pixels that stand out of their box and are sharper than any image of a star.

    Parameters
    ----------
    image : array of float32, shape (ny, nx)
        Finite values.
    hits : HitFilter

    Returns
    -------
    array of bool, shape (ny, nx)

    Notes
    -----
    A candidate exceeds the mean of its box (itself left out) by `sigma` standard deviations of
    the box, which is measured again after values beyond three of them were drawn in, so that
    hits side by side do not hide each other. It is taken if its four neighbours, the
    highest left out, rise above that level by less than `sharpness` of its own excess: a point
    source of 2.2 px FWHM keeps at least 0.48 of its peak there, one of 3.4 px 0.73, a
    particle hit nothing.
    """
    around, spread, tamed = (
        scratch(f"hits {name}", image.shape, np.float32) for name in ("around", "spread", "tamed")
    )
    box_scatter(image, hits.box, around, spread)
    _tame(image, around, spread, tamed)
    box_scatter(tamed, hits.box, around, spread)
    found = np.zeros(image.shape, dtype=np.bool_)
    _sharp_ones(image, around, spread, hits.sigma, hits.sharpness, found)
    return found


@numba.njit(cache=True, nogil=True)
def _tame(image, around, spread, tamed):  # type: ignore[no-untyped-def]
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            reach = np.float32(TAMING) * spread[y, x]
            low, high = around[y, x] - reach, around[y, x] + reach
            tamed[y, x] = min(max(image[y, x], low), high)


@numba.njit(cache=True, nogil=True)
def _sharp_ones(image, around, spread, sigma, sharpness, found):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    for y in range(ny):
        for x in range(nx):
            level = around[y, x]
            excess = image[y, x] - level
            if abs(excess) <= sigma * spread[y, x]:
                continue
            sign = 1.0 if excess > 0 else -1.0
            total, most = 0.0, -np.inf
            for side in range(4):
                row, column = y, x
                if side == 0:
                    column = min(x + 1, nx - 1)
                elif side == 1:
                    column = max(x - 1, 0)
                elif side == 2:
                    row = min(y + 1, ny - 1)
                else:
                    row = max(y - 1, 0)
                height = sign * (image[row, column] - level)
                total += height
                most = max(most, height)
            found[y, x] = (total - most) / 3 < sharpness * abs(excess)


def median_background(image: Image, size: int) -> Image:
    """Take the running median over a box of `size` px, edges mirrored; image finite."""
    return np.asarray(median_filter(image, size=size, mode="mirror"), dtype=np.float32)
