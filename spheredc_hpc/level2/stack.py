"""Images and curves of all channels together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.polar import radius_map
from spheredc_hpc.level2.contrast import MIN_THROUGHPUT
from spheredc_hpc.level2.engine import Frames

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """What is known of one channel against radius, on radii in pixels of that channel.

    Attributes
    ----------
    radius_px : array, shape (n,)
        Radii [px].
    noise, elements : array, shape (n,)
        Scatter of apertures and their number on the ring.
    throughput : array, shape (n,)
        Of the algorithm.
    star_flux : float
        Aperture sum of a companion of contrast 1.
    """

    radius_px: Floats
    noise: Floats
    elements: Floats
    throughput: Floats
    star_flux: float


def corrected_image(images: Sequence[Frames], curves: Sequence[Curves]) -> Frames:
    """Stack the channels after division by their throughput.

    Parameters
    ----------
    images : sequence of array, shape (y, x)
        Final images of the channels [adu/s].
    curves : sequence of Curves
        Their throughput and noise.

    Returns
    -------
    array of float32, shape (y, x)
        On the scale of the mean star: a companion of contrast `c` with the star's colour has
        `c` times the mean aperture flux of the star. Channels are weighted by the inverse
        variance of what is stacked; NaN where the throughput of one is below
        `MIN_THROUGHPUT`.
    """
    mean_flux = float(np.mean([curve.star_flux for curve in curves]))
    radius = radius_map((images[0].shape[0], images[0].shape[1]))
    total, weights = np.zeros(images[0].shape), np.zeros(images[0].shape)
    for image, curve in zip(images, curves, strict=True):
        usable = np.where(curve.throughput >= MIN_THROUGHPUT, curve.throughput, np.nan)
        scale = mean_flux / curve.star_flux / usable
        sigma = curve.noise * scale
        known = np.isfinite(sigma) & (sigma > 0)
        if not known.any():
            return np.full(images[0].shape, np.nan, np.float32)
        level = np.interp(radius, curve.radius_px[known], sigma[known])
        factor = np.interp(radius, curve.radius_px, scale)
        total += image * factor / level**2
        weights += 1 / level**2
    return np.asarray(total / weights, np.float32)


def stacked_throughput(curves: Sequence[Curves]) -> Floats:
    """Throughput of the mean image for a companion with the colour of the star."""
    flux = np.array([curve.star_flux for curve in curves])
    each = np.stack([curve.throughput for curve in curves])
    return np.asarray((flux[:, None] * each).sum(axis=0) / flux.sum())
