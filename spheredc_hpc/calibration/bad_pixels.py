"""Bad pixels: union of what the flat and the background show."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.ndimage import median_filter
from scipy.stats import chi2

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    Images,
    detector_of,
    rejected,
)
from spheredc_hpc.config import Section
from spheredc_hpc.instrument.detectors import Detector
from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.kernels.smooth import smooth_part
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
BLOCK_PX = 64
AROUND_PX = 9
# Chance takes one value of a pixel out of a background now and then, a hit as well; not two.
CLIPPED_BY_CHANCE = 1
# Planes from which a pixel may lose more than that without losing most of what it has.
PLANES_FOR_CLIPPED = 5
# Where more pixels than this share lose so many, the clipping itself is at fault.
MOST_CLIPPED = 1e-3


class Cause(IntFlag):
    """Why a pixel is bad; bits of the ``CAUSE`` image."""

    RESPONSE = 1
    HOT = 2
    NOISY = 4
    NONLINEAR = 8


class BadPixelSettings(Section):
    """Thresholds of bad pixels."""

    lowest_response: float = Field(
        0.5, ge=0, lt=1, description="Response to the lamp below which a pixel is bad."
    )
    highest_response: float = Field(
        1.5, gt=1, description="Response to the lamp above which a pixel is bad."
    )
    response_sigma: float = Field(
        6.75,
        gt=1,
        description="Distance from the response around [robust standard deviations of all "
        "pixels, errors of the flat taken out]; a little below 7, so that pixels at 7 are found.",
    )
    hot_sigma: float = Field(
        5.0, gt=1, description="Excess over the smooth background [robust standard deviations]."
    )
    noisy_probability: float = Field(
        1e-6,
        gt=0,
        lt=0.1,
        description="Chance of a variance in time as large as that of a bad one.",
    )
    nonlinear_sigma: float = Field(
        4.5, gt=1, description="Misfit of a straight line to the ramp [standard deviations]."
    )
    largest_fraction: float = Field(
        0.3, gt=0, le=1, description="Fraction of bad pixels above which the map is rejected."
    )


@calibration("bad_pixels", settings=BadPixelSettings)
def bad_pixels(
    job: CalibrationJob, inputs: CalibrationInputs, settings: BadPixelSettings
) -> CalibrationResult:
    """Unite pixels of odd response, hot, noisy and non-linear ones.

    Returns
    -------
    CalibrationResult
        Images of the whole detector plane: ``MASK``, 1 where bad (0 outside of the
        illuminated windows), and ``CAUSE``, the sum of the bits of `Cause`.
    """
    device = detector_of(job.setup, inputs.constants)
    flat, dark = inputs.upstream.get("flat", {}), inputs.upstream.get("background", {})
    if not flat and not dark:
        return rejected("neither flat nor background to find bad pixels in")
    cause = np.zeros(device.shape, dtype=np.uint8)
    for part, window in zip(device.fields, device.illuminated, strict=True):
        lit = cause[:, part][window]
        for bit, found in _causes(flat, dark, (part, window), settings).items():
            lit[found] |= np.uint8(bit)
    total = sum((w[0].stop - w[0].start) * (w[1].stop - w[1].start) for w in device.illuminated)
    counts = {str(bit.name).lower(): int(((cause & bit) > 0).sum()) for bit in Cause}
    fraction = float((cause > 0).sum() / total)
    if fraction > settings.largest_fraction:
        return rejected(
            f"{100 * fraction:.1f} % of the pixels would be bad ({counts}); at most "
            f"{100 * settings.largest_fraction:g} % are believed"
        )
    return CalibrationResult(
        images={"MASK": cause > 0, "CAUSE": cause},
        facts={"NBAD": int((cause > 0).sum())},
        quality={
            "fraction": fraction,
            "fraction_per_field": _per_field(cause, device),
            "counts": counts,
            "from": [name for name, images in (("flat", flat), ("background", dark)) if images],
        },
    )


def _per_field(cause: npt.NDArray[np.uint8], device: Detector) -> list[float]:
    return [
        float((cause[:, part][window] > 0).mean())
        for part, window in zip(device.fields, device.illuminated, strict=True)
    ]


def _causes(
    flat: Images,
    dark: Images,
    place: tuple[slice, tuple[slice, slice]],
    settings: BadPixelSettings,
) -> dict[Cause, Mask]:
    part, window = place

    def lit(images: Images, name: str) -> Image:
        return images[name][:, part][window]

    found: dict[Cause, Mask] = {}
    if flat:
        found[Cause.RESPONSE] = odd_response(lit(flat, "FLAT"), lit(flat, "ERROR"), settings)
        if "MISFIT" in flat:
            found[Cause.NONLINEAR] = nonlinear(lit(flat, "MISFIT"), settings.nonlinear_sigma)
    if dark:
        mean = lit(dark, "MEAN")
        found[Cause.HOT] = hot(mean, settings.hot_sigma)
        count = lit(dark, "COUNT")
        variance = lit(dark, "VARIANCE") * count
        found[Cause.NOISY] = noisy(variance, count, settings.noisy_probability)
        found[Cause.NOISY] |= often_clipped(count)
    return found


def odd_response(response: Image, error: Image, settings: BadPixelSettings) -> Mask:
    """Find pixels whose response departs from that around them, or that have none.

    The comparison is with the running median of a small box, which follows the steep fall at
    the edges; beyond them the response is carried on.
    """
    filled = np.where(np.isfinite(response), response, np.float32(0))
    half = AROUND_PX // 2
    padded = np.pad(filled, half, mode="reflect", reflect_type="odd")
    around = median_filter(padded, size=AROUND_PX)[half:-half, half:-half]
    with np.errstate(invalid="ignore", divide="ignore"):
        local = response / around
        known = error / response
        typical = float(np.nanmedian(known)) if np.isfinite(known).any() else 0.0
        spread = robust_sigma(local)
        own = max(spread**2 - typical**2, (spread / 2) ** 2)
        # Where little light falls the flat is less certain than elsewhere.
        extra = np.where(np.isfinite(known), np.maximum(known**2 - typical**2, 0), 0)
        limit = settings.response_sigma * np.sqrt(own + extra)
        good = (np.abs(local - 1) <= limit) & (local >= settings.lowest_response)
        return np.asarray(~(good & (local <= settings.highest_response)))


def hot(mean: Image, sigma: float) -> Mask:
    """Find pixels above the background once its columns, rows and smooth part are removed."""
    residual = np.asarray(mean - np.median(mean, axis=0), dtype=np.float32)
    residual -= np.median(residual, axis=1)[:, np.newaxis]
    residual -= smooth_part(residual, BLOCK_PX)
    return np.asarray(residual > sigma * robust_sigma(residual))


def noisy(variance: Image, count: Image, probability: float) -> Mask:
    """Find pixels whose variance in time is too large for chance.

    The variance of `n` values over its expectation follows a chi-squared distribution of
    ``n - 1`` degrees of freedom; its median sets the scale. Two planes or fewer tell nothing.
    """
    found = np.zeros(variance.shape, dtype=bool)
    for n in np.unique(count):
        free = round(float(n)) - 1
        group = count == n
        if free < 2 or group.sum() < BLOCK_PX:
            continue
        scale = np.median(variance[group]) / chi2.median(free)
        found |= group & (variance > scale * chi2.isf(probability, free))
    return found


def often_clipped(count: Image) -> Mask:
    """Find pixels that lost more values as outliers than chance and hits take."""
    planes = float(count.max(initial=0))
    found = np.zeros(count.shape, dtype=bool)
    if planes < PLANES_FOR_CLIPPED:
        return found
    for lost in range(CLIPPED_BY_CHANCE + 1, int(planes)):
        found = np.asarray(count <= planes - lost)
        if found.mean() <= MOST_CLIPPED:
            break
    return found


def nonlinear(misfit: Image, sigma: float) -> Mask:
    """Find pixels whose counts bend away from a line more than noise explains.

    What all pixels have of it beyond noise, and its scatter if that is larger, are taken out: real
    detectors depart from lines by more than the photon noise of many planes.
    """
    known = np.isfinite(misfit)
    if not known.any():
        return np.zeros(misfit.shape, dtype=bool)
    common = max(float(np.median(misfit[known])), 0.0)
    spread = max(robust_sigma(misfit[known]), 1.0)
    return np.asarray(known & (misfit > common + sigma * spread))
