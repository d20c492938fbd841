"""Flat: relative response of the pixels, from a lamp at rising integration times."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import Field

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    detector_of,
    left_out_flags,
    rejected,
    usable_planes,
)
from spheredc_hpc.config import Section
from spheredc_hpc.instrument.detectors import Detector
from spheredc_hpc.kernels.clipping import clipped_mean, robust_sigma
from spheredc_hpc.kernels.ramp import fit_ramp
from spheredc_hpc.kernels.smooth import smooth_part
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

Image = npt.NDArray[np.float32]
LEVELS_FOR_LINEARITY = 3


class FlatSettings(Section):
    """Flat from lamp exposures of rising integration time."""

    keep_large_scale: bool = Field(
        True,
        description="Keep the smooth illumination in the flat; false leaves the pixel response.",
    )
    block_px: int = Field(64, ge=8, le=256, description="Blocks of the smooth illumination [px].")
    highest_level: float = Field(
        1.25,
        gt=0,
        description="Median level, relative to the linear limit, above which a file is left out.",
    )
    lowest_response: float = Field(
        0.05, gt=0, lt=1, description="Response below which a pixel counts as without light."
    )


@dataclass
class _Levels:
    """Mean exposures with their integration times."""

    planes: list[Image]
    times_s: list[float]
    left_out: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    used: int = 0


@calibration("flat", settings=FlatSettings)
def flat(
    job: CalibrationJob, inputs: CalibrationInputs, settings: FlatSettings
) -> CalibrationResult:
    """Fit the response of every pixel to a lamp, normalised per field.

    Returns
    -------
    CalibrationResult
        Images of the whole detector plane: ``FLAT``, 1 in the median of each illuminated
        field and NaN outside, and ``NONLINEARITY``, the largest departure from a straight
        line over its span (NaN everywhere if there are fewer than three levels).

    Raises
    ------
    DataError
        If a frame has another shape than the detector.
    """
    device = detector_of(job.setup, inputs.constants)
    levels = _read_levels(job, inputs, device, settings.highest_level)
    if not levels.planes:
        return rejected(f"no usable flat level among {len(job.frames)} files", *levels.left_out)
    flags = list(left_out_flags(levels.broken))
    distinct = len({round(time, 2) for time in levels.times_s})
    if distinct >= 2:
        ramp = fit_ramp(np.stack(levels.planes), np.array(levels.times_s))
        slope, nonlinearity = ramp.slope, ramp.nonlinearity
    else:
        slope = _single_level(levels, inputs)
        nonlinearity = np.full_like(slope, np.nan)
    if distinct < LEVELS_FOR_LINEARITY:
        flags.append(
            ("FLAT_FEW_LEVELS", f"flat from {distinct} integration times; 3 show the linearity")
        )
        nonlinearity = np.full_like(slope, np.nan)
    response = np.full_like(slope, np.nan)
    rates, rms = [], []
    for part, window in zip(device.fields, device.illuminated, strict=True):
        lit = slope[:, part][window]
        rate = float(np.median(lit))
        if not rate > 0:
            return rejected(f"the lamp gives {rate:.3g} adu/s in columns {part.start}:{part.stop}")
        pixel_response = lit / smooth_part(lit, settings.block_px)
        kept = lit / np.float32(rate) if settings.keep_large_scale else pixel_response
        kept = np.where(kept > settings.lowest_response, kept, np.float32(np.nan))
        response[:, part][window] = kept
        rates.append(rate)
        rms.append(robust_sigma(pixel_response))
    return CalibrationResult(
        images={"FLAT": response, "NONLINEARITY": nonlinearity},
        facts={"LEVELS": distinct, "NPLANES": levels.used, "BUNIT": "1"},
        quality={
            "levels_s": sorted({round(time, 2) for time in levels.times_s}),
            "planes": levels.used,
            "left_out": levels.left_out,
            "lamp_adu_s": rates,
            "response_rms": rms,
            "large_scale_kept": settings.keep_large_scale,
        },
        flags=tuple(flags),
    )


def _read_levels(
    job: CalibrationJob, inputs: CalibrationInputs, device: Detector, highest_level: float
) -> _Levels:
    """Average the planes of each file; levels beyond the linear range are left out."""
    levels = _Levels([], [])
    limit = highest_level * (device.linear_limit_adu or np.inf)
    mask = np.concatenate(list(device.illuminated_mask()), axis=1)
    for ref in job.frames:
        found = usable_planes(ref, inputs, device)
        levels.left_out += found.left_out
        levels.broken += found.left_out
        if len(found.planes) == 0:
            continue
        level = clipped_mean(found.planes).mean
        middle = float(np.median(level[mask]))
        if middle > limit:
            levels.left_out.append(
                f"{ref.archive_id}: level {middle:.0f} adu, at most {limit:.0f} is linear"
            )
            continue
        levels.planes.append(level)
        levels.times_s.append(found.dit_s)
        levels.used += len(found.planes)
    return levels


def _single_level(levels: _Levels, inputs: CalibrationInputs) -> Image:
    """Median of the exposures of one integration time, less the background if there is one."""
    level = np.median(np.stack(levels.planes), axis=0)
    dark = inputs.upstream.get("background", {}).get("MEAN")
    if dark is not None:
        level = level - dark
    return np.asarray(level / levels.times_s[0], dtype=np.float32)
