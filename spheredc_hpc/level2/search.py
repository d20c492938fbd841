"""Blind search for sources and their removal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from spheredc_hpc.kernels.snr import aperture_map
from spheredc_hpc.level2.forward import Fit, fit_source
from spheredc_hpc.level2.scene import Scene, SceneMaker
from spheredc_hpc.level2.snr import radial_profile, snr_maps, source_labels
from spheredc_hpc.level2.sources import (
    LABEL_FWHM,
    PROFILE_FWHM,
    Place,
    Source,
    channel_extra,
    characterised,
    excess,
    fitted_again,
    is_sound,
    levels,
    noise_at,
    place_of,
)

logger = logging.getLogger(__name__)

# A peak is worth a fit from this share of the threshold on: the lobes of a source raise the
# noise of its own ring until it is removed.
_WORTH = 0.9
# Peaks fitted at a time, passes, and sources in all. Peaks on the ring of a higher one wait for
# the next pass, as they may be lobes of it.
_BATCH = 6
# With more rows than this reduced together a fit costs as much as a reduction of the whole
# image: one peak at a time, as others may be lobes of it.
_MANY_ROWS = 400
_PASSES = 24
_MAX_SOURCES = 60
_RING_FWHM = 3.0
# What may be left of a removed source, in units of its S/N: beside a bright one, fainter peaks
# within two FWHM of its radius are not claimed.
_LEFT_OVER = 0.03
_LEFT_OVER_FWHM = 2.0
# Self-subtraction assumed for the first guess of a contrast.
_GUESS = 0.5


class Found(NamedTuple):
    """Outcome of a search.

    Attributes
    ----------
    sources : list of Source
        By falling S/N.
    empty : Scene
        Reduction of the cube without them.
    left : str
        Why peaks above the threshold are left without a source; nothing if none is.
    """

    sources: list[Source]
    empty: Scene
    left: str


def find_sources(full: Scene, maker: SceneMaker, threshold: float) -> Found:
    """Find and characterise every source above a threshold.

    Parameters
    ----------
    full : Scene
        Reduction of the cube as it is.
    maker : SceneMaker
        Of the cube.
    threshold : float
        Gaussian-equivalent S/N from which a peak is claimed.

    Returns
    -------
    Found

    Notes
    -----
    The highest peaks are fitted, companions are taken out of the frames, and the reduction
    is repeated, until nothing is left; so lobes of one source are neither noise nor source
    of the next. Before fainter peaks are looked at, and in the end, each source is fitted again
    with all others absent.
    """
    search = _Search(maker, threshold, full)
    for _ in range(_PASSES):
        peaks = search.peaks()
        if peaks and not search.settled:
            # What is left of sources that are known roughly may look like others.
            search.settle()
            peaks = search.peaks()
        if not peaks or len(search.fits) >= _MAX_SOURCES:
            break
        search.look_at(peaks[: _MAX_SOURCES - len(search.fits)])
    left = search.left()
    sources, empty = characterised(search.fits, search.empty, maker)
    while sources:
        claims = [excess(source.levels, threshold) for source in sources]
        if threshold + min(claims) >= _WORTH * threshold:
            break
        # It was claimed beside a bright source, before that one was known well.
        del sources[int(np.argmin(claims))]
        fits = [source.fit for source in sources]
        sources, empty = characterised(fits, maker.scene(fits) if fits else full, maker)
    return Found(sources, empty, left)


@dataclass
class _Search:
    """What is known in the course of a search.

    Attributes
    ----------
    maker, threshold
        As for `find_sources`.
    empty : Scene
        Reduction of the cube without the sources found so far.
    fits, levels
        Those sources, and their S/N.
    failed : list of Place
        Peaks that are no sources.
    settled : bool
        Whether every source was fitted with all others absent.
    """

    maker: SceneMaker
    threshold: float
    empty: Scene
    fits: list[Fit] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    failed: list[Place] = field(default_factory=list)
    settled: bool = True

    def peaks(self) -> list[Place]:
        """Peaks worth a fit."""
        known = [*self.failed, *(place_of(fit) for fit in self.fits)]
        return _highest_peaks(self.empty, known, self.threshold)

    def left(self) -> str:
        """Why peaks above the threshold are left, now that the search has come to its end."""
        known = [place_of(fit) for fit in self.fits]
        odd = _highest_peaks(self.empty, known, self.threshold, worth=1.0)
        if not odd:
            return ""
        if _highest_peaks(self.empty, [*self.failed, *known], self.threshold, worth=1.0):
            return (
                f"peaks above the threshold are left: the search ended after {len(known)} sources"
            )
        named = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in odd)
        return f"peaks above the threshold at {named} px from the star are no point sources"

    def settle(self) -> None:
        """Fit every source again with all others absent, and forget what failed before that."""
        self.fits, self.empty = fitted_again(self.fits, self.empty, self.maker)
        self.failed.clear()
        self.settled = True

    def look_at(self, peaks: Sequence[Place]) -> None:
        """Fit peaks, and claim those that are sources."""
        fitted = [(peak, _fit_at(self.empty, peak)) for peak in peaks]
        new = _distinct(fitted, self.empty.fwhm_px)
        self.failed += [peak for peak, _ in fitted if peak not in [p for p, _ in new]]
        if not new:
            return
        fits = [*self.fits, *(fit for _, fit in new)]
        candidate, places = self.maker.scene(fits), [place_of(fit) for fit in fits]
        kept = []
        for peak, fit in new:
            found = levels(self.empty, candidate, places, place_of(fit))
            level = excess(found, self.threshold) + self.threshold
            asked = max(self.threshold, self._left_over(fit))
            logger.info("peak at %.1f, %.1f px: S/N %.2f", fit.dx_px, fit.dy_px, level)
            if level >= asked:
                kept.append((fit, level))
            else:
                self.failed.append(peak)
        self.fits += [fit for fit, _ in kept]
        self.levels += [level for _, level in kept]
        if kept:
            self.empty = candidate if len(kept) == len(new) else self.maker.scene(self.fits)
            # A source that is the only one was fitted with all others absent.
            self.settled = len(self.fits) == 1

    def _left_over(self, fit: Fit) -> float:
        """S/N that imperfectly removed sources of about the same radius may leave behind."""
        radius = np.hypot(*place_of(fit))
        reach = _LEFT_OVER_FWHM * self.empty.fwhm_px
        near = [
            level
            for other, level in zip(self.fits, self.levels, strict=True)
            if abs(np.hypot(*place_of(other)) - radius) < reach
        ]
        return _LEFT_OVER * max(near, default=0.0)


def _distinct(fitted: Sequence[tuple[Place, Fit]], fwhm_px: float) -> list[tuple[Place, Fit]]:
    """Sound fits, less those that went to the place of an earlier one."""
    new: list[tuple[Place, Fit]] = []
    for peak, fit in fitted:
        apart = all(
            np.hypot(fit.dx_px - other.dx_px, fit.dy_px - other.dy_px) > fwhm_px for _, other in new
        )
        if is_sound(fit) and apart:
            new.append((peak, fit))
    return new


def _highest_peaks(
    scene: Scene, known: Sequence[Place], threshold: float, worth: float = _WORTH
) -> list[Place]:
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
    least = threshold if best.max() >= threshold else worth * threshold
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
    labels = source_labels(scene.side, [peak], PROFILE_FWHM * scene.fwhm_px)
    profiles = [radial_profile(image, labels) for image in scene.images]
    noise = noise_at(scene, peak, labels)
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
