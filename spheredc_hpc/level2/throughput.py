"""Throughput by exact injection: the whole reduction, with companions and without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.polar import offset_from_sky
from spheredc_hpc.kernels.snr import aperture_map, ring_noise
from spheredc_hpc.level2.engine import Companion, Frames, Reduction

Floats = NDArray[np.float64]

# Azimuth from one injected companion to the next one outwards: neighbours stay apart.
_GOLDEN_ANGLE_DEG = 137.50776
# Throughput assumed when the brightness of injected companions is chosen.
_EXPECTED = 0.5


@dataclass(frozen=True)
class Throughput:
    """Surviving fraction of a companion's flux against radius.

    Attributes
    ----------
    radius_px : array of float64, shape (n,)
        Radii of the injected companions [px].
    branches : array of float64, shape (n_branch, n)
        Fraction measured at each azimuth; NaN where the aperture was not valid.
    """

    radius_px: Floats
    branches: Floats

    def at(self, radius_px: Floats) -> Floats:
        """Mean over the branches, interpolated monotonically; constant beyond the ends."""
        measured = np.isfinite(self.branches)
        count = measured.sum(axis=0)
        good = count > 0
        if not good.any():
            return np.full(np.shape(radius_px), np.nan)
        mean = np.where(measured, self.branches, 0.0).sum(axis=0)[good] / count[good]
        known = self.radius_px[good]
        clipped = np.clip(radius_px, known[0], known[-1])
        if known.size == 1:
            return np.full(np.shape(radius_px), mean[0])
        return np.asarray(PchipInterpolator(known, mean)(clipped))


def injection_radii(inner_px: float, outer_px: float, fwhm_px: float) -> Floats:
    """Radii of injected companions: a FWHM apart near the star, 0.25 radii further out."""
    radius, last = max(inner_px + fwhm_px, fwhm_px), outer_px - 0.5 * fwhm_px - 1
    radii = []
    while radius < last:
        radii.append(radius)
        radius += max(fwhm_px, 0.25 * radius)
    if last > fwhm_px and (not radii or last - radii[-1] > fwhm_px):
        radii.append(last)
    return np.array(radii)


def measure_throughput(
    reduction: Reduction, image: Frames, branches: int = 3, level: float = 5.0
) -> Throughput:
    """Inject companions at several radii and azimuths and reduce again.

    Parameters
    ----------
    reduction : Reduction
        One channel, its sources already removed.
    image : array, shape (y, x)
        Its final image.
    branches : int
        Azimuths; each is one full reduction, with all radii at once.
    level : float
        Brightness of the companions in units of the noise of the final image, before
        self-subtraction of about a half.

    Returns
    -------
    Throughput
        Of companions smeared over each integration, relative to the star's aperture flux: a
        loss by smearing counts. The coronagraph's transmission is not part of it.
    """
    channel, star = reduction.channel, reduction.channel.star
    radii = injection_radii(channel.inner_px, channel.outer_px, star.fwhm_px)
    result = np.full((branches, radii.size), np.nan)
    if radii.size == 0:
        return Throughput(np.array([star.fwhm_px]), np.full((branches, 1), np.nan))
    noise, _ = ring_noise(aperture_map(image, star.fwhm_px), radii)
    known = np.isfinite(noise) & (noise > 0)
    noise = np.interp(radii, radii[known], noise[known]) if known.any() else np.ones_like(radii)
    contrast = level * noise / (_EXPECTED * star.unit_flux)
    middle = image.shape[0] // 2
    for branch in range(branches):
        angle = np.arange(radii.size) * _GOLDEN_ANGLE_DEG + 360.0 * branch / branches
        dx, dy = offset_from_sky(radii, angle)
        added = [Companion(*values) for values in zip(dx, dy, contrast, strict=True)]
        changed = Reduction(channel, reduction.method, (*reduction.companions, *added))
        difference = changed.image() - image
        for k, companion in enumerate(added):
            found = aperture_sum(
                difference, middle + companion.dx_px, middle + companion.dy_px, star.fwhm_px / 2
            )
            result[branch, k] = found / (companion.contrast * star.unit_flux)
    return Throughput(radii, result)
