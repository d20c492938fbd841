"""Contrast curves by this package: as it measures them, and with VIP's definitions."""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_filter

from anchors.inputs import Input
from anchors.job import Arrays, Job
from anchors.ours_method import INNER_PX, channels, method_of, ring_settings
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.inject import Rotation, add_companion
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2.contrast import contrast_curves
from spheredc_hpc.level2.engine import Companion, Method, Reduction
from spheredc_hpc.level2.limits import Rings, measure_limits
from spheredc_hpc.level2.scene import scene_of
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.spectrum import CompanionSpectrum
from spheredc_hpc.level2.throughput import Injection

BRANCHES = 3


def _annular(data: Input) -> tuple[Channel, Method, np.ndarray]:
    """Annular PCA as VIP's contrast curve runs it, and radii a pixel apart."""
    settings, outer_px = ring_settings(data, round(data.fwhm_px))
    (channel,) = channels(data, INNER_PX, outer_px)
    method = method_of("pca", "median", "interpolated", {"n_modes": 5, **settings})
    return channel, method, np.arange(data.fwhm_px, outer_px - data.fwhm_px)


def _curve(radius: np.ndarray, contrast: np.ndarray) -> Arrays:
    return {"radius_px": radius, "gaussian": contrast[0], "student": contrast[1]}


def contrast(data: Input, threads: int) -> Job:
    """Noise on rings and the throughput of companions that stand alone."""
    channel, method, radius = _annular(data)
    star = CompanionSpectrum("star", np.ones(1))

    def run() -> Arrays:
        with worker_threads(threads):
            empty = scene_of([Reduction(channel, method)])
            rings = Rings.of(empty, (), radius * data.scale_mas)
            asked = Injection(branches=BRANCHES)
            limits = measure_limits(empty, rings, star, np.ones(radius.size), asked)
        return _curve(radius, limits.contrast[:, 0])

    return Job(run)


def contrast_crowded(data: Input, threads: int) -> Job:
    """Contrast with VIP's definitions.

    Companions of 100 times the noise stand on a line, every third pixel, three such patterns one
    after the other on each branch; they take part in the model of the star and see each other.
    The noise is that of `_open_rings`.
    """
    channel, method, radius = _annular(data)

    def run() -> Arrays:
        with worker_threads(threads):
            empty = Reduction(channel, method)
            image = np.nan_to_num(empty.image())  # theirs is zero where it has no value
            noise = _open_rings(image, radius, data.fwhm_px)
            flux = 100 * noise / data.star_flux
            turns = 2 * np.pi * np.arange(BRANCHES) / BRANCHES
            branches = [_crowded(empty, image, radius, flux, turn) for turn in turns]
        elements = np.rint(2 * np.pi * radius / data.fwhm_px)
        throughput, seen = np.mean(branches, axis=0), np.ones(radius.size)
        return _curve(radius, contrast_curves(noise, elements, data.star_flux, throughput, seen))

    return Job(run)


def _open_rings(image: np.ndarray, radius: np.ndarray, fwhm_px: float) -> np.ndarray:
    """Scatter of apertures one FWHM of arc apart, as many as fit, smoothed over two FWHM."""
    middle, found = image.shape[0] // 2, []
    for r in radius:
        angles = np.arange(int(2 * np.pi * r / fwhm_px)) * fwhm_px / r
        places = zip(middle + r * np.cos(angles), middle + r * np.sin(angles), strict=True)
        found.append(np.std([aperture_sum(image, x, y, fwhm_px / 2) for x, y in places]))
    window = int(2 * fwhm_px) // 2 * 2 + 1
    return savgol_filter(found, window, 2, mode="nearest")


def _crowded(
    empty: Reduction, image: np.ndarray, radius: np.ndarray, contrast: np.ndarray, angle: float
) -> np.ndarray:
    """Flux found over flux put in, at each radius of one branch."""
    star, middle = empty.channel.star, image.shape[0] // 2
    throughput = np.empty(radius.size)
    still = Rotation(*(np.zeros(1),) * 3)
    for first in range(3):
        pick = np.arange(first, radius.size, 3)
        offsets = [(r * np.cos(angle), r * np.sin(angle)) for r in radius[pick]]
        added = [Companion(*xy, c) for xy, c in zip(offsets, contrast[pick], strict=True)]
        found = np.nan_to_num(Reduction(empty.rows, empty.method, added).image()) - image
        truth = np.zeros((1, *image.shape), np.float32)
        for xy, factor in zip(offsets, contrast[pick], strict=True):
            add_companion(truth, star.stamp, xy, still, factor)
        for k, (dx, dy) in zip(pick, offsets, strict=True):
            place = (middle + dx, middle + dy, star.fwhm_px / 2)
            throughput[k] = aperture_sum(found, *place) / aperture_sum(truth[0], *place)
    return throughput
