"""Mean lamp images of the spectrograph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spheredc_hpc.calibration.io import CalibrationInputs, Image, detector_of, usable_planes
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.lenslets import DETECTOR_PX, Prism, crosstalk_kernel, prism_of
from spheredc_hpc.kernels.clipping import clipped_mean
from spheredc_hpc.kernels.columns import filled_along_columns
from spheredc_hpc.kernels.crosstalk import CrosstalkCorrection
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.model.frame import FrameRef

Mask = npt.NDArray[np.bool_]
CLIP_SIGMA, CLIP_ROUNDS = 5.0, 2
# A pixel that stands out of its surroundings by this many of its noises is left out.
ODD_SIGMA = 8.0
OVERFLOW_SHARE = 0.9


@dataclass(frozen=True)
class LampImage:
    """Mean of the planes of some files, less its background.

    Attributes
    ----------
    image, variance : array, shape (2048, 2048)
        Counts [adu] of one integration, and the variance of the mean.
    good : array of bool
        Pixels neither saturated nor hot.
    dit_s : float
    planes : int
    left_out : list of str
        Planes that were not taken, and why.
    background : bool
        Whether one was subtracted.
    """

    image: Image
    variance: Image
    good: Mask
    dit_s: float
    planes: int
    left_out: list[str] = field(default_factory=list)
    background: bool = True


def lamp_image(
    job: CalibrationJob,
    inputs: CalibrationInputs,
    frames: tuple[FrameRef, ...] | None = None,
    *,
    gaps: bool = True,
) -> LampImage | None:
    """Average all planes of files of one integration time; None if there is no usable plane.

    Without a background the darkest tenth of each column stands for it, if there are dark `gaps`
    between spectra.

    Raises
    ------
    DataError
        If a frame has another shape than the detector.
    """
    device = detector_of({"arm": "IFS"}, inputs.constants)
    stack: list[Image] = []
    left_out: list[str] = []
    dit_s = 0.0
    for ref in frames if frames is not None else job.frames:
        found = usable_planes(ref, inputs, device)
        left_out += found.left_out
        if stack and abs(found.dit_s - dit_s) > 0.01:
            left_out.append(f"{ref.archive_id}: {found.dit_s:.2f} s among files of {dit_s:.2f} s")
            continue
        dit_s = found.dit_s
        stack += list(found.planes)
    if not stack:
        return None
    planes = np.stack(stack)
    mean = clipped_mean(planes, CLIP_SIGMA, CLIP_ROUNDS).mean if len(stack) > 2 else planes.mean(0)
    overflow = (device.saturation_adu or np.inf) * OVERFLOW_SHARE
    good: Mask = np.asarray(mean < overflow)
    gain, noise = device.gain_e_per_adu, device.read_noise_e
    variance = (np.maximum(mean, 0) * gain + noise**2) / gain**2 / len(stack)
    dark = inputs.upstream.get("background", {})
    if dark:
        image = mean - dark["MEAN"]
        variance = variance + np.maximum(dark["VARIANCE"], 0)
        good &= ~_hot(dark["MEAN"])
    elif not gaps:
        image = mean
    else:
        image = mean - np.percentile(mean, 10, axis=0)[np.newaxis]
    good &= np.isfinite(image)
    return LampImage(
        np.asarray(image, np.float32),
        np.asarray(variance, np.float32),
        good,
        dit_s,
        len(stack),
        left_out,
        bool(dark),
    )


def unscattered(lamp: LampImage, constants: Constants) -> LampImage:
    """Take out what pixels scatter onto others; bad pixels are bridged along the spectra first."""
    whole, _ = filled_along_columns(lamp.image, lamp.good)
    correction = CrosstalkCorrection(crosstalk_kernel(constants), (DETECTOR_PX, DETECTOR_PX))
    return replace(lamp, image=correction.apply(whole))


def _hot(dark: Image) -> Mask:
    """Pixels whose dark stands out of that of all by far."""
    middle = np.median(dark)
    spread = 1.4826 * np.median(np.abs(dark - middle))
    return np.asarray(np.abs(dark - middle) > ODD_SIGMA * spread + 1e-6)


def prism_of_job(job: CalibrationJob) -> Prism:
    """Prism of a job, from its setup.

    Raises
    ------
    DataError
        If the setup names none.
    """
    return prism_of(job.setup.get("filter", ""))
