"""Zones: which pixels are subtracted together and which pixels fit the coefficients.

A zone has subtraction pixels, which get the residual, and optimisation pixels, over which the
Gram matrix is summed. The star stands on pixel ``(n // 2, n // 2)``; azimuth counts from the +x
axis counter-clockwise, y up.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spheredc_hpc.config.base import Section
from spheredc_hpc.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A last annulus narrower than this share of the others is merged into its neighbour.
_LEAST_SHARE = 0.5


class ZoneSettings(Section):
    """How the field is cut into zones."""

    annulus_fwhm: float | None = Field(
        None, gt=0, description="Width of the subtraction annuli [FWHM]; null: one zone."
    )
    annuli: int | None = Field(
        None, ge=1, description="Equal annuli from inner to outer radius, instead of a width."
    )
    sectors: int = Field(1, ge=1, description="Equal sectors of each annulus, at least.")
    sector_area: float | None = Field(
        None, gt=0, description="Area of a zone aimed at [PSF cores]: more sectors further out."
    )
    first_sector_deg: float = Field(
        0.0, description="Azimuth of the first edge, from +x counter-clockwise [deg]."
    )
    optimisation_area: float | None = Field(
        None,
        gt=0,
        description="LOCI: area of the optimisation zone about each subtraction zone [PSF cores].",
    )
    radial_ratio: float = Field(
        1.0, gt=0, description="LOCI: radial over azimuthal extent of the optimisation zone."
    )
    optimisation_fwhm: float | None = Field(
        None,
        gt=0,
        description="TLOCI: width of the optimisation annuli on both sides [FWHM]; the "
        "subtraction annulus is left out.",
    )
    gap_fwhm: float = Field(
        1.0, ge=0, description="TLOCI: gap between subtraction and optimisation pixels [FWHM]."
    )

    @model_validator(mode="before")
    @classmethod
    def _number_instead_of_width(cls, values: Any) -> Any:
        """Let a number of annuli take the place of a method's default width."""
        given = isinstance(values, dict) and values.get("annuli") is not None
        if given and "annulus_fwhm" not in values:
            return {**values, "annulus_fwhm": None}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> ZoneSettings:
        if self.annulus_fwhm is not None and self.annuli is not None:
            raise ValueError("annulus_fwhm and annuli exclude each other")
        if self.optimisation_area is not None and self.optimisation_fwhm is not None:
            raise ValueError("optimisation_area and optimisation_fwhm exclude each other")
        whole = self.annulus_fwhm is None and self.annuli is None
        if whole and self.optimisation_fwhm is not None:
            raise ValueError("optimisation_fwhm needs annuli (annulus_fwhm or annuli)")
        if whole and self.optimisation_area is not None:
            raise ValueError("optimisation_area needs annuli (annulus_fwhm or annuli)")
        return self


@dataclass(frozen=True)
class Zone:
    """Pixels of one zone.

    Attributes
    ----------
    subtraction, optimisation : array of int64
        Flat pixel indices, rising.
    radius_px : float
        Middle of the annulus: where a companion of the zone is taken to stand [px].
    inner_px, outer_px : float
        Radii of the subtraction annulus [px].
    """

    subtraction: Indices
    optimisation: Indices
    radius_px: float
    inner_px: float
    outer_px: float


