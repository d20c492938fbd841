"""Strehl ratio of a star beside the mask, and what telemetry says of it elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.filters import Band
from spheredc_hpc.kernels.airy import airy_enclosed, airy_peak
from spheredc_hpc.level1.io import Floats, Image, Mask

WAVELENGTHS = 7
# Share of the pixels of a one-pixel ring that must be there, and that counts as all; within the
# steep core of the star all must be.
LEAST_COVERED, FULLY_COVERED, STEEP_PX = 0.3, 0.8, 12
RINGS, LEAST_RING_PX = 8, 200
HALO_POWER = -11 / 3


class StrehlSettings(Section):
    """How the Strehl ratio of a star is measured."""

    radius_mas: float = Field(
        900.0, gt=100, description="Radius within which the light of the star is summed [mas]."
    )
    ring_mas: float = Field(
        1500.0,
        gt=100,
        description="Outer radius of the ring that tells background and halo apart [mas].",
    )


@dataclass(frozen=True)
class Diffraction:
    """Undisturbed image of a star in one band, on square pixels.

    Attributes
    ----------
    peak : float
        Share of the light in the pixel of the star.
    light : float
        Its whole light, measured as that of stars (see `_whole_light`); 1 to a percent.
    radius_px, ring_px : float
    """

    peak: float
    light: float
    radius_px: float
    ring_px: float

    @classmethod
    def of(
        cls,
        band: Band,
        resolution_px: float,
        scale_mas: float,
        constants: Constants,
        settings: StrehlSettings,
    ) -> Diffraction:
        """Compute it for the telescope: an annulus; spiders take the same from peak and core."""
        blocked = constants.value("telescope_obscuration_m") / constants.value(
            "telescope_diameter_m"
        )
        spread = np.linspace(-0.5, 0.5, WAVELENGTHS) * band.bandwidth_um / band.wavelength_um
        each = (resolution_px * (1 + spread)).tolist()
        radius, ring = settings.radius_mas / scale_mas, settings.ring_mas / scale_mas
        edges = _edges(radius, ring)
        enclosed = airy_enclosed(edges, each, blocked)
        profile = np.diff(enclosed) / (np.pi * np.diff(edges**2))
        level, halo, _ = _level_and_halo(edges, profile)
        light = float(enclosed[0]) - np.pi * radius**2 * level + _beyond(radius, halo)
        return cls(airy_peak(each, blocked), float(light), radius, ring)


def _edges(radius_px: float, ring_px: float) -> Floats:
    """Borders of the narrow rings in which background and halo are told apart [px]."""
    return np.linspace(radius_px, ring_px, RINGS + 1)


def _level_and_halo(edges: Floats, profile: Floats) -> tuple[float, float, Floats]:
    """Fit a level and a halo to means of rings, of equal weight.

    The halo falls as radius^(-11/3) outside of the control radius, as the spectrum of the phases
    that are left does (Kolmogorov). Gives both, the halo at the inner edge and never below zero,
    and their covariance by the scatter.
    """
    middle = (edges[1:] + edges[:-1]) / 2
    design = np.stack([np.ones_like(middle), (middle / edges[0]) ** HALO_POWER], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    level, halo = inverse @ (design.T @ profile)
    if halo < 0:
        level, halo = float(np.mean(profile)), 0.0
    scatter = profile - design @ [level, halo]
    covariance = inverse * float(np.sum(scatter**2)) / max(len(profile) - 2, 1)
    return float(level), float(halo), covariance


def _beyond(radius_px: float, halo: float) -> float:
    """Light of the halo outside of a radius, where it has the value `halo`."""
    return float(2 * np.pi * radius_px**2 * halo / -(HALO_POWER + 2))


def strehl_ratio(
    image: Image,
    good: Mask,
    xy: tuple[float, float],
    scale_xy: tuple[float, float],
    peak: float,
    ideal: Diffraction,
) -> tuple[float, float]:
    """Compare the peak of a star with that of an undisturbed image of as much light.

    Parameters
    ----------
    image : array
        Clean counts of the detector.
    good : array of bool
        Pixels to use.
    xy : (float, float)
        Star [px].
    scale_xy : (float, float)
        True lengths per pixel along x and y, in pixels of x.
    peak : float
        Counts of a pixel whose middle is the star, after the anamorphism was removed.
    ideal : Diffraction

    Returns
    -------
    ratio, error : float
        The light is summed within a radius above the background; beyond it is that of the halo
        fitted to the ring. The error holds the noise, the scatter of the ring about that fit, and
        a third of the light beyond. NaN if the radius is not covered.
    """
    rows, columns = np.indices(image.shape)
    radius = np.hypot((columns - xy[0]) * scale_xy[0], (rows - xy[1]) * scale_xy[1])
    edges = _edges(ideal.radius_px, ideal.ring_px)
    good = good & np.isfinite(image)
    rings = [image[good & (radius >= a) & (radius < b)] for a, b in itertools.pairwise(edges)]
    if min(len(ring) for ring in rings) < LEAST_RING_PX:
        return float("nan"), float("nan")
    level, halo, covariance = _level_and_halo(edges, np.array([np.median(r) for r in rings]))
    noise = 1.4826 * float(np.median([np.median(np.abs(r - np.median(r))) for r in rings]))
    near = (radius <= ideal.radius_px) & np.isfinite(image)
    shape = float(np.prod(scale_xy))
    inside, whole = _light(image[near] - level, radius[near], ideal.radius_px, shape)
    beyond = _beyond(ideal.radius_px, halo) / shape
    total = inside + beyond
    if not total > 0 or not peak > level:
        return float("nan"), float("nan")
    # Peak and sum are both per pixel of the detector, whatever its area on the sky; the pixel of
    # the undisturbed image is as wide as long.
    ratio = (peak - level) / (ideal.peak * shape) * ideal.light / total
    slope = np.array([-whole, _beyond(ideal.radius_px, 1.0) / shape])
    variance = float(slope @ covariance @ slope) + whole * noise**2 + (beyond / 3) ** 2
    return ratio, float(ratio * np.hypot(np.sqrt(variance) / total, noise / peak))


def _light(values: Floats, radius: Floats, reach_px: float, area: float) -> tuple[float, float]:
    """Sum of the values within a radius and the pixels there; what lies off the edge is filled.

    `area` is that of a pixel in the unit of the radius. Rings that the image holds in part count
    as if the rest were like it; NaN if most is missing.
    """
    place = np.minimum(radius.astype(int), int(reach_px))
    count = int(reach_px) + 1
    there = np.bincount(place, minlength=count)
    outer = np.minimum(np.arange(count) + 1.0, reach_px)
    expected = np.pi * np.diff(outer**2, prepend=0.0) / area
    sums = np.bincount(place, values, minlength=count)
    if np.any(there[STEEP_PX:] < LEAST_COVERED * expected[STEEP_PX:]):
        return float("nan"), float("nan")
    partly = there < FULLY_COVERED * expected
    if np.any(partly[:STEEP_PX] & (np.arange(STEEP_PX) > 2)):
        return float("nan"), float("nan")
    fill = np.where(partly & (np.arange(count) >= STEEP_PX), expected / np.maximum(there, 1), 1.0)
    return float(np.sum(sums * fill)), float(np.sum(expected))


def marechal(strehl: Floats, from_um: float, to_um: float) -> Floats:
    """Bring Strehl ratios to another wavelength: ``exp(-s2)`` with ``s2`` as 1 / wavelength^2."""
    exponent = (from_um / to_um) ** 2
    return np.asarray(np.power(np.asarray(strehl, dtype=np.float64), exponent))


def carried(
    flux: Floats, science: Floats, bands: Sequence[Band], constants: Constants
) -> dict[str, Any]:
    """Say how the Strehl ratio differed between FLUX and science, by telemetry.

    Parameters
    ----------
    flux, science : array, shape (n,)
        Strehl ratios of the telemetry; NaN without.
    bands : sequence of Band
    constants : Constants

    Returns
    -------
    dict
        ``flux``, ``science``: medians at the wavelength of the telemetry; ``factor`` by which
        the peaks of science exceed those of FLUX in each band, and its error ``factor_err``, from
        the scatter of both. None without telemetry in either.
    """
    reference = constants.value("telemetry_strehl_wavelength_um")
    sides = [values[np.isfinite(values)] for values in (flux, science)]
    if not all(len(side) for side in sides):
        return {"flux": None, "science": None, "factor": None, "factor_err": None}
    factors, errors = [], []
    for band in bands:
        here = [marechal(side, reference, band.wavelength_um) for side in sides]
        means = [float(np.mean(side)) for side in here]
        scatter = [
            float(np.std(side, ddof=1) / np.sqrt(len(side))) / mean if len(side) > 1 else 0.05
            for side, mean in zip(here, means, strict=True)
        ]
        factors.append(means[1] / means[0])
        errors.append(factors[-1] * float(np.hypot(scatter[0], scatter[1])))
    medians = [float(np.median(side)) for side in sides]
    return {"flux": medians[0], "science": medians[1], "factor": factors, "factor_err": errors}


def scale_errors(quality: dict[str, Any], transfer: dict[str, Any]) -> list[float]:
    """Relative error of the scale of contrasts in each channel, from what changed meanwhile.

    Half of the difference between FLUX files (transparency), the scatter of their integrations
    over the root of their number, and how far the factor of `carried` is from 1: the scale is not
    corrected for it, since telemetry sees neither quasi-static aberrations nor the sky.
    """
    n = max(int(quality["frames"]), 1)
    factors = transfer["factor"] or [1.0] * len(quality["flux_rms"])
    return [
        float(np.sqrt((quality["change"] / 2) ** 2 + rms**2 / n + (factor - 1) ** 2))
        for rms, factor in zip(quality["flux_rms"], factors, strict=True)
    ]
