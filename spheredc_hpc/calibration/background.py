"""Background: what the detector shows without the source, for one integration time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import Field

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    Image,
    detector_of,
    left_out_flags,
    rejected,
    usable_planes,
)
from spheredc_hpc.calibration.templates import background_templates
from spheredc_hpc.config import Section
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.detectors import Detector
from spheredc_hpc.kernels.clipping import clipped_mean, typical_variance
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

DIT_DECIMALS = 2


class BackgroundSettings(Section):
    """Background from SKY, BACKGROUND or DARK frames of one integration time."""

    clip_sigma: float = Field(
        4.0, gt=1, le=20, description="Distance from the median beyond which a value is left out."
    )
    clip_iterations: int = Field(2, ge=0, le=10, description="Rounds of clipping.")
    max_planes: int = Field(
        80, ge=1, description="Planes taken at most, those of the first files in time."
    )
    max_templates: int = Field(
        3, ge=0, le=8, description="Patterns of change kept at most, for the K band; 0: none."
    )


@calibration("background", settings=BackgroundSettings)
def background(
    job: CalibrationJob, inputs: CalibrationInputs, settings: BackgroundSettings
) -> CalibrationResult:
    """Average background planes of one integration time without outliers.

    A job that names an integration time to interpolate holds frames of one below and one above;
    the mean of each is made, and what lies between is taken.

    Returns
    -------
    CalibrationResult
        Images of the whole detector plane: ``MEAN`` [adu per DIT], ``VARIANCE`` of that
        mean [adu2], ``COUNT``, the planes behind each pixel, and ``TEMPLATE1`` and so on, see
        `background_templates`.

    Raises
    ------
    DataError
        If a frame has another shape or integration time than the first, or does not bracket
        the one to interpolate.
    """
    device = detector_of(job.setup, inputs.constants)
    stacks = _stacks(job, inputs, device, settings.max_planes)
    if not all(stack.planes for stack in stacks) or not stacks:
        left_out = [text for stack in stacks for text in stack.left_out]
        return rejected(f"no usable background plane among {len(job.frames)} files", *left_out)
    means = [_mean(stack, settings, device) for stack in stacks]
    made = means[0] if len(means) == 1 else _between(means, job.interpolate_dit_s or 0.0)
    left_out = [text for stack in stacks for text in stack.left_out]
    planes = sum(len(stack.planes) for stack in stacks)
    noise = float(np.mean([_noise(m.variance, m.planes) for m in means]))
    # Between two integration times there are no planes whose changes could be templates.
    templates: dict[str, Image] = {}
    if len(stacks) == 1:
        limit = settings.max_templates
        templates = background_templates(stacks[0].planes, made.mean, noise, device, limit)
    lit = device.illuminated_mask()
    fields = [made.mean[:, part] for part in device.fields]
    levels = [float(np.median(field[mask])) for field, mask in zip(fields, lit, strict=True)]
    quality: dict[str, object] = {
        "dit_s": made.dit_s,
        "planes": planes,
        "left_out": left_out,
        "median_adu": levels,
        "noise_adu": noise,
        "templates": len(templates),
        "clipped_fraction": float(np.mean([m.clipped for m in means])),
    }
    if len(means) > 1:
        quality["interpolated_between_s"] = [m.dit_s for m in means]
    return CalibrationResult(
        images={
            "MEAN": made.mean,
            "VARIANCE": made.variance,
            "COUNT": made.kept,
            **templates,
        },
        facts={"DIT": made.dit_s, "NPLANES": planes, "BUNIT": "adu"},
        quality=quality,
        flags=left_out_flags([text for text in left_out if "no numbers" in text]),
    )


@dataclass
class _Stack:
    """Planes of one integration time."""

    dit_s: float
    planes: list[Image] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Mean:
    """Background of one integration time [adu per DIT], its variance and the planes behind it."""

    dit_s: float
    mean: Image
    variance: Image
    kept: Image
    planes: int
    clipped: float = 0.0


def _stacks(
    job: CalibrationJob, inputs: CalibrationInputs, device: Detector, max_planes: int
) -> list[_Stack]:
    """Read the planes of every integration time, one or the two to interpolate between."""
    stacks: dict[float, _Stack] = {}
    for ref in job.frames:
        found = usable_planes(ref, inputs, device)
        dit_s = round(found.dit_s, DIT_DECIMALS)
        stack = stacks.setdefault(dit_s, _Stack(found.dit_s))
        if job.interpolate_dit_s is None and len(stacks) > 1:
            first = next(iter(stacks))
            raise DataError(
                f"{ref.archive_id}: integration time {dit_s:.2f} s in a background of {first:.2f} s"
            )
        stack.left_out += found.left_out
        room = max_planes - len(stack.planes)
        stack.planes += list(found.planes[:room])
        stack.left_out += [
            f"{ref.archive_id} plane {i}: more than {max_planes} planes"
            for i in range(max(room, 0), len(found.planes))
        ]
    ordered = [stacks[dit_s] for dit_s in sorted(stacks)]
    wanted = job.interpolate_dit_s
    if wanted is not None and not (
        len(ordered) == 2 and ordered[0].dit_s < wanted < ordered[1].dit_s
    ):
        found_s = ", ".join(f"{stack.dit_s:.2f}" for stack in ordered)
        raise DataError(
            f"background of {wanted:.2f} s between integration times of {found_s} s; "
            "expected one below and one above"
        )
    return ordered


def _mean(stack: _Stack, settings: BackgroundSettings, device: Detector) -> _Mean:
    result = clipped_mean(np.stack(stack.planes), settings.clip_sigma, settings.clip_iterations)
    variance = _variance_of_mean(result.mean, result.variance, result.kept, device)
    return _Mean(
        stack.dit_s,
        result.mean,
        variance,
        result.kept.astype(np.float32),
        len(stack.planes),
        float(1 - result.kept.mean() / len(stack.planes)),
    )


def _between(means: list[_Mean], dit_s: float) -> _Mean:
    """Interpolate linearly: offset pattern and glow need not scale together.

    Between two levels a plane's own scatter is not what `COUNT` says of one integration time;
    the smaller count stands.
    """
    low, high = means
    share = np.float32((dit_s - low.dit_s) / (high.dit_s - low.dit_s))
    return _Mean(
        dit_s,
        (1 - share) * low.mean + share * high.mean,
        (1 - share) ** 2 * low.variance + share**2 * high.variance,
        np.minimum(low.kept, high.kept),
        low.planes + high.planes,
    )


def _noise(variance: Image, n: int) -> float:
    """Noise of one plane [adu], typical of all pixels."""
    return float(np.sqrt(typical_variance(variance * n, max(n - 1, 1))))


def _variance_of_mean(
    mean: Image, variance: Image, kept: npt.NDArray[np.int32], device: Detector
) -> Image:
    """Scatter of the planes over their number; the noise model where one plane is left."""
    gain = device.gain_e_per_adu
    model = (np.maximum(mean, 0) * gain + device.read_noise_e**2) / gain**2
    single = np.where(np.isfinite(variance), variance, model)
    return np.asarray(single / np.maximum(kept, 1), dtype=np.float32)