@dataclass(frozen=True)
class _Polar:
    """Polar coordinates of the pixels of a square, flat."""

    radius: Floats
    azimuth: Floats

    @classmethod
    def of(cls, shape: tuple[int, ...], first_deg: float) -> _Polar:
        y, x = np.indices(shape, np.float64)
        y, x = (y - shape[0] // 2).ravel(), (x - shape[1] // 2).ravel()
        azimuth = np.mod(np.arctan2(y, x) - np.deg2rad(first_deg), 2 * np.pi)
        # A negative round-off turns into a full circle: that is the first edge.
        return cls(np.hypot(x, y), np.where(azimuth >= 2 * np.pi, 0.0, azimuth))

    def sector(self, number: int) -> Indices:
        """Which of `number` equal sectors each pixel is in; edges belong to the next one."""
        # Pixels on an edge must not fall to either side of it by round-off.
        place = self.azimuth * number / (2 * np.pi)
        return np.asarray(np.floor(place + 1e-9), np.int64) % number


def annulus_edges(
    inner_px: float, outer_px: float, fwhm_px: float, settings: ZoneSettings
) -> Floats:
    """Radii between which the subtraction annuli lie.

    Parameters
    ----------
    inner_px, outer_px : float
        Radii of the field [px].
    fwhm_px : float
        Width of the PSF [px].
    settings : ZoneSettings
        Width or number of annuli.

    Returns
    -------
    array of float64, shape (n_annulus + 1,)
        From inner to outer radius. A last annulus of less than half the width is merged into
        the one before.
    """
    if settings.annuli is not None:
        return np.linspace(inner_px, outer_px, settings.annuli + 1)
    if settings.annulus_fwhm is None:
        return np.array([inner_px, outer_px], np.float64)
    width = settings.annulus_fwhm * fwhm_px
    number = max(1, int(np.floor((outer_px - inner_px) / width + _LEAST_SHARE)))
    edges = inner_px + width * np.arange(number + 1)
    edges[-1] = outer_px
    return np.asarray(edges, np.float64)


def zone_count(inner_px: float, outer_px: float, fwhm_px: float, settings: ZoneSettings) -> int:
    """Count the zones of a field without gaps; the parameters are those of `annulus_edges`."""
    edges = annulus_edges(inner_px, outer_px, fwhm_px, settings).tolist()
    return sum(_sector_count(low, high, fwhm_px, settings) for low, high in pairwise(edges))


def plan_zones(
    mask: Mask,
    inner_px: float,
    outer_px: float,
    fwhm_px: float,
    settings: ZoneSettings,
    applied: Mask | None = None,
) -> tuple[Zone, ...]:
    """Cut the field into zones.

    Parameters
    ----------
    mask : array of bool, shape (side, side)
        Pixels that may define coefficients: valid and within the radii.
    inner_px, outer_px : float
        Radii of the field [px].
    fwhm_px : float
        Width of the PSF [px].
    settings : ZoneSettings
        Shapes.
    applied : array of bool, shape (side, side), optional
        Pixels that get a residual; `mask` if absent. Those nearer than `inner_px` go with the
        first annulus, those beyond `outer_px` with the last.

    Returns
    -------
    tuple of Zone
        From the inside out, then by azimuth. Every pixel of `applied` is in exactly one
        subtraction set; zones without pixels are left out.

    Raises
    ------
    DataError
        If a zone has no optimisation pixel at any azimuth.
    """
    polar = _Polar.of(mask.shape, settings.first_sector_deg)
    wanted = (mask if applied is None else applied).ravel()
    edges = annulus_edges(inner_px, outer_px, fwhm_px, settings)
    ring = np.searchsorted(edges[1:-1], polar.radius, side="right")
    field = _Field(polar, mask.ravel(), inner_px, outer_px, fwhm_px)
    zones = []
    for number in range(edges.size - 1):
        low, high = float(edges[number]), float(edges[number + 1])
        members = wanted & (ring == number)
        count = _sector_count(low, high, fwhm_px, settings)
        sector = polar.sector(count)
        windows = _optimisation_radii(field, low, high, settings)
        for one in range(count):
            subtraction = np.flatnonzero(members & (sector == one))
            if not subtraction.size:
                continue
            optimisation = field.optimisation(windows, sector == one)
            zones.append(Zone(subtraction, optimisation, 0.5 * (low + high), low, high))
    return tuple(zones)


@dataclass(frozen=True)
class _Field:
    """Pixels from which optimisation zones are made."""

    polar: _Polar
    mask: Mask
    inner_px: float
    outer_px: float
    fwhm_px: float

    def optimisation(self, windows: list[tuple[float, float]], sector: Mask) -> Indices:
        """Find the valid pixels of radii and sector; of all azimuths where the sector has none."""
        radius = self.polar.radius
        near = np.zeros(radius.shape, bool)
        for low, high in windows:
            last = high >= self.outer_px
            near |= (radius >= low) & ((radius < high) | (last & (radius <= self.outer_px)))
        near &= self.mask
        pixels = np.flatnonzero(near & sector)
        if not pixels.size:
            pixels = np.flatnonzero(near)
        if not pixels.size:
            listed = ", ".join(f"{low:.1f} to {high:.1f} px" for low, high in windows) or "none"
            raise DataError(f"no valid pixel to optimise over (radii: {listed})")
        return np.asarray(pixels, np.int64)


def _sector_count(low_px: float, high_px: float, fwhm_px: float, settings: ZoneSettings) -> int:
    """Sectors of one annulus."""
    count = settings.sectors
    if settings.sector_area is not None:
        cores = 4 * (high_px**2 - low_px**2) / fwhm_px**2
        count = max(count, int(np.rint(cores / settings.sector_area)))
    if settings.optimisation_area is not None:
        count = max(count, int(np.rint(2 * np.pi / _loci_shape(low_px, fwhm_px, settings)[1])))
    return count


def _loci_shape(radius_px: float, fwhm_px: float, settings: ZoneSettings) -> tuple[float, float]:
    """Radial [px] and azimuthal [rad] extent of LOCI's optimisation zone.

    Notes
    -----
    Lafreniere et al. (2007), ApJ 660, 770, eqs. 1 and 2.
    """
    area, ratio = settings.optimisation_area or 0.0, settings.radial_ratio
    radial = float(np.sqrt(np.pi * ratio * area * fwhm_px**2 / 4))
    azimuthal = 1 / (ratio / 2 + 2 * radius_px / fwhm_px * np.sqrt(ratio / (np.pi * area)))
    return radial, float(min(azimuthal, 2 * np.pi))


def _optimisation_radii(
    field: _Field, low_px: float, high_px: float, settings: ZoneSettings
) -> list[tuple[float, float]]:
    """Radial windows of the optimisation pixels of one subtraction annulus [px]."""
    if settings.optimisation_area is not None:
        extent = max(_loci_shape(low_px, field.fwhm_px, settings)[0], high_px - low_px)
        # At the outer edge it reaches inwards, so that its extent stays what it should be.
        start = max(min(low_px, field.outer_px - extent), field.inner_px)
        return [(start, max(start + extent, high_px))]
    if settings.optimisation_fwhm is None:
        return [(low_px, high_px)]
    gap = settings.gap_fwhm * field.fwhm_px
    width = settings.optimisation_fwhm * field.fwhm_px
    inside = (max(low_px - gap - width, field.inner_px), low_px - gap)
    outside = (high_px + gap, min(high_px + gap + width, field.outer_px))
    return [(low, high) for low, high in (inside, outside) if high > low]
