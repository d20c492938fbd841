"""S/N of images and of positions on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.snr import (
    ApertureMap,
    aperture_map,
    gaussian_equivalent,
    ring_noise,
    t_statistic,
)

Floats = NDArray[np.float64]
Image = NDArray[Any]


@dataclass(frozen=True)
class SnrMaps:
    """Statistic of every pixel of an image.

    Attributes
    ----------
    t : array of float64, shape (y, x)
        Two-sample t statistic against the ring of the pixel.
    gaussian : array of float64, shape (y, x)
        Gaussian deviate of the same false-alarm probability.
    """

    t: Floats
    gaussian: Floats


def snr_maps(
    image: Image,
    fwhm_px: float,
    labels: NDArray[np.int32] | None = None,
    skip: int = 0,
    empty: Image | None = None,
) -> SnrMaps:
    """Compute the t map of an image and its Gaussian equivalent.

    Parameters
    ----------
    image : array, shape (y, x)
        Final image, NaN where not valid.
    fwhm_px : float
        Diameter of the apertures [px].
    labels : array of int32, optional
        Numbers of sources that are left out of the rings of other pixels.
    skip : int
        Neighbours on either side left out of each ring.
    empty : array, shape (y, x), optional
        The same image without its sources: the rings are taken from it, so that neither a
        source nor its lobes count as noise.

    Returns
    -------
    SnrMaps
    """
    apertures = aperture_map(image, fwhm_px, labels)
    if empty is not None:
        apertures = replace(aperture_map(empty, fwhm_px, labels), sums=apertures.sums)
    t, references = t_statistic(apertures, skip)
    return SnrMaps(t, gaussian_equivalent(t, references - 1))


def source_labels(
    side: int, offsets_px: Iterable[tuple[float, float]], radius_px: float
) -> NDArray[np.int32]:
    """Label the pixels within a radius of each source by its number, from 1; 0 elsewhere."""
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side] - side // 2
    for number, (dx, dy) in enumerate(offsets_px, start=1):
        labels[np.hypot(x - dx, y - dy) <= radius_px] = number
    return labels


def snr_against(
    image: Image, empty: ApertureMap, offset_px: tuple[float, float]
) -> tuple[float, float]:
    """S/N of one position on an image, with the noise of another.

    Parameters
    ----------
    image : array, shape (y, x)
        Image with the source.
    empty : ApertureMap
        Aperture sums of the same image without its sources: rings free of their lobes.
    offset_px : (float, float)
        Offset of the source from the centre [px].

    Returns
    -------
    t, gaussian : float
        The statistic and its Gaussian equivalent; NaN where the ring is too short.
    """
    dx, dy = offset_px
    middle = image.shape[0] // 2
    total = aperture_sum(image, middle + dx, middle + dy, empty.diameter_px / 2)
    noise, elements = ring_noise(empty, [np.hypot(dx, dy)])
    if not np.isfinite(total) or not np.isfinite(noise[0]):
        return float("nan"), float("nan")
    count = elements[0]
    t = (total - _ring_mean(empty, dx, dy)) / (noise[0] * np.sqrt(1 + 1 / count))
    return float(t), float(gaussian_equivalent(t, count - 1))


def _ring_mean(empty: ApertureMap, dx: float, dy: float) -> float:
    side = empty.sums.shape[0]
    y, x = np.mgrid[:side, :side] - side // 2
    ring = (np.abs(np.hypot(x, y) - np.hypot(dx, dy)) <= 0.75) & (empty.label == 0)
    return float(empty.sums[ring].mean()) if ring.any() else 0.0


def radial_profile(image: Image, labels: NDArray[np.int32] | None = None) -> Floats:
    """Azimuthal mean of an image at whole radii, shape (side // 2 + 1,).

    Bins are one pixel wide; empty ones repeat their neighbour, zero if there is none.
    """
    side = image.shape[0]
    y, x = np.mgrid[:side, :side] - side // 2
    use = np.isfinite(image)
    if labels is not None:
        use &= labels == 0
    bins = np.rint(np.hypot(x, y)).astype(int)[use]
    length = side // 2 + 1
    inside = bins < length
    count = np.bincount(bins[inside], minlength=length)
    total = np.bincount(bins[inside], image[use][inside].astype(np.float64), minlength=length)
    filled = np.flatnonzero(count)
    if filled.size == 0:
        return np.zeros(length)
    return np.asarray(np.interp(np.arange(length), filled, total[filled] / count[filled]))
