"""Blind search for sources, their characterisation and their removal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spheredc_hpc.kernels.snr import aperture_map, ring_noise
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.forward import Fit, fit_covariance, fit_source
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.scene import Scene, reductions_without, scene_without
from spheredc_hpc.level2.snr import radial_profile, snr_against, snr_maps, source_labels

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Place = tuple[float, float]

# A peak is worth a fit from this share of the threshold on: the lobes of a source raise the
# noise of its own ring until it is removed.
_WORTH = 0.9
# Several channels are several chances for noise: what is asked of a peak of one channel is so
# much more that all of them together add this share to the false alarms of the stack.
_CHANNEL_SHARE = 0.13
# Peaks fitted at a time, passes, and sources in all. Peaks on the ring of a higher one wait for
# the next pass, as they may be lobes of it.
_BATCH = 6
# With more rows than this reduced together a fit costs as much as a reduction of the whole
# image: one peak at a time, as others may be lobes of it.
_MANY_ROWS = 400
_PASSES = 12
_MAX_SOURCES = 20
_RING_FWHM = 3.0
# What may be left of a removed source, in units of its S/N: beside a bright one, fainter peaks
# within two FWHM of its radius are not claimed.
_LEFT_OVER = 0.03
_LEFT_OVER_FWHM = 2.0
# Pixels within this many FWHM of a source do not count as noise.
LABEL_FWHM = 1.0
_PROFILE_FWHM = 1.5
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
        which the sources were removed.
    """

    fit: Fit
    covariance: Floats
    snr: float

    @property
    def place(self) -> Place:
        """Offset from the star [image px]."""
        return (self.fit.dx_px, self.fit.dy_px)


def find_sources(
    full: Scene, rows: Sequence[Rows], method: Method, threshold: float
) -> tuple[list[Source], Scene]:
    """Find and characterise every source above a threshold.

    Parameters
    ----------
    full : Scene
        Reduction of the cube as it is.
    rows : sequence of Rows
        What it was made of.
    method : Method
        Algorithm and combination.
    threshold : float
        Gaussian-equivalent S/N from which a peak is claimed.

    Returns
    -------
    sources : list of Source
        By falling S/N.
    empty : Scene
        Reduction of the cube without them.

    Notes
    -----
    The highest peaks are fitted, companions are taken out of the frames, and the reduction
    is repeated, until nothing is left; so lobes of one source are neither noise nor source
    of the next. In the end each source is fitted again with all others absent.
    """
    fits: list[Fit] = []
    levels: list[float] = []
    failed: list[Place] = []
    empty = full
    for _ in range(_PASSES):
        peaks = _highest_peaks(empty, [*failed, *(_place(f) for f in fits)], threshold)
        if not peaks or len(fits) >= _MAX_SOURCES:
            break
        fitted = [(peak, _fit_at(empty, peak)) for peak in peaks]
        new = _distinct(fitted, empty.fwhm_px)
        failed += [peak for peak, _ in fitted if peak not in [p for p, _ in new]]
        if not new:
            continue
        candidate = scene_without(rows, method, [*fits, *(fit for _, fit in new)], full.weights)
        places = [_place(fit) for fit in (*fits, *(fit for _, fit in new))]
        kept = []
        for peak, fit in new:
            level = _margin(empty, candidate, places, _place(fit), threshold) + threshold
            asked = max(threshold, _left_over(fit, fits, levels, empty.fwhm_px))
            logger.info("peak at %.1f, %.1f px: S/N %.2f", fit.dx_px, fit.dy_px, level)
            kept.append(level >= asked)
            if kept[-1]:
                levels.append(level)
            else:
                failed.append(peak)
        fits += [fit for (_, fit), keep in zip(new, kept, strict=True) if keep]
        if all(kept):
            empty = candidate
        elif any(kept):
            empty = scene_without(rows, method, fits, full.weights)
    sources, empty = _characterised(fits, empty, rows, method)
    while sources and sources[-1].snr < _WORTH * threshold:
        # What was claimed beside a bright source, before that one was known well.
        fits = [source.fit for source in sources[:-1]]
        empty = scene_without(rows, method, fits, full.weights) if fits else full
        sources, empty = _characterised(fits, empty, rows, method)
    return sources, empty


