"""How often noise alone reaches a threshold somewhere on an S/N map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.polar import radius_map, touching_apertures

Floats = NDArray[np.float64]

# Roughness of aperture sums of white noise, and of noise with the grain of the PSF.
ROUGHNESS_WHITE = 6.5
ROUGHNESS_GRAIN = 2.0
# Below this threshold peaks of noise merge and cannot be counted.
LEAST_THRESHOLD = 2.0
# Rings nearer than this have too few elements to tell the roughness, in FWHM.
_ROUGHNESS_FROM_FWHM = 2.0
_RADII = 256
_SPAN = 8.0
# Beyond this S/N, probabilities are below what a float can hold.
_HIGHEST = 30.0


@dataclass(frozen=True)
class SearchArea:
    """Annulus of an S/N map whose maximum is asked for.

    Attributes
    ----------
    inner_px, outer_px : float
        Radii [px]; nothing within one FWHM can be searched.
    fwhm_px : float
        Diameter of the apertures [px].
    roughness : float
        Mean squared slope of the map times ``fwhm_px**2``, see `roughness`.
    """

    inner_px: float
    outer_px: float
    fwhm_px: float
    roughness: float = ROUGHNESS_WHITE

    @property
    def pixels(self) -> float:
        """Number of pixels of the annulus."""
        return float(np.pi * (self.outer_px**2 - self.first_px**2))

    @property
    def first_px(self) -> float:
        """Radius from which on there is a ring of apertures [px]."""
        return max(self.inner_px, self.fwhm_px)


def roughness(gaussian: NDArray[np.floating], fwhm_px: float) -> float:
    """Mean squared slope of an S/N map, in units of one FWHM.

    Parameters
    ----------
    gaussian : array, shape (y, x)
        Gaussian-equivalent S/N of noise, NaN where not valid.
    fwhm_px : float
        Diameter of its apertures [px].

    Returns
    -------
    float
        About `ROUGHNESS_GRAIN` where noise has the grain of the PSF, `ROUGHNESS_WHITE` where
        it is white (for a FWHM of 4 px). Smoother noise has fewer chances of a high maximum.

    Raises
    ------
    DataError
        If no two neighbouring pixels beyond two FWHM are valid.
    """
    far = radius_map((gaussian.shape[0], gaussian.shape[1])) >= _ROUGHNESS_FROM_FWHM * fwhm_px
    used = np.where(far, gaussian, np.nan).astype(np.float64)
    steps = np.concatenate([np.diff(used, axis=axis).ravel() for axis in (0, 1)])
    steps = steps[np.isfinite(steps)]
    if steps.size == 0:
        raise DataError("S/N map without two neighbouring pixels beyond two FWHM")
    return float(np.mean(steps**2)) * fwhm_px**2


def expected_peaks(threshold: float, area: SearchArea) -> float:
    """Mean number of separate peaks of noise above a threshold.

    Parameters
    ----------
    threshold : float
        Gaussian-equivalent S/N, at least 2.
    area : SearchArea
        What is searched.

    Returns
    -------
    float
        0 where the annulus is empty.

    Raises
    ------
    DataError
        If the threshold is below 2, where peaks merge and cannot be counted.

    Notes
    -----
    Mean Euler characteristic of the excursions of a field of Student's t (Worsley 1994, Adv. Appl.
    Prob. 26, 13; Worsley et al. 1996, Human Brain Mapping 4, 58) with as many degrees of
    freedom as the ring at each radius has, as the noise of each ring is estimated from few
    apertures. Sampling by pixels misses the tops of rough noise: a factor from the same count
    on a lattice (Worsley 2005, Statistical Applications in Genetics 4, "discrete local
    maxima"). Never more than pixels times probability.
    """
    if threshold < LEAST_THRESHOLD:
        raise DataError(f"peaks above {threshold} merge: threshold of at least 2 wanted")
    if area.outer_px <= area.first_px:
        return 0.0
    threshold = min(threshold, _HIGHEST)
    radii = np.linspace(area.first_px, area.outer_px, _RADII)
    freedom = np.array([touching_apertures(float(r), area.fwhm_px)[0] - 2.0 for r in radii])
    slope = area.roughness / area.fwhm_px**2
    surface, edge = _student_densities(threshold, freedom, slope)
    total = np.trapezoid(2 * np.pi * radii * surface, radii)
    total += np.pi * (radii[0] * edge[0] + radii[-1] * edge[-1])
    single = float(special.ndtr(-threshold))
    return float(min(total * _lattice_factor(threshold, slope), area.pixels * single))


def false_alarm_of_maximum(threshold: float, area: SearchArea) -> float:
    """Probability that noise alone exceeds a threshold anywhere on an S/N map.

    Parameters
    ----------
    threshold : float
        Gaussian-equivalent S/N, at least 2.
    area : SearchArea
        What is searched.

    Returns
    -------
    float
        Between 0 and 1. Peaks come independently, so it is ``1 - exp(-expected_peaks)``.
    """
    return float(-np.expm1(-expected_peaks(threshold, area)))


def effective_trials(threshold: float, area: SearchArea) -> float:
    """Independent places that would give the same false-alarm probability.

    It grows with the threshold: a higher peak is a smaller one.
    """
    return expected_peaks(threshold, area) / float(special.ndtr(-threshold))


def threshold_of_maximum(probability: float, area: SearchArea) -> float:
    """S/N that the maximum of a map of noise exceeds with a given probability.

    Parameters
    ----------
    probability : float
        Between 1e-12 and 0.5.
    area : SearchArea
        What is searched.

    Returns
    -------
    float
        At least 2, where the count of peaks begins to hold.
    """
    if not 1e-12 <= probability <= 0.5:
        raise DataError(f"probability {probability}, between 1e-12 and 0.5 wanted")
    wanted = -np.log1p(-probability)
    if expected_peaks(LEAST_THRESHOLD, area) <= wanted:
        return LEAST_THRESHOLD
    found = optimize.brentq(
        lambda u: np.log(expected_peaks(u, area) / wanted), LEAST_THRESHOLD, 12.0
    )
    return float(found)


def _student_densities(threshold: float, freedom: Floats, slope: float) -> tuple[Floats, Floats]:
    """Peaks per px2 of surface and per px of edge of a t field, at a Gaussian threshold."""
    t = -special.stdtrit(freedom, special.ndtr(-threshold))
    fall = (1 + t * t / freedom) ** (-(freedom - 1) / 2)
    norm = np.exp(special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2))
    surface = slope * (2 * np.pi) ** -1.5 * norm / np.sqrt(freedom / 2) * t * fall
    return surface, np.sqrt(slope) / (2 * np.pi) * fall


def _lattice_factor(threshold: float, slope: float) -> float:
    """Share of the peaks of a continuous Gaussian field that its pixels see."""
    correlation = float(np.clip(1 - slope / 2, 1e-3, 1 - 1e-6))
    z = np.linspace(threshold, threshold + _SPAN, 2001)
    bell = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    on_pixels = np.trapezoid(_top_of_axis(z, correlation) ** 2 * bell, z)
    continuous = slope * (2 * np.pi) ** -1.5 * threshold * np.exp(-(threshold**2) / 2)
    return float(min(on_pixels / continuous, 1.0))


def _top_of_axis(z: Floats, correlation: float) -> Floats:
    """Probability that both neighbours along an axis are lower than a pixel of value `z`."""
    h = np.sqrt((1 - correlation) / (1 + correlation))
    alpha = np.arcsin(np.sqrt((1 - correlation**2) / 2))
    nodes, weights = np.polynomial.legendre.leggauss(24)
    angle = 0.5 * alpha * (nodes + 1)
    inner = np.exp(-0.5 * (h * z[:, None] / np.sin(angle)) ** 2) @ (0.5 * alpha * weights)
    return np.asarray(1 - 2 * special.ndtr(-h * z) + inner / np.pi)
