"""Contrast that a companion needs to stand out of the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from spheredc_hpc.kernels.polar import touching_apertures
from spheredc_hpc.kernels.snr import aperture_map, ring_noise, small_sample_threshold
from spheredc_hpc.level2.engine import Frames

Floats = NDArray[np.float64]

# Significance of the curves.
SIGMA = 5.0
# Below this throughput or transmission of the coronagraph no contrast is given.
MIN_THROUGHPUT = 0.01
MIN_TRANSMISSION = 0.1


def noise_curve(
    image: Frames,
    fwhm_px: float,
    radii_px: Floats,
    labels: NDArray[np.int32] | None = None,
    phases: int = 8,
) -> tuple[Floats, Floats]:
    """Scatter of apertures of one FWHM along rings, and the elements of each ring.

    Parameters
    ----------
    image : array, shape (y, x)
        Final image without its sources, NaN where not valid.
    fwhm_px : float
        Diameter of the apertures [px].
    radii_px : array, shape (n,)
        Radii of the rings, in equal steps of at most one pixel [px].
    labels : array of int32, optional
        Non-zero where a source was: left out.
    phases : int
        Starting angles of the apertures over which the variance is averaged.

    Returns
    -------
    noise, elements : array of float64, shape (n,)
        Scatter, NaN where the ring is too short, and number of independent elements
        ``2 pi r / FWHM`` (not rounded, so that curves have no steps), less those masked.

    Notes
    -----
    The logarithm of the scatter is smoothed by a parabola over two FWHM of radius: a ring of
    `n` elements alone knows its scatter to ``1 / sqrt(2 n)`` only.
    """
    noise, fitting = ring_noise(aperture_map(image, fwhm_px, labels), radii_px, phases)
    most = np.array([touching_apertures(radius, fwhm_px)[0] for radius in radii_px])
    elements = 2 * np.pi * radii_px / fwhm_px * fitting / most
    known = np.flatnonzero(np.isfinite(noise) & (noise > 0))
    step = float(np.median(np.diff(radii_px))) if radii_px.size > 1 else 1.0
    window = int(2 * fwhm_px / step) // 2 * 2 + 1
    if known.size > window > 3 and known[-1] - known[0] + 1 == known.size:
        noise[known] = np.exp(savgol_filter(np.log(noise[known]), window, 2, mode="nearest"))
    return noise, elements


def contrast_curves(
    noise: Floats, elements: Floats, star_flux: float, throughput: Floats, transmission: Floats
) -> Floats:
    """5-sigma contrast with Gaussian and with small-sample statistics.

    Parameters
    ----------
    noise, elements : array, shape (n,)
        From `noise_curve`; unit of `star_flux`.
    star_flux : float
        Star in an aperture of one FWHM.
    throughput : array, shape (n,)
        Of the algorithm, self-subtraction and smearing.
    transmission : array, shape (n,)
        Of the coronagraph.

    Returns
    -------
    array of float64, shape (2, n)
        Companion to star flux ratio: Gaussian, then Student. NaN where throughput is below
        `MIN_THROUGHPUT`, transmission below `MIN_TRANSMISSION`, or there is no noise.

    Notes
    -----
    Mawet et al. (2014), ApJ 792, 97, section 4: the second curve has the false-alarm
    probability of 5 sigma on rings with few independent elements.
    """
    good = (throughput >= MIN_THROUGHPUT) & (transmission >= MIN_TRANSMISSION) & (noise > 0)
    scale = np.where(good, throughput * transmission, np.nan) * star_flux
    one_sigma = noise / scale
    return np.stack([SIGMA * one_sigma, small_sample_threshold(SIGMA, elements) * one_sigma])
