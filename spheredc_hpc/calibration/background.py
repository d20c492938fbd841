"""Background: what the detector shows without the source, for one integration time."""

from __future__ import annotations

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

    Returns
    -------
    CalibrationResult
        Images of the whole detector plane: ``MEAN`` [adu per DIT], ``VARIANCE`` of that
        mean [adu2], ``COUNT``, the planes behind each pixel, and ``TEMPLATE1`` and so on, see
        `background_templates`.

    Raises
    ------
    DataError
        If a frame has another shape or integration time than the first.
    """
    device = detector_of(job.setup, inputs.constants)
    stack: list[Image] = []
    left_out: list[str] = []
    dit_s = 0.0
    for ref in job.frames:
        found = usable_planes(ref, inputs, device)
        dit_s = dit_s or found.dit_s
        if round(found.dit_s, DIT_DECIMALS) != round(dit_s, DIT_DECIMALS):
            raise DataError(
                f"{ref.archive_id}: integration time {found.dit_s:.2f} s in a background of "
                f"{dit_s:.2f} s"
            )
        left_out += found.left_out
        room = settings.max_planes - len(stack)
        stack += list(found.planes[:room])
        left_out += [
            f"{ref.archive_id} plane {i}: more than {settings.max_planes} planes"
            for i in range(max(room, 0), len(found.planes))
        ]
    if not stack:
        return rejected(f"no usable background plane among {len(job.frames)} files", *left_out)
    result = clipped_mean(np.stack(stack), settings.clip_sigma, settings.clip_iterations)
    variance = _variance_of_mean(result.mean, result.variance, result.kept, device)
    clipped = float(1 - result.kept.mean() / len(stack))
    noise = _noise(variance, len(stack))
    templates = background_templates(stack, result.mean, noise, device, settings.max_templates)
    lit = device.illuminated_mask()
    fields = [result.mean[:, part] for part in device.fields]
    levels = [float(np.median(field[mask])) for field, mask in zip(fields, lit, strict=True)]
    return CalibrationResult(
        images={
            "MEAN": result.mean,
            "VARIANCE": variance,
            "COUNT": result.kept.astype(np.float32),
            **templates,
        },
        facts={"DIT": dit_s, "NPLANES": len(stack), "BUNIT": "adu"},
        quality={
            "dit_s": dit_s,
            "planes": len(stack),
            "left_out": left_out,
            "median_adu": levels,
            "noise_adu": noise,
            "templates": len(templates),
            "clipped_fraction": clipped,
        },
        flags=left_out_flags([text for text in left_out if "no numbers" in text]),
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