def channel_extra(threshold: float, n_channel: int) -> float:
    """S/N that is asked of a peak of one channel beyond the threshold of the stack."""
    chance = norm.sf(threshold) * _CHANNEL_SHARE / n_channel
    return float(norm.isf(chance) - threshold)


def _left_over(fit: Fit, found: Sequence[Fit], levels: Sequence[float], fwhm_px: float) -> float:
    """S/N that imperfectly removed sources of about the same radius may leave behind."""
    radius = np.hypot(fit.dx_px, fit.dy_px)
    near = [
        level
        for other, level in zip(found, levels, strict=False)
        if abs(np.hypot(other.dx_px, other.dy_px) - radius) < _LEFT_OVER_FWHM * fwhm_px
    ]
    return _LEFT_OVER * max(near, default=0.0)


def _place(fit: Fit) -> Place:
    return (fit.dx_px, fit.dy_px)


def _sound(fit: Fit) -> bool:
    return fit.converged and bool(fit.contrast.max() > 0)


def _distinct(fitted: Sequence[tuple[Place, Fit]], fwhm_px: float) -> list[tuple[Place, Fit]]:
    """Sound fits, less those that went to the place of an earlier one."""
    new: list[tuple[Place, Fit]] = []
    for peak, fit in fitted:
        apart = all(
            np.hypot(fit.dx_px - other.dx_px, fit.dy_px - other.dy_px) > fwhm_px for _, other in new
        )
        if _sound(fit) and apart:
            new.append((peak, fit))
    return new


def _margin(
    with_it: Scene, without: Scene, places: Sequence[Place], place: Place, threshold: float
) -> float:
    """By how much the S/N of a source exceeds what is asked of stack or channel."""
    best = -np.inf
    for number, ((image, fwhm), (clean, _)) in enumerate(
        zip(with_it.views(), without.views(), strict=True)
    ):
        labels = source_labels(clean.shape[0], places, LABEL_FWHM * fwhm)
        found = snr_against(image, aperture_map(clean, fwhm, labels), place)[1]
        asked = threshold + (channel_extra(threshold, len(with_it.images)) if number else 0.0)
        best = max(best, found - asked) if np.isfinite(found) else best
    return float(best)


def _highest_peaks(scene: Scene, known: Sequence[Place], threshold: float) -> list[Place]:
    """Local maxima worth a fit, highest first, one a ring, apart from known places."""
    labels = source_labels(scene.side, known, LABEL_FWHM * scene.fwhm_px)
    best = np.full((scene.side, scene.side), -np.inf)
    for number, (image, fwhm) in enumerate(scene.views()):
        gaussian = snr_maps(image, fwhm, labels, skip=1).gaussian
        gaussian -= channel_extra(threshold, len(scene.images)) if number else 0.0
        best = np.fmax(best, np.nan_to_num(gaussian, nan=-np.inf))
    best[labels > 0] = -np.inf
    middle = scene.side // 2
    y, x = np.mgrid[: scene.side, : scene.side] - middle
    radius = np.hypot(x, y)
    peaks: list[Place] = []
    # Peaks above the threshold first; those that may come to it when nothing else is left.
    least = threshold if best.max() >= threshold else _WORTH * threshold
    while len(peaks) < _batch(scene):
        row, column = np.unravel_index(int(np.argmax(best)), best.shape)
        if best[row, column] < least:
            break
        peaks.append((float(column - middle), float(row - middle)))
        best[np.abs(radius - radius[row, column]) <= _RING_FWHM * scene.fwhm_px] = -np.inf
    return peaks


def _batch(scene: Scene) -> int:
    """How many peaks are fitted before the images are made again."""
    many = any(reduction.rows.frames.shape[0] > _MANY_ROWS for reduction in scene.reductions)
    return 1 if many else _BATCH


def _fit_at(scene: Scene, peak: Place) -> Fit:
    """Fit a peak of a scene; profile and noise come from the scene without the peak."""
    labels = source_labels(scene.side, [peak], _PROFILE_FWHM * scene.fwhm_px)
    profiles = [radial_profile(image, labels) for image in scene.images]
    noise = _noise_at(scene, peak, labels)
    middle = scene.side // 2
    y, x = middle + int(peak[1]), middle + int(peak[0])
    totals = [
        aperture_map(image, float(width)).sums[y, x]
        for image, width in zip(scene.images, scene.widths_px, strict=True)
    ]
    start = np.nan_to_num(np.array(totals)) / scene.unit_flux / _GUESS
    if not np.any(start):
        start = noise / scene.unit_flux
    return fit_source(scene.reductions, profiles, noise, peak, start)


