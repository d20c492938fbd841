"""Counts of what noise images show at fixed apertures and as maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spheredc_hpc.kernels.polar import radius_map, touching_apertures
from spheredc_hpc.level2.false_alarms import SearchArea, false_alarm_of_maximum, roughness
from spheredc_hpc.level2.snr import snr_maps


@dataclass
class Share:
    """A mean over seeds with its standard error, over what was predicted."""

    value: float
    error: float
    predicted: float = 1.0


def over_seeds(per_seed: np.ndarray, predicted: float = 1.0) -> Share:
    """Mean and its error from the scatter between seeds: apertures of a ring are not independent.

    An error is never below that of a single count.
    """
    error = np.std(per_seed, ddof=1) / np.sqrt(per_seed.size)
    return Share(float(np.mean(per_seed)), float(error), predicted)


def ring_places(radius_px: float, fwhm_px: float, middle: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels nearest to apertures side by side on a ring, from the positive x axis on."""
    count, step = touching_apertures(radius_px, fwhm_px)
    angle = step * np.arange(count)
    x, y = middle + radius_px * np.cos(angle), middle + radius_px * np.sin(angle)
    return np.rint(x).astype(int), np.rint(y).astype(int)


class Counts:
    """Collects Gaussian-equivalent S/N maps of noise.

    Parameters
    ----------
    fwhm_px : float
        Diameter of the apertures.
    radii_fwhm : sequence of float
        Rings whose apertures are looked at.
    zones_fwhm : sequence of (float, float)
        Annuli whose maxima are looked at.
    """

    def __init__(self, fwhm_px, radii_fwhm, zones_fwhm):
        self.fwhm_px = fwhm_px
        self.radii = list(radii_fwhm)
        self.zones = list(zones_fwhm)
        self.rings = {r: [] for r in self.radii}
        self.maxima = {z: [] for z in self.zones}
        self.rough = []

    def add(self, image: np.ndarray) -> None:
        """Take the map of one image in."""
        gaussian = snr_maps(image, self.fwhm_px).gaussian
        middle, distance = image.shape[0] // 2, radius_map(image.shape)
        self.rough.append(roughness(gaussian, self.fwhm_px))
        for r, values in self.rings.items():
            x, y = ring_places(r * self.fwhm_px, self.fwhm_px, middle)
            values.append(gaussian[y, x])
        for (inner, outer), maxima in self.maxima.items():
            zone = (distance >= inner * self.fwhm_px) & (distance <= outer * self.fwhm_px)
            maxima.append(np.nanmax(gaussian[zone]))

    def variance(self, radius: float) -> Share:
        """Mean square of the apertures of a ring; 1 is predicted."""
        return over_seeds(np.array([np.mean(v**2) for v in self.rings[radius]]))

    def rate(self, radius: float, threshold: float) -> Share:
        """Share of the apertures of a ring above a threshold, over the Gaussian tail."""
        tail = stats.norm.sf(threshold)
        above = np.array([np.mean(v > threshold) for v in self.rings[radius]]) / tail
        share = over_seeds(above)
        least = 1 / (tail * len(above) * self.rings[radius][0].size)
        return Share(share.value, max(share.error, least))

    def maximum(self, zone: tuple[float, float], threshold: float) -> Share:
        """Share of the maps whose maximum in a zone is above a threshold."""
        hit = np.mean(np.array(self.maxima[zone]) > threshold)
        count = len(self.maxima[zone])
        area = SearchArea(
            zone[0] * self.fwhm_px, zone[1] * self.fwhm_px, self.fwhm_px, np.mean(self.rough)
        )
        predicted = false_alarm_of_maximum(threshold, area)
        error = np.sqrt(max(predicted * (1 - predicted), hit * (1 - hit), 1 / count) / count)
        return Share(float(hit), float(error), predicted)
