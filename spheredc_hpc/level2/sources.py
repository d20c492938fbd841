"""Sources as they are measured: each alone in the frames, with its errors and its S/N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from spheredc_hpc.kernels.snr import aperture_map, ring_noise
from spheredc_hpc.level2.engine import Reduction
from spheredc_hpc.level2.forward import Fit, fit_covariance, fit_source
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.scene import Scene, SceneMaker
from spheredc_hpc.level2.snr import radial_profile, snr_against, source_labels

Floats = NDArray[np.float64]
Place = tuple[float, float]

# Several channels are several chances for noise: what is asked of a peak of one channel is so
# much more that all of them together add this share to the false alarms of the stack.
_CHANNEL_SHARE = 0.13
# Pixels within this many FWHM of a source do not count as noise.
LABEL_FWHM = 1.0
PROFILE_FWHM = 1.5


@dataclass(frozen=True)
class Source:
    """A source found.

    Attributes
    ----------
    fit : Fit
        Position and contrast.
    covariance : array, shape (2 + n_channel, 2 + n_channel)
        Of ``(dx, dy, contrast...)``: noise of the image, star and PSF.
    levels : array of float64, shape (n_view,)
        Gaussian-equivalent S/N in the stack and in each channel, or in the only channel, against
        rings from which the sources were removed.
    """

    fit: Fit
    covariance: Floats
    levels: Floats

    @property
    def snr(self) -> float:
        """Largest S/N, of the stack or one channel."""
        return float(self.levels.max())

    @property
    def place(self) -> Place:
        """Offset from the star [image px]."""
        return (self.fit.dx_px, self.fit.dy_px)


def characterised(
    fits: Sequence[Fit], empty: Scene, maker: SceneMaker
) -> tuple[list[Source], Scene]:
    """Fit every source with all others absent, and give errors and S/N.

    Parameters
    ----------
    fits : sequence of Fit
        Sources as known.
    empty : Scene
        Reduction of the cube without them.
    maker : SceneMaker
        Of the cube.

    Returns
    -------
    sources : list of Source
        By falling S/N.
    empty : Scene
        Reduction of the cube without the sources as they are known now.
    """
    refined = list(fits)
    stamps: list[_Stamps] = []
    for i in range(len(refined)):
        refined[i], alone = _fitted_alone(refined, i, empty, maker)
        stamps.append(_Stamps.of(alone, place_of(refined[i]), empty.fwhm_px))
    if refined:
        empty = maker.scene(refined)
    places = [place_of(fit) for fit in refined]
    labels = source_labels(empty.side, places, LABEL_FWHM * empty.fwhm_px)
    profiles = [radial_profile(image, labels) for image in empty.images]
    sources = []
    for i, fit in enumerate(refined):
        others = [place for j, place in enumerate(places) if j != i]
        covariance = fit_covariance(fit, empty.images, profiles, empty.fwhm_px, others)
        covariance = covariance + _calibration_covariance(fit, empty)
        found = levels(stamps[i].on(empty), empty, places, places[i])
        sources.append(Source(fit, covariance, found))
    return sorted(sources, key=lambda source: -source.snr), empty


def fitted_again(fits: Sequence[Fit], empty: Scene, maker: SceneMaker) -> tuple[list[Fit], Scene]:
    """Fit every source with all others absent; `characterised` without errors and S/N."""
    refined = list(fits)
    for i in range(len(refined)):
        refined[i], _ = _fitted_alone(refined, i, empty, maker)
    return refined, maker.scene(refined)


def _fitted_alone(
    fits: Sequence[Fit], number: int, empty: Scene, maker: SceneMaker
) -> tuple[Fit, tuple[Reduction, ...]]:
    """Fit one source with all others absent; the reductions that hold it alone go with it."""
    alone = maker.reductions([fit for i, fit in enumerate(fits) if i != number])
    return _refined(fits[number], alone, empty, [place_of(fit) for fit in fits]), alone


def _refined(fit: Fit, alone: Sequence[Reduction], empty: Scene, places: Sequence[Place]) -> Fit:
    labels = source_labels(empty.side, places, PROFILE_FWHM * empty.fwhm_px)
    profiles = [radial_profile(image, labels) for image in empty.images]
    noise = noise_at(empty, place_of(fit), labels)
    better = fit_source(alone, profiles, noise, place_of(fit), fit.contrast)
    return better if is_sound(better) else fit


def place_of(fit: Fit) -> Place:
    """Offset of a fitted source from the star [image px]."""
    return (fit.dx_px, fit.dy_px)


def is_sound(fit: Fit) -> bool:
    """Whether a fit has found a source."""
    return fit.converged and fit.explains


def levels(with_it: Scene, without: Scene, places: Sequence[Place], place: Place) -> Floats:
    """S/N of a source in the stack and in each channel, or in the only channel.

    Parameters
    ----------
    with_it, without : Scene
        With and without the source; the channels are weighted as in the second.
    places : sequence of (float, float)
        Places of all sources, which are left out of the rings.
    place : (float, float)
        That of the source.

    Returns
    -------
    array of float64, shape (n_view,)
        Minus infinity where it cannot be told.
    """
    found = []
    views = replace(with_it, weights=without.weights).views()
    for (image, fwhm), (clean, _) in zip(views, without.views(), strict=True):
        labels = source_labels(clean.shape[0], places, LABEL_FWHM * fwhm)
        found.append(snr_against(image, aperture_map(clean, fwhm, labels), place)[1])
    return np.where(np.isfinite(found), found, -np.inf)


def excess(found: Floats, threshold: float) -> float:
    """By how much the S/N of a source exceeds what is asked of stack or channel, at best."""
    asked = np.full(found.size, threshold)
    asked[1:] += channel_extra(threshold, found.size - 1) if found.size > 1 else 0.0
    return float((found - asked).max())


def channel_extra(threshold: float, n_channel: int) -> float:
    """S/N that is asked of a peak of one channel beyond the threshold of the stack."""
    chance = norm.sf(threshold) * _CHANNEL_SHARE / n_channel
    return float(norm.isf(chance) - threshold)


def noise_at(scene: Scene, place: Place, labels: NDArray[np.int32]) -> Floats:
    """Ring noise of each channel at a place; 1 where it cannot be measured."""
    noise = []
    for image, width in zip(scene.images, scene.widths_px, strict=True):
        apertures = aperture_map(image, float(width), labels)
        noise.append(ring_noise(apertures, [np.hypot(*place)])[0][0])
    found = np.array(noise)
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


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
        return replace(empty, images=np.stack(images))


def _calibration_covariance(fit: Fit, scene: Scene) -> Floats:
    """Errors that the image does not show: centre of the star, scatter of the PSF."""
    centre = float(np.mean([channel.centre_err_px for channel in scene.channels])) ** 2
    flux = (fit.contrast * np.array([channel.star.scatter for channel in scene.channels])) ** 2
    return np.diag(np.concatenate([[centre, centre], flux]))