def _noise_at(scene: Scene, place: Place, labels: NDArray[np.int32]) -> Floats:
    """Ring noise of each channel at a place; 1 where it cannot be measured."""
    noise = []
    for image, width in zip(scene.images, scene.widths_px, strict=True):
        apertures = aperture_map(image, float(width), labels)
        noise.append(ring_noise(apertures, [np.hypot(*place)])[0][0])
    found = np.array(noise)
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _characterised(
    fits: Sequence[Fit], empty: Scene, rows: Sequence[Rows], method: Method
) -> tuple[list[Source], Scene]:
    """Refine every fit with all others absent, and give errors and S/N."""
    refined = list(fits)
    stamps: list[_Stamps] = []
    for i in range(len(refined)):
        rest = [fit for j, fit in enumerate(refined) if j != i]
        alone = reductions_without(rows, method, rest)
        refined[i] = _refined(refined[i], alone, empty, [_place(f) for f in refined])
        stamps.append(_Stamps.of(alone, _place(refined[i]), empty.fwhm_px))
    if refined:
        empty = scene_without(rows, method, refined, empty.weights)
    places = [_place(fit) for fit in refined]
    labels = source_labels(empty.side, places, LABEL_FWHM * empty.fwhm_px)
    profiles = [radial_profile(image, labels) for image in empty.images]
    sources = []
    for i, fit in enumerate(refined):
        others = [place for j, place in enumerate(places) if j != i]
        covariance = fit_covariance(fit, empty.images, profiles, empty.fwhm_px, others)
        covariance = covariance + _calibration_covariance(fit, empty)
        snr = _margin(stamps[i].on(empty), empty, places, places[i], 0.0)
        sources.append(Source(fit, covariance, snr))
    return sorted(sources, key=lambda source: -source.snr), empty


def _refined(fit: Fit, alone: Sequence[Reduction], empty: Scene, places: Sequence[Place]) -> Fit:
    labels = source_labels(empty.side, places, _PROFILE_FWHM * empty.fwhm_px)
    profiles = [radial_profile(image, labels) for image in empty.images]
    noise = _noise_at(empty, _place(fit), labels)
    better = fit_source(alone, profiles, noise, _place(fit), fit.contrast)
    return better if _sound(better) else fit


@dataclass(frozen=True)
class _Stamps:
    """Pixels of the aperture of one source, from images that hold no other source."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    values: Floats

    @classmethod
    def of(cls, alone: Sequence[Reduction], place: Place, fwhm_px: float) -> _Stamps:
        half = int(np.ceil(fwhm_px / 2)) + 2
        y, x = (grid.ravel() for grid in np.mgrid[-half : half + 1, -half : half + 1])
        x, y = x + round(place[0]), y + round(place[1])
        offsets = x.astype(np.float64), y.astype(np.float64)
        return cls(x, y, np.concatenate([Patch(r, *offsets).evaluate() for r in alone]))

    def on(self, empty: Scene) -> Scene:
        """Scene with the pixels put in place."""
        middle = empty.side // 2
        x, y = self.x + middle, self.y + middle
        inside = (x >= 0) & (y >= 0) & (x < empty.side) & (y < empty.side)
        images = []
        for values, clean in zip(self.values, empty.images, strict=True):
            image = clean.copy()
            image[y[inside], x[inside]] = values[inside]
            image[~np.isfinite(clean)] = np.nan
            images.append(image)
        return Scene(empty.reductions, np.stack(images), empty.weights)


def _calibration_covariance(fit: Fit, scene: Scene) -> Floats:
    """Errors that the image does not show: centre of the star, scatter of the PSF."""
    centre = float(np.mean([channel.centre_err_px for channel in scene.channels])) ** 2
    flux = (fit.contrast * np.array([channel.star.scatter for channel in scene.channels])) ** 2
    return np.diag(np.concatenate([[centre, centre], flux]))
