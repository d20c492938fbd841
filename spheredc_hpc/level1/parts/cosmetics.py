"""From raw counts to clean counts: background, flat, bad pixels, hits, variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.detectors import Detector
from spheredc_hpc.kernels.badpixels import (
    HitFilter,
    Neighbours,
    fill_from_neighbours,
    find_hits,
    find_neighbours,
)
from spheredc_hpc.kernels.boxes import box_mean
from spheredc_hpc.kernels.clipping import typical_variance
from spheredc_hpc.kernels.counts import correct_counts
from spheredc_hpc.kernels.gaussian import SIGMA_TO_FWHM
from spheredc_hpc.kernels.scratch import scratch
from spheredc_hpc.kernels.smooth import smooth_part
from spheredc_hpc.level1.io import Calibration, Image, Mask

SMOOTH_BLOCK_PX = 64
# A star of one lambda/D keeps this fraction of its excess beside the peak; hits keep less.
SHARPNESS_SHARE = 0.55
# Pixels saturate at levels that differ by a few per cent; all of them above this share.
SATURATION_SHARE = 0.9


class CosmeticSettings(Section):
    """Background, bad pixels and hits."""

    background_fit: Literal["auto", "none", "scale", "templates"] = Field(
        "auto",
        description="What is fitted to each frame beside the star: nothing, scale and offset of "
        "the background, or an offset, its smooth part and the patterns in which its planes "
        "differ; auto: the last in thermal bands, scale and offset where the background is "
        "absent, old, interpolated or a dark, nothing elsewhere.",
    )
    thermal_from_um: float = Field(
        2.0, gt=0, description="Wavelength from which a band is thermal [um]."
    )
    scale_outside_px: float = Field(
        285.0, gt=0, description="Distance from the star beyond which it is fitted [px]."
    )
    flux_outside_px: float = Field(
        150.0, gt=0, description="The same of FLUX frames, from the coronagraph mask [px]."
    )
    column_rows: int = Field(
        0,
        ge=0,
        le=200,
        description="Outer rows at top and bottom whose median is taken out of each column; 0: "
        "none. Only where the halo of the star does not reach them.",
    )
    neighbours: int = Field(
        12, ge=3, le=24, description="Good pixels that replace a bad one, at most."
    )
    hit_box_px: int = Field(7, ge=3, le=31, description="Box of the search for hits, odd [px].")
    hit_sigma: float = Field(
        5.0, ge=0, le=100, description="Threshold of hits [standard deviations]; 0: no search."
    )
    noise_box_px: int = Field(
        9, ge=3, le=63, description="Box over which counts are averaged for the noise, odd [px]."
    )
    largest_nan_fraction: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Share of pixels without value above which a frame is rejected.",
    )


@dataclass(frozen=True)
class Region:
    """Rectangle of one field, in pixels of the field.

    Attributes
    ----------
    rows, columns : slice
        Within the field.
    """

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def local(self, xy: tuple[float, float]) -> tuple[float, float]:
        """Position within the rectangle of a position on the field, (x, y) [px]."""
        return xy[0] - self.columns.start, xy[1] - self.rows.start

    @classmethod
    def around(cls, xy: tuple[float, float], half_px: float, window: tuple[slice, slice]) -> Region:
        """Part of an illuminated window within `half_px` of a position."""
        low_x, high_x = int(np.floor(xy[0] - half_px)), int(np.ceil(xy[0] + half_px)) + 1
        low_y, high_y = int(np.floor(xy[1] - half_px)), int(np.ceil(xy[1] + half_px)) + 1
        rows = slice(max(low_y, window[0].start), min(high_y, window[0].stop))
        columns = slice(max(low_x, window[1].start), min(high_x, window[1].stop))
        return cls(rows, columns)


@dataclass(frozen=True)
class CleanPlane:
    """One corrected field.

    Attributes
    ----------
    image : array
        Counts without background, flat-fielded [adu]; finite everywhere.
    good : array
        1 where the pixel was measured, 0 where it was interpolated over or saturated.
    hits : int
        Single-exposure hits found.
    saturated : int
        Pixels above the level of saturation.
    nan_fraction : float
        Share of the pixels that had no value.
    """

    image: Image
    good: Image
    hits: int
    saturated: int
    nan_fraction: float


@dataclass(frozen=True)
class FieldCleaner:
    """Calibrations of one rectangle of one field, ready for many planes.

    Attributes
    ----------
    region : Region
    background, thermal : array
        Counts of the background and their smooth part [adu]; zero if there is none.
    templates : tuple of array
        Patterns in which the planes of the background differ [adu].
    gain : array
        Inverse of the flat.
    bad : array of bool
    neighbours : Neighbours
    floor : array
        Variance without the source: read noise, background and its own error, over the
        squared flat [adu2].
    per_adu : array
        Variance per count of the source [adu].
    saturation_adu : float
        Raw counts from which a pixel tells nothing.
    """

    region: Region
    background: Image
    thermal: Image
    templates: tuple[Image, ...]
    gain: Image
    bad: Mask
    neighbours: Neighbours
    floor: Image
    per_adu: Image
    saturation_adu: float

    @classmethod
    def of(
        cls,
        field: int,
        region: Region,
        calibrations: Mapping[str, Calibration],
        dit_s: float,
        context: tuple[Detector, Constants, CosmeticSettings],
    ) -> FieldCleaner:
        """Cut calibrations to a rectangle and prepare them.

        Parameters
        ----------
        field : int
            0 left, 1 right.
        region : Region
            Within the illuminated window.
        calibrations : mapping
            ``background``, ``flat`` and ``bad_pixels``; what is absent has no effect.
        dit_s : float
            Integration time of the planes [s].
        context : (Detector, Constants, CosmeticSettings)
        """
        device, constants, settings = context
        part = device.fields[field]

        def cut(kind: str, name: str, default: float) -> Image:
            product = calibrations.get(kind)
            if product is None:
                return np.full(region.shape, default, dtype=np.float32)
            image = product.images[name][:, part][region.rows, region.columns]
            return np.array(image, dtype=np.float32)

        flat = cut("flat", "FLAT", 1.0)
        bad = cut("bad_pixels", "MASK", 0.0) > 0
        bad |= ~(flat > 0)
        gain = np.where(flat > 0, 1 / np.where(flat > 0, flat, 1), 1).astype(np.float32)
        background = cut("background", "MEAN", 0.0)
        bad |= ~np.isfinite(background)
        background = np.where(np.isfinite(background), background, 0).astype(np.float32)
        electrons = device.gain_e_per_adu
        noise_e = read_noise_e(dit_s, device, constants)
        thermal = smooth_part(background, SMOOTH_BLOCK_PX)
        level = np.maximum(thermal, 0)
        held = calibrations["background"].images if "background" in calibrations else {}
        names = sorted(name for name in held if name.startswith("TEMPLATE"))
        planes = round(float(np.median(cut("background", "COUNT", 1.0))))
        own_level = _own_variance(cut("background", "VARIANCE", 0.0)[~bad], planes)
        floor = (level / electrons + (noise_e / electrons) ** 2 + own_level) * gain**2
        return cls(
            region=region,
            background=background,
            thermal=thermal,
            templates=tuple(cut("background", name, 0.0) for name in names),
            gain=gain,
            bad=bad,
            neighbours=find_neighbours(bad, count=settings.neighbours),
            floor=floor.astype(np.float32),
            per_adu=(gain / np.float32(electrons)).astype(np.float32),
            saturation_adu=SATURATION_SHARE * (device.saturation_adu or np.inf),
        )

    def clean(
        self,
        raw: Image,
        hits: HitFilter | None = None,
        extra: Image | None = None,
        *,
        reuse: bool = False,
    ) -> CleanPlane:
        """Correct the rectangle of one raw plane.

        Parameters
        ----------
        raw : array
            Raw counts of the whole field [adu]. NaN counts as bad.
        hits : HitFilter, optional
            Search for hits; none if absent (FLUX frames, spots).
        extra : array, optional
            Background beyond that of the calibration, shape of the rectangle [adu].
        reuse : bool
            Whether the arrays of the result may be memory of this thread, which holds only
            until it cleans the next plane.
        """
        cut = raw[self.region.rows, self.region.columns]
        image, good = (
            scratch(f"clean {name}", cut.shape, np.float32)
            if reuse
            else np.empty(cut.shape, dtype=np.float32)
            for name in ("image", "good")
        )
        full = scratch("clean full", cut.shape, np.bool_)
        background = self.background if extra is None else self.background + extra
        places = (image, good, full)
        tally = correct_counts(cut, background, self.gain, self.bad, self.saturation_adu, places)
        if tally.broken == image.size:
            return CleanPlane(image, good, 0, tally.full, 1.0)
        if tally.broken:
            broken = ~np.isfinite(cut)
            fill_from_neighbours(image, find_neighbours(self.bad | broken, count=8))
        else:
            fill_from_neighbours(image, self.neighbours)
        found = 0
        if hits is not None:
            mask = find_hits(image, hits)
            found = int(np.count_nonzero(mask))
            if found:
                # Bad pixels beside a hit were filled with it, so they are filled anew.
                fill_from_neighbours(image, find_neighbours(mask, good > 0, count=8))
                fill_from_neighbours(image, self.neighbours)
                good[mask] = 0
        if tally.full:
            good[full] = 0
        return CleanPlane(image, good, found, tally.full, tally.broken / image.size)

    def variance(self, image: Image, box_px: int, *, reuse: bool = False) -> Image:
        """Variance of each pixel from counts averaged over a box [adu2].

        Parameters
        ----------
        image : array
            Clean counts [adu].
        box_px : int
            Side of the box [px]; made odd.
        reuse : bool
            Whether the result may be memory of this thread, as in `clean`.
        """
        smooth = scratch("variance", image.shape, np.float32) if reuse else np.empty_like(image)
        box_mean(image, box_px | 1, smooth)
        np.maximum(smooth, np.float32(0), out=smooth)
        smooth *= self.per_adu
        smooth += self.floor
        return smooth


def hit_filter(fwhm_px: float, settings: CosmeticSettings) -> HitFilter | None:
    """Prepare the search for hits that no image of a star of `fwhm_px` is taken for."""
    if settings.hit_sigma == 0:
        return None
    sigma = fwhm_px / SIGMA_TO_FWHM
    beside = float(np.exp(-0.5 / sigma**2))
    return HitFilter(settings.hit_box_px | 1, settings.hit_sigma, SHARPNESS_SHARE * beside)


def _own_variance(variances: Image, planes: int) -> float:
    """Typical variance of a mean over some planes [adu2]; of one plane it is a model."""
    if planes > 1:
        return typical_variance(variances, planes - 1)
    return float(np.median(variances)) if variances.size else 0.0


def read_noise_e(dit_s: float, device: Detector, constants: Constants) -> float:
    """Read noise of one integration [e-]: from many reads in long ones to few in the shortest."""
    least = constants.value("detector_read_noise_min_dit_e", arm=device.arm)
    shortest = constants.value("min_dit_s", arm=device.arm)
    extra = max(least**2 - device.read_noise_e**2, 0.0) * min(shortest / dit_s, 1.0)
    return float(np.sqrt(device.read_noise_e**2 + extra))
