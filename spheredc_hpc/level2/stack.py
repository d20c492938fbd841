"""Images and curves of all channels together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.polar import radius_map
from spheredc_hpc.level2.contrast import MIN_THROUGHPUT

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Curves:
    """What is known of one channel against radius.

    Attributes
    ----------
    radius_px : array, shape (n,)
        Radii [image px].
    noise, elements : array, shape (n,)
        Scatter of apertures and their number on the ring.
    throughput : array, shape (n,)
        Of the algorithm, for a companion of the assumed spectrum.
    star_flux : float
        Aperture sum of a companion of contrast 1.
    contrast : float
        Contrast in this channel of a companion whose mean over the channels is 1.
    stack_flux : float
        As `star_flux`, in an aperture of the mean width of the channels: that of the stack.
    """

    radius_px: Floats
    noise: Floats
    elements: Floats
    throughput: Floats
    star_flux: float
    contrast: float
    stack_flux: float


def stacked(images: Frames, weights: Floats | None = None) -> Frames:
    """Weighted mean of the images of all channels.

    Parameters
    ----------
    images : array, shape (n_channel, side, side)
        Final images [adu/s].
    weights : array of float64, shape (n_channel, n_radius), optional
        Weights at whole radii, constant beyond the last; equal ones if absent.

    Returns
    -------
    array of float32, shape (side, side)
        NaN where one of the channels is.
    """
    if images.shape[0] == 1:
        return np.asarray(images[0])
    if weights is None:
        return np.asarray(np.mean(images, axis=0, dtype=np.float64), np.float32)
    share = at_radii(weights, images.shape[-1])
    total = np.zeros(images.shape[1:])
    for image, part in zip(images, share, strict=True):
        total += image * part
    return np.asarray(total / share.sum(axis=0), np.float32)


def at_radii(values: Floats, side: int) -> Floats:
    """Spread values at whole radii over a square image, linearly between them."""
    radius = radius_map((side, side))
    knots = np.arange(values.shape[-1])
    return np.stack([np.interp(radius, knots, line) for line in values])


def stack_weights(noise: Floats, gain: Floats) -> Floats:
    """Weights of the channels with which a companion has the best S/N.

    Parameters
    ----------
    noise : array of float64, shape (n_channel, n_radius)
        Scatter of apertures at whole radii; NaN where not known.
    gain : array of float64, shape (n_channel,)
        Flux that a companion of mean contrast 1 has in each channel.

    Returns
    -------
    array of float64, shape (n_channel, n_radius)
        ``gain / noise**2``, summing to 1; where the noise of a channel is not known, that at
        the nearest radius counts. A channel without any has no weight; equal weights if none
        has.

    Notes
    -----
    The residuals of channels that were subtracted from each other are correlated: the weights
    are those of independent ones. The noise of the stack is measured on the stack.
    """
    filled = np.full(noise.shape, np.inf)
    for line, values in zip(filled, noise, strict=True):
        known = np.flatnonzero(np.isfinite(values) & (values > 0))
        if known.size:
            line[:] = np.exp(np.interp(np.arange(values.size), known, np.log(values[known])))
    if not np.isfinite(filled).any():
        return np.full(noise.shape, 1 / noise.shape[0])
    weights = gain[:, None] / filled**2
    return np.asarray(weights / weights.sum(axis=0, keepdims=True))


def corrected_image(images: Sequence[NDArray[Any]], curves: Sequence[Curves]) -> Frames:
    """Stack the channels after division by their throughput.

    Parameters
    ----------
    images : sequence of array, shape (y, x)
        Final images of the channels [adu/s], on one pixel scale.
    curves : sequence of Curves
        Their throughput and noise.

    Returns
    -------
    array of float32, shape (y, x)
        A companion of the assumed spectrum and mean contrast `c` has `c` times the mean
        flux of the star in an aperture of the mean width. Each channel is an estimate of
        that, weighted by its inverse variance; a channel in which throughput is below
        `MIN_THROUGHPUT` does not count, and NaN is where none does.
    """
    mean_flux = float(np.mean([curve.stack_flux for curve in curves]))
    radius = radius_map((images[0].shape[0], images[0].shape[1]))
    total, weights = np.zeros(images[0].shape), np.zeros(images[0].shape)
    for image, curve in zip(images, curves, strict=True):
        good = np.isfinite(curve.throughput) & (curve.throughput >= MIN_THROUGHPUT)
        arriving = np.where(good, curve.throughput, np.nan) * curve.contrast
        response = arriving * curve.stack_flux
        with np.errstate(divide="ignore"):
            precision = np.where(good, arriving * curve.star_flux / curve.noise, 0.0)
        known = np.isfinite(curve.noise) & (curve.noise > 0) & good & (curve.contrast > 0)
        if not known.any():
            continue
        # Beyond the curve its last value holds; gaps within it have no value.
        level = np.interp(radius, curve.radius_px[known], precision[known])
        scale = np.interp(radius, curve.radius_px, mean_flux / response)
        usable = np.isfinite(scale) & np.isfinite(image)
        total += np.where(usable, image * np.nan_to_num(scale) * level**2, 0.0)
        weights += np.where(usable, level**2, 0.0)
    seen = weights > 0
    return np.asarray(
        np.divide(total, weights, out=np.full(total.shape, np.nan), where=seen), np.float32
    )


def stacked_throughput(curves: Sequence[Curves], weights: Floats | None = None) -> Floats:
    """Throughput of the stack for a companion of the assumed spectrum.

    Parameters
    ----------
    curves : sequence of Curves
        Of the channels, on equal radii.
    weights : array of float64, shape (n_channel, n_radius), optional
        Of the stack, at whole radii; equal ones if absent.

    Returns
    -------
    array of float64, shape (n,)
        Flux of the companion in the stack over that without any loss, see `stacked_flux`.
    """
    shares = _shares(curves, weights)
    flux = np.array([curve.stack_flux * curve.contrast for curve in curves])
    each = np.stack([curve.throughput for curve in curves])
    # A channel without light of the companion has no throughput, and needs none.
    arriving = np.where(flux[:, None] == 0, 0.0, flux[:, None] * each)
    return np.asarray((shares * arriving).sum(axis=0) / stacked_flux(curves, weights))


def stacked_flux(curves: Sequence[Curves], weights: Floats | None = None) -> Floats:
    """Aperture flux in the stack of a companion of mean contrast 1, were nothing lost."""
    flux = np.array([curve.stack_flux * curve.contrast for curve in curves])
    return np.asarray((_shares(curves, weights) * flux[:, None]).sum(axis=0))


def _shares(curves: Sequence[Curves], weights: Floats | None) -> Floats:
    radius = curves[0].radius_px
    if weights is None:
        return np.full((len(curves), radius.size), 1 / len(curves))
    knots = np.arange(weights.shape[-1])
    found = np.stack([np.interp(radius, knots, line) for line in weights])
    return np.asarray(found / found.sum(axis=0, keepdims=True))
