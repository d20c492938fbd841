"""Wavelengths of the spectrograph: places of laser lines in all lenslets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    left_out_flags,
    rejected,
)
from spheredc_hpc.calibration.lenslet_frames import (
    LampImage,
    lamp_image,
    prism_of_job,
    unscattered,
)
from spheredc_hpc.calibration.lenslet_pattern import (
    CoarseShift,
    coarse_shift,
    combined,
    fit_placement,
)
from spheredc_hpc.calibration.lenslet_solution import (
    OFFSET_ORDER,
    WIDTH_ORDER,
    SpectralSolution,
    design,
)
from spheredc_hpc.config import Section
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.lenslets import (
    Dispersion,
    Lenslets,
    Placement,
    Prism,
    lit_lenslets,
    spot_sigma_px,
)
from spheredc_hpc.kernels.moments import spot_moments
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

Floats = npt.NDArray[np.float64]
MARGIN_PX = 16.0
SPARSE = 5
LEAST_LASERS = 2


class WaveSettings(Section):
    """Wavelength calibration with lasers."""

    search_px: int = Field(10, ge=1, le=12, description="Largest shift of the whole pattern [px].")
    reach_px: float = Field(
        2.0, gt=0.5, le=4, description="Largest distance of a spot from where it is expected [px]."
    )
    least_contrast: float = Field(
        2.0, gt=1, description="Light on spots over that between them, below which there are none."
    )
    least_light: float = Field(
        0.05, gt=0, lt=1, description="Light of a laser, over that of the brightest, to count."
    )
    clip_sigma: float = Field(4.0, gt=1, description="Distance from the smooth fit left out.")
    largest_residual_px: float = Field(
        0.3, gt=0, description="Scatter of spots about the smooth fit above which it is rejected."
    )


@dataclass(frozen=True)
class _Line:
    """Spots of one laser in all lenslets; NaN where there is none."""

    wave_um: float
    x: Floats
    y: Floats
    sigma: Floats
    light: Floats
    expected: tuple[Floats, Floats]

    @property
    def level(self) -> float:
        """Median light, zero for lenslets without a spot."""
        return float(np.median(np.where(np.isfinite(self.light), self.light, 0.0)))


@calibration("ifs_wave", settings=WaveSettings)
def ifs_wave(
    job: CalibrationJob, inputs: CalibrationInputs, settings: WaveSettings
) -> CalibrationResult:
    """Measure the spots of every laser in every lenslet and fit smooth places and widths to them.

    Returns
    -------
    CalibrationResult
        ``LAMP``, the mean image, and the arrays of `SpectralSolution`. Rejected if no pattern is
        found, fewer than two lasers shine, or the spots do not lie on a smooth solution.

    Raises
    ------
    DataError
        If the setup names no prism, or a frame has another shape than the detector.
    """
    prism = prism_of_job(job)
    lamp = lamp_image(job, inputs)
    if lamp is None:
        return rejected(f"no usable plane among {len(job.frames)} WAVE files")
    lamp = unscattered(lamp, inputs.constants)
    dispersion = Dispersion.of(prism, inputs.constants)
    lenslets = lit_lenslets(dispersion, inputs.constants, MARGIN_PX)
    shift = _search(lamp, dispersion, lenslets, settings)
    if shift.contrast < settings.least_contrast:
        return rejected(
            f"no pattern of laser spots: contrast {shift.contrast:.1f}, at least "
            f"{settings.least_contrast:g} is expected"
        )
    start = Placement(float(shift.dx_px), float(shift.dy_px))
    lines = _measured(lamp, dispersion, lenslets, start, settings, inputs.constants)
    brightest = max(line.level for line in lines)
    shining = [
        line for line in lines if line.level > max(settings.least_light * brightest, _noise(lamp))
    ]
    if len(shining) < LEAST_LASERS:
        return rejected(f"{len(shining)} of {len(lines)} lasers shine; at least 2 are needed")
    return _solved(
        lamp, prism_of_job(job), lenslets, start, (lines, shining), settings, inputs.constants
    )


def _search(
    lamp: LampImage, dispersion: Dispersion, lenslets: Lenslets, settings: WaveSettings
) -> CoarseShift:
    """Find the shift of the whole pattern to the next pixel."""
    some = lenslets.chosen(np.arange(0, len(lenslets), SPARSE))
    x, y = dispersion.at(some, dispersion.laser_um)
    gaps = (dispersion.laser_um[1:] + dispersion.laser_um[:-1]) / 2
    xb, yb = dispersion.at(some, gaps)
    image = np.where(lamp.good, lamp.image, 0).astype(np.float32)
    return coarse_shift(image, (x.ravel(), y.ravel()), (xb.ravel(), yb.ravel()), settings.search_px)


def _measured(
    lamp: LampImage,
    dispersion: Dispersion,
    lenslets: Lenslets,
    start: Placement,
    settings: WaveSettings,
    constants: Constants,
) -> list[_Line]:
    lines = []
    for wave in dispersion.laser_um:
        x, y = dispersion.at(lenslets, wave, start)
        width = float(np.hypot(spot_sigma_px(wave, constants), np.sqrt(1 / 12)))
        found = spot_moments(lamp.image, lamp.good, x[0], y[0], width, settings.reach_px)
        lines.append(_Line(float(wave), *found, (x[0], y[0])))
    return lines


def _noise(lamp: LampImage) -> float:
    """Light of a spot that is three times the noise of the pixels beneath it [adu]."""
    return float(3 * np.sqrt(np.median(lamp.variance) * 9))


def _solved(
    lamp: LampImage,
    prism: Prism,
    lenslets: Lenslets,
    start: Placement,
    lines: tuple[list[_Line], list[_Line]],
    settings: WaveSettings,
    constants: Constants,
) -> CalibrationResult:
    every, shining = lines
    x = np.concatenate([line.expected[0] for line in shining])
    y = np.concatenate([line.expected[1] for line in shining])
    dx = np.concatenate([line.x for line in shining]) - x
    dy = np.concatenate([line.y for line in shining]) - y
    more, _ = fit_placement(x, y, dx, dy)
    placement = combined(start, more)
    dispersion = Dispersion.of(prism, constants)
    offsets_x, offsets_y, widths, worst = [], [], [], 0.0
    figures: list[dict[str, Any]] = []
    for line in shining:
        px, py = dispersion.at(lenslets, line.wave_um, placement)
        place, shape = design(lenslets, OFFSET_ORDER), design(lenslets, WIDTH_ORDER)
        fit_x, rms_x, used = _smooth(line.x - px[0], place, settings.clip_sigma)
        fit_y, rms_y, _ = _smooth(line.y - py[0], place, settings.clip_sigma)
        table = float(spot_sigma_px(line.wave_um, constants))
        width, rms_w, _ = _smooth(line.sigma / table, shape, settings.clip_sigma)
        worst = max(worst, rms_x, rms_y)
        offsets_x.append(fit_x)
        offsets_y.append(fit_y)
        widths.append(width)
        figures.append(
            {
                "wavelength_um": line.wave_um,
                "lenslets": used,
                "residual_px": [rms_x, rms_y],
                "width_rms": rms_w,
                "light_adu": line.level,
            }
        )
    if worst > settings.largest_residual_px:
        return rejected(
            f"spots scatter by {worst:.2f} px about a smooth solution; at most "
            f"{settings.largest_residual_px:g} px is believed"
        )
    solution = SpectralSolution(
        prism,
        placement,
        np.array([line.wave_um for line in shining]),
        np.stack(offsets_x),
        np.stack(offsets_y),
        np.stack(widths),
    )
    flags = list(left_out_flags(lamp.left_out))
    dark = [line.wave_um for line in every if line not in shining]
    if dark:
        names = ", ".join(f"{wave:.4f} um" for wave in dark)
        flags.append(
            (
                "WAVE_LASER_MISSING",
                f"no light of the laser at {names}; the others and the table serve",
            )
        )
    if not lamp.background:
        flags.append(("BG_MISSING", "no background for WAVE; the darkest pixels of columns served"))
    return CalibrationResult(
        images={"LAMP": lamp.image, **solution.images()},
        facts={"NPLANES": lamp.planes, "NLASER": len(shining)},
        quality={
            "prism": prism,
            "placement": vars(placement),
            "lasers": figures,
            "lasers_dark_um": dark,
            "planes": lamp.planes,
            "left_out": lamp.left_out,
        },
        flags=tuple(flags),
    )


def _smooth(values: Floats, basis: Floats, clip_sigma: float) -> tuple[Floats, float, int]:
    """Fit a polynomial over the field without outliers; coefficients, scatter, lenslets used."""
    held = np.isfinite(values)
    for _ in range(5):
        coefficients, *_ = np.linalg.lstsq(basis[:, held].T, values[held], rcond=None)
        rest = values - coefficients @ basis
        spread = 1.4826 * np.median(np.abs(rest[held]))
        held = np.isfinite(rest) & (np.abs(rest) < clip_sigma * spread + 1e-9)
    return np.asarray(coefficients, np.float64), float(np.std(rest[held])), int(held.sum())
