"""Interpolation over bad pixels, and the search for hits that last one exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, median_filter

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.banded import Banded, apply_columns, apply_rows, box_matrix

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
    values = np.take(image, neighbours.sources)
    np.put(image, neighbours.targets, np.einsum("ij,ij->i", values, neighbours.weights))


@dataclass(frozen=True)
class HitFilter:
    """Settings and matrices of the search for single-exposure hits.

    Attributes
    ----------
    rows, columns : Banded
        Running means over the box.
    box : int
        Side of the box [px].
    sigma : float
        Threshold in standard deviations of the box.
    sharpness : float
        Largest excess of the pixels beside a hit, relative to that of the hit itself.
    """

    rows: Banded
    columns: Banded
    box: int
    sigma: float
    sharpness: float

    @classmethod
    def of(cls, shape: tuple[int, int], box: int, sigma: float, sharpness: float) -> HitFilter:
        """Prepare the filter for images of `shape`."""
        return cls(box_matrix(shape[0], box), box_matrix(shape[1], box), box, sigma, sharpness)


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
    shifted = image - np.float32(np.median(image[::8, ::8]))
    around, spread = _box_statistics(shifted, hits)
    tamed = np.clip(shifted, around - TAMING * spread, around + TAMING * spread)
    around, spread = _box_statistics(tamed, hits)
    excess = shifted - around
    candidates = np.abs(excess) > hits.sigma * spread
    ys, xs = np.nonzero(candidates)
    height = excess[ys, xs]
    padded = np.pad(shifted, 1, mode="edge")
    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    ring = np.stack([padded[ys + 1 + dy, xs + 1 + dx] for dy, dx in steps])
    ring = (ring - around[ys, xs]) * np.sign(height)
    shoulder = (ring.sum(axis=0) - ring.max(axis=0)) / 3
    sharp = shoulder < hits.sharpness * np.abs(height)
    found = np.zeros(image.shape, dtype=bool)
    found[ys[sharp], xs[sharp]] = True
    return found


def _box_statistics(image: Image, hits: HitFilter) -> tuple[Image, Image]:
    """Mean and standard deviation of the box around each pixel, the pixel itself left out."""
    n = hits.box**2
    mean = apply_columns(apply_rows(hits.rows, image), hits.columns)
    square = apply_columns(apply_rows(hits.rows, image * image), hits.columns)
    around = (n * mean - image) / np.float32(n - 1)
    variance = (n * square - image * image) / np.float32(n - 1) - around * around
    return np.asarray(around), np.sqrt(np.maximum(variance, np.float32(0)))


def median_background(image: Image, size: int) -> Image:
    """Take the running median over a box of `size` px, edges mirrored; image finite."""
    return np.asarray(median_filter(image, size=size, mode="mirror"), dtype=np.float32)
