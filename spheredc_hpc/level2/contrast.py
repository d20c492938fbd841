"""Contrast that a companion needs to stand out of the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.snr import aperture_map, ring_noise, small_sample_threshold
from spheredc_hpc.level2.engine import Frames

Floats = NDArray[np.float64]

# Significance of the curves.
SIGMA = 5.0
# Below this throughput or transmission of the coronagraph no contrast is given.
MIN_THROUGHPUT = 0.01
MIN_TRANSMISSION = 0.1


def noise_curve(
    image: Frames, fwhm_px: float, radii_px: Floats, labels: NDArray[np.int32] | None = None
) -> tuple[Floats, Floats]:
    """Scatter of apertures of one FWHM along rings, and how many fit on each.

    Parameters
    ----------
    image : array, shape (y, x)
        Final image without its sources, NaN where not valid.
    fwhm_px : float
        Diameter of the apertures [px].
    radii_px : array, shape (n,)
        Radii of the rings [px].
    labels : array of int32, optional
        Non-zero where a source was: left out.

    Returns
    -------
    noise, elements : array of float64, shape (n,)
        Scatter, NaN where the ring is too short, and number of apertures.
    """
    return ring_noise(aperture_map(image, fwhm_px, labels), radii_px)


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
        `MIN_THROUGHPUT` or transmission below `MIN_TRANSMISSION`.

    Notes
    -----
    Mawet et al. (2014), ApJ 792, 97, section 4: the second curve has the false-alarm
    probability of 5 sigma on rings with few independent elements.
    """
    good = (throughput >= MIN_THROUGHPUT) & (transmission >= MIN_TRANSMISSION)
    scale = np.where(good, throughput * transmission, np.nan) * star_flux
    one_sigma = noise / scale
    return np.stack([SIGMA * one_sigma, small_sample_threshold(SIGMA, elements) * one_sigma])
