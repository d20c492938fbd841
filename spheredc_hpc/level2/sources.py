"""Blind search for sources and their removal, one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.snr import ApertureMap, aperture_map, ring_noise
from spheredc_hpc.level2.engine import Companion, Frames, Method, Reduction
from spheredc_hpc.level2.forward import Fit, fit_covariance, fit_source, scales_of
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.snr import radial_profile, snr_against, snr_maps, source_labels

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

# A peak is worth a fit from this share of the threshold on: the lobes of a source raise the
# noise of its own ring until it is removed.
_WORTH = 0.8
# Fits that may fail one after the other, and sources in all.
_MAX_FAILURES = 4
_MAX_SOURCES = 20
# Pixels within this many FWHM of a source do not count as noise.
LABEL_FWHM = 1.0
# Self-subtraction assumed for the first guess of a contrast.
_GUESS = 0.5


@dataclass(frozen=True)
class Source:
    """A source found.

    Attributes
    ----------
    fit : Fit
        Position and contrast.
    covariance : array, shape (2 + n_channel, 2 + n_channel)
        Of ``(dx, dy, contrast...)``: noise of the image, star and PSF.
    snr : float
        Largest Gaussian-equivalent S/N, of the stack or one channel, against rings from
        which the source was removed.
    """

    fit: Fit
    covariance: Floats
    snr: float


@dataclass(frozen=True)
class Scene:
    """Reductions of all channels without a set of sources.

    Attributes
    ----------
    reductions : tuple of Reduction
        One a channel.
    images : tuple of array
        Their final images, NaN outside of the mask.
    """

    reductions: tuple[Reduction, ...]
    images: tuple[Frames, ...]

    @property
    def stack(self) -> Frames:
        """Mean over the channels."""
        return stack_images(self.images)

    @property
    def fwhm_px(self) -> float:
        """Mean width of the PSFs [px]."""
        return float(np.mean([r.channel.star.fwhm_px for r in self.reductions]))

    def views(self) -> list[tuple[Frames, float]]:
        """Images that are searched, with their PSF width: the stack, then the channels."""
        if len(self.images) == 1:
            return [(self.images[0], self.fwhm_px)]
        widths = [r.channel.star.fwhm_px for r in self.reductions]
        return [(self.stack, self.fwhm_px), *zip(self.images, widths, strict=True)]


def stack_images(images: Sequence[Frames]) -> Frames:
    """Mean of the channels, NaN where one of them is."""
    return np.asarray(np.mean(np.stack(images), axis=0, dtype=np.float64), np.float32)


def scene_without(
    channels: Sequence[Channel], method: Method, fits: Sequence[Fit], scales: Floats
) -> Scene:
    """Reduce all channels with fitted sources taken out of the frames."""
    reductions, images = [], []
    for k, channel in enumerate(channels):
        s = float(scales[k])
        removed = [Companion(f.dx_px * s, f.dy_px * s, -float(f.contrast[k])) for f in fits]
        reduction = Reduction(channel, method, removed)
        reductions.append(reduction)
        images.append(reduction.image())
    return Scene(tuple(reductions), tuple(images))


def find_sources(
    full: Scene, channels: Sequence[Channel], method: Method, threshold: float
) -> tuple[list[Source], Scene]:
    """Find and characterise every source above a threshold.

    Parameters
    ----------
    full : Scene
        Reduction of the cube as it is.
    channels : sequence of Channel
        Its channels.
    method : Method
        Algorithm and combination.
    threshold : float
        Gaussian-equivalent S/N from which a peak is claimed.

    Returns
    -------
    sources : list of Source
        Brightest first.
    empty : Scene
        Reduction of the cube without them.

    Notes
    -----
    The highest peak is fitted, its companion is taken out of the frames, and the reduction is
    repeated; so lobes of one source are neither noise nor source of the next.
    """
    scales = scales_of(full.reductions)
    fits: list[Fit] = []
    tried: list[tuple[float, float]] = []
    empty, failures = full, 0
    while failures < _MAX_FAILURES and len(fits) < _MAX_SOURCES:
        peak = _highest_peak(empty, tried, _WORTH * threshold)
        if peak is None:
            break
        tried.append(peak)
        fit = _fit_at(empty, peak)
        if not fit.converged or fit.contrast.max() <= 0:
            failures += 1
            continue
        candidate = scene_without(channels, method, [*fits, fit], scales)
        found = _snr_of(fit, empty, candidate, tried)
        logger.info("peak at %.1f, %.1f px: S/N %.2f", fit.dx_px, fit.dy_px, found)
        if not found >= threshold:
            failures += 1
            continue
        fits.append(fit)
        tried[-1] = (fit.dx_px, fit.dy_px)
        empty, failures = candidate, 0
    return _characterised(fits, full, empty, channels, method)


def _highest_peak(
    scene: Scene, tried: Sequence[tuple[float, float]], least: float
) -> tuple[float, float] | None:
    side = scene.images[0].shape[0]
    labels = source_labels(side, tried, LABEL_FWHM * scene.fwhm_px)
    best, where = least, None
    for image, fwhm in scene.views():
        gaussian = snr_maps(image, fwhm, labels, skip=1).gaussian
        gaussian[labels > 0] = np.nan
        if not np.isfinite(gaussian).any():
            continue
        y, x = np.unravel_index(int(np.nanargmax(gaussian)), gaussian.shape)
        if gaussian[y, x] >= best:
            best, where = float(gaussian[y, x]), (float(x - side // 2), float(y - side // 2))
    return where


def _fit_at(scene: Scene, peak: tuple[float, float]) -> Fit:
    side = scene.images[0].shape[0]
    middle = side // 2
    radius = float(np.hypot(*peak))
    labels = source_labels(side, [peak], 1.5 * scene.fwhm_px)
    profiles = [radial_profile(image, labels) for image in scene.images]
    noise, guess = [], []
    for reduction, image in zip(scene.reductions, scene.images, strict=True):
        star = reduction.channel.star
        apertures = aperture_map(image, star.fwhm_px, labels)
        level = ring_noise(apertures, [radius])[0][0]
        noise.append(level if np.isfinite(level) and level > 0 else 1.0)
        total = apertures.sums[middle + int(peak[1]), middle + int(peak[0])]
        guess.append(total / star.unit_flux / _GUESS if np.isfinite(total) else 0.0)
    start = np.array(guess)
    if not np.any(start):
        start = np.array(
            [n / r.channel.star.unit_flux for n, r in zip(noise, scene.reductions, strict=True)]
        )
    return fit_source(scene.reductions, profiles, np.array(noise), peak, start)


def _empty_apertures(
    image: Frames, fwhm: float, places: Sequence[tuple[float, float]]
) -> ApertureMap:
    labels = source_labels(image.shape[0], places, LABEL_FWHM * fwhm)
    return aperture_map(image, fwhm, labels)


def _snr_of(
    fit: Fit, with_it: Scene, without: Scene, places: Sequence[tuple[float, float]]
) -> float:
    values = []
    for (image, fwhm), (clean, _) in zip(with_it.views(), without.views(), strict=True):
        apertures = _empty_apertures(clean, fwhm, places)
        values.append(snr_against(image, apertures, (fit.dx_px, fit.dy_px))[1])
    finite = [value for value in values if np.isfinite(value)]
    return max(finite) if finite else float("nan")


def _characterised(
    fits: Sequence[Fit], full: Scene, empty: Scene, channels: Sequence[Channel], method: Method
) -> tuple[list[Source], Scene]:
    """Refine every fit with all others removed, and give errors."""
    scales = scales_of(full.reductions)
    if len(fits) > 1:
        fits = _refined(fits, channels, method, scales)
        empty = scene_without(channels, method, fits, scales)
    sources = []
    places = [(fit.dx_px, fit.dy_px) for fit in fits]
    labels = source_labels(empty.images[0].shape[0], places, LABEL_FWHM * empty.fwhm_px)
    profiles = [radial_profile(image, labels) for image in empty.images]
    for i, fit in enumerate(fits):
        others = [place for j, place in enumerate(places) if j != i]
        rest = [f for j, f in enumerate(fits) if j != i]
        alone = scene_without(channels, method, rest, scales) if rest else full
        covariance = fit_covariance(
            fit, empty.images, profiles, scales, others, empty.fwhm_px
        ) + _calibration_covariance(fit, channels)
        sources.append(Source(fit, covariance, _snr_of(fit, alone, empty, places)))
    return sorted(sources, key=lambda source: -source.snr), empty


def _refined(
    fits: Sequence[Fit], channels: Sequence[Channel], method: Method, scales: Floats
) -> list[Fit]:
    refined = list(fits)
    for i, fit in enumerate(fits):
        rest = [f for j, f in enumerate(refined) if j != i]
        scene = scene_without(channels, method, rest, scales)
        places = [(f.dx_px, f.dy_px) for f in refined]
        side = scene.images[0].shape[0]
        labels = source_labels(side, places, 1.5 * scene.fwhm_px)
        profiles = [radial_profile(image, labels) for image in scene.images]
        radius = float(np.hypot(fit.dx_px, fit.dy_px))
        noise = []
        for image, channel in zip(scene.images, channels, strict=True):
            level = ring_noise(aperture_map(image, channel.star.fwhm_px, labels), [radius])[0][0]
            noise.append(level if np.isfinite(level) and level > 0 else 1.0)
        better = fit_source(
            scene.reductions, profiles, np.array(noise), (fit.dx_px, fit.dy_px), fit.contrast
        )
        if better.converged:
            refined[i] = better
    return refined


def _calibration_covariance(fit: Fit, channels: Sequence[Channel]) -> Floats:
    """Errors that the image does not show: centre of the star, scatter of the PSF."""
    centre = float(np.mean([channel.centre_err_px for channel in channels])) ** 2
    flux = (fit.contrast * np.array([channel.star.scatter for channel in channels])) ** 2
    return np.diag(np.concatenate([[centre, centre], flux]))
