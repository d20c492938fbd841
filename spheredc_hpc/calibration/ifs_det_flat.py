"""Response of the pixels of the spectrograph to one lamp, lenslets bypassed."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    left_out_flags,
    rejected,
)
from spheredc_hpc.calibration.lenslet_frames import LampImage, lamp_image
from spheredc_hpc.config import Section
from spheredc_hpc.kernels.smooth import smooth_part
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.registry import calibration


class DetectorFlatSettings(Section):
    """Detector flat of one lamp."""

    keep_large_scale: bool = Field(
        False, description="Keep the smooth part; it is that of the lamp, not of the pixels."
    )
    block_px: int = Field(64, ge=8, le=256, description="Blocks of the smooth part [px].")
    lowest_response: float = Field(0.9, gt=0, lt=1, description="Response below which it is bad.")
    highest_response: float = Field(1.1, gt=1, description="Response above which it is bad.")
    corner_level: float = Field(
        0.3, gt=0, lt=1, description="Light over the median below which a region is vignetted."
    )


@calibration("ifs_det_flat", settings=DetectorFlatSettings)
def ifs_det_flat(
    job: CalibrationJob, inputs: CalibrationInputs, settings: DetectorFlatSettings
) -> CalibrationResult:
    """Divide the difference of two exposure levels by its smooth part.

    Returns
    -------
    CalibrationResult
        ``FLAT``, 1 in the median and in vignetted corners, NaN for bad pixels; ``ERROR``, its
        standard error from photon and read noise. With one level only, that level less its
        background serves.

    Raises
    ------
    DataError
        If a frame has another shape than the detector.
    """
    levels = _levels(job, inputs)
    if not levels:
        return rejected(f"no usable plane among {len(job.frames)} detector flats")
    flags = [flag for lamp in levels for flag in left_out_flags(lamp.left_out)]
    short, long = levels[0], levels[-1]
    good = short.good & long.good
    if len(levels) > 1:
        light = long.image - short.image
        variance = long.variance + short.variance
    else:
        light, variance = long.image, long.variance
        flags.append(("FLAT_FEW_LEVELS", "one exposure level; its background was subtracted"))
    level = float(np.median(light[good]))
    if not level > 0:
        return rejected(f"the lamp gives no light: {level:.1f} adu in the median")
    smooth = smooth_part(np.where(good, light, np.nan).astype(np.float32), settings.block_px)
    vignetted = smooth < settings.corner_level * level
    base = np.float32(level) if settings.keep_large_scale else smooth
    with np.errstate(invalid="ignore", divide="ignore"):
        flat = light / base
        error = np.sqrt(variance) / base
    flat = flat / np.median(flat[good & ~vignetted])
    odd = ~good | (flat < settings.lowest_response) | (flat > settings.highest_response)
    flat = np.where(vignetted, 1.0, np.where(odd, np.nan, flat)).astype(np.float32)
    return CalibrationResult(
        images={"FLAT": flat, "ERROR": np.where(vignetted, 0, error).astype(np.float32)},
        facts={"LEVELS": len(levels), "BUNIT": "1"},
        quality={
            "levels_s": [lamp.dit_s for lamp in levels],
            "lamp_adu": level,
            "response_rms": float(np.nanstd(flat[~vignetted])),
            "response_error": float(np.nanmedian(error)),
            "bad_share": float(np.mean(odd & ~vignetted)),
            "vignetted_share": float(np.mean(vignetted)),
        },
        flags=tuple(flags),
    )


def _levels(job: CalibrationJob, inputs: CalibrationInputs) -> list[LampImage]:
    """Mean image of every integration time, the shortest first."""
    by_time: dict[float, list[FrameRef]] = {}
    for ref in job.frames:
        by_time.setdefault(round(ref.dit_s or 0.0, 2), []).append(ref)
    found = [
        lamp_image(job, inputs, tuple(refs), gaps=False) for _, refs in sorted(by_time.items())
    ]
    levels = [lamp for lamp in found if lamp is not None]
    return sorted(levels, key=lambda lamp: lamp.dit_s)
