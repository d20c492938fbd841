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
from spheredc_hpc.kernels.ramp import Ramp, RampNoise, fit_ramp
from spheredc_hpc.kernels.smooth import smooth_part
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

Image = npt.NDArray[np.float32]
LEVELS_FOR_LINEARITY = 3
LEAST_SPAN_NOISE = 10.0
"""Span of the levels, in read noises of one plane, below which the lamp counts as off."""


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
        description="Level, relative to the linear limit, above which a pixel's value is left out; "
        "a file whose median lies above it is left out whole.",
    )
    lowest_response: float = Field(
        0.05, gt=0, lt=1, description="Response below which a pixel counts as without light."
    )


@dataclass
class _Levels:
    """Mean exposures with their integration times and numbers of planes."""

    images: list[Image] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    planes: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def distinct_s(self) -> list[float]:
        """Integration times, each once."""
        return sorted({round(time, 2) for time in self.times_s})


@dataclass(frozen=True)
class _Response:
    """One illuminated window: response to the common level and what is known of it."""

    slope: Image
    error: Image
    nonlinearity: Image
    misfit: Image
    lamp_adu_s: float


@calibration("flat", settings=FlatSettings)
def flat(
    job: CalibrationJob, inputs: CalibrationInputs, settings: FlatSettings
) -> CalibrationResult:
    """Fit the response of every pixel to a lamp, normalised per field.

    Returns
    -------
    CalibrationResult
        Images of the whole detector plane, NaN outside of the illuminated windows: ``FLAT``,
        1 in the median of each field; ``ERROR``, its standard error from photon and read
        noise; ``NONLINEARITY``, the largest departure from a straight line over its span, and
        ``MISFIT``, how many standard deviations the departures are beyond chance (both NaN
        everywhere if there are fewer than three levels).

    Raises
    ------
    DataError
        If a frame has another shape than the detector.
    """
    device = detector_of(job.setup, inputs.constants)
    highest_adu = settings.highest_level * (device.linear_limit_adu or np.inf)
    levels = _read_levels(job, inputs, device, highest_adu)
    if not levels.images:
        return rejected(f"no usable flat level among {len(job.frames)} files", *levels.left_out)
    flags = list(left_out_flags(levels.broken))
    distinct = len(levels.distinct_s)
    if distinct < LEVELS_FOR_LINEARITY:
        flags.append(
            ("FLAT_FEW_LEVELS", f"flat from {distinct} integration times; 3 show the linearity")
        )
    names = ("FLAT", "ERROR", "NONLINEARITY", "MISFIT")
    images: dict[str, Image] = {
        name: np.full(device.shape, np.nan, dtype=np.float32) for name in names
    }
    noise = RampNoise(device.gain_e_per_adu, device.read_noise_e, highest_adu)
    rates, rms, errors = [], [], []
    for part, window in zip(device.fields, device.illuminated, strict=True):
        lit = [np.ascontiguousarray(image[:, part][window]) for image in levels.images]
        if distinct >= 2:
            found = _by_ramp(lit, levels, noise)
        else:
            dark = inputs.upstream.get("background", {}).get("MEAN")
            own = None if dark is None else dark[:, part][window]
            found = _single_level(lit, levels, noise, own)
        if found is None:
            return rejected(f"the lamp gives no light in columns {part.start}:{part.stop}")
        pixel_response = found.slope / smooth_part(found.slope, settings.block_px)
        kept = found.slope if settings.keep_large_scale else pixel_response
        scale = np.float32(np.nanmedian(kept))
        kept = kept / scale
        kept = np.where(kept > settings.lowest_response, kept, np.float32(np.nan))
        images["FLAT"][:, part][window] = kept
        images["ERROR"][:, part][window] = found.error * kept / found.slope
        if distinct >= LEVELS_FOR_LINEARITY:
            images["NONLINEARITY"][:, part][window] = found.nonlinearity
            images["MISFIT"][:, part][window] = found.misfit
        rates.append(found.lamp_adu_s)
        rms.append(robust_sigma(pixel_response))
        errors.append(float(np.nanmedian(images["ERROR"][:, part][window])))
    return CalibrationResult(
        images={**images},
        facts={"LEVELS": distinct, "NPLANES": sum(levels.planes), "BUNIT": "1"},
        quality={
            "levels_s": levels.distinct_s,
            "planes": sum(levels.planes),
            "left_out": levels.left_out,
            "lamp_adu_s": rates,
            "response_rms": rms,
            "response_error": errors,
            "large_scale_kept": settings.keep_large_scale,
        },
        flags=tuple(flags),
    )


def _read_levels(
    job: CalibrationJob, inputs: CalibrationInputs, device: Detector, highest_adu: float
) -> _Levels:
    """Average the planes of each file; files beyond the linear range are left out."""
    levels = _Levels()
    mask = np.concatenate(list(device.illuminated_mask()), axis=1)
    for ref in job.frames:
        found = usable_planes(ref, inputs, device)
        levels.left_out += found.left_out
        levels.broken += found.left_out
        if len(found.planes) == 0:
            continue
        level = clipped_mean(found.planes).mean
        middle = float(np.median(level[mask]))
        if middle > highest_adu:
            levels.left_out.append(
                f"{ref.archive_id}: level {middle:.0f} adu, at most {highest_adu:.0f} is linear"
            )
            continue
        levels.images.append(level)
        levels.times_s.append(found.dit_s)
        levels.planes.append(len(found.planes))
    return levels


def _by_ramp(lit: list[Image], levels: _Levels, noise: RampNoise) -> _Response | None:
    """Fit lines to the level that the pixels of a field share; None without light."""
    common = np.array([float(np.median(image)) for image in lit])
    rate = float(np.polyfit(levels.times_s, common, 1)[0])
    least = LEAST_SPAN_NOISE * noise.read_noise_e / noise.gain_e_per_adu
    if not (rate > 0 and np.ptp(common) > least):
        return None
    ramp: Ramp = fit_ramp(np.stack(lit), common, np.array(levels.planes, dtype=float), noise)
    return _Response(ramp.slope, ramp.error, ramp.nonlinearity, ramp.misfit, rate)


def _single_level(
    lit: list[Image], levels: _Levels, noise: RampNoise, dark: Image | None
) -> _Response | None:
    """Median of the exposures of one integration time, less the background if there is one."""
    level = np.asarray(np.median(np.stack(lit), axis=0), dtype=np.float32)
    level = level if dark is None else level - dark
    middle = np.float32(np.median(level))
    if not middle > LEAST_SPAN_NOISE * noise.read_noise_e / noise.gain_e_per_adu:
        return None
    photons = np.maximum(level, 0) * noise.gain_e_per_adu + noise.read_noise_e**2
    planes = sum(levels.planes)
    error = np.sqrt(photons / planes) / (noise.gain_e_per_adu * middle)
    unknown = np.full(level.shape, np.nan, dtype=np.float32)
    rate = float(middle) / levels.times_s[0]
    return _Response(level / middle, error.astype(np.float32), unknown, unknown, rate)
