"""Positions of the spectra of the spectrograph, from a lamp through all lenslets."""

from __future__ import annotations

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
from spheredc_hpc.calibration.lenslet_solution import SpectralSolution
from spheredc_hpc.config import Section
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.lenslets import (
    DETECTOR_PX,
    Dispersion,
    Lenslets,
    Placement,
    channel_wavelengths_um,
    lit_lenslets,
    spot_sigma_px,
)
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

Floats = npt.NDArray[np.float64]
MARGIN_PX = 16.0
SPARSE = 5
# From the end of a spectrum to the middle of the gap to the next in its columns [px].
GAP_PX = 1.7
ROUNDS = 3
# Ends of spectra tell their places less well than profiles across do.
WEIGHT_ALONG = 0.1
GAP_REACH_PX, GAP_SIGMA_PX = 5, 1.3
# From one spectrum to the next in the same columns [px].
PERIOD_PX = 41.15
HALF_PX = 2


class SpecposSettings(Section):
    """Positions of the spectra."""

    search_px: int = Field(10, ge=1, le=12, description="Largest shift of the whole pattern [px].")
    least_contrast: float = Field(
        2.0,
        gt=1,
        description="Light on spectra over that between them, below which there are none.",
    )
    tiles: int = Field(8, ge=2, le=32, description="Parts of the detector along an axis.")
    largest_residual_px: float = Field(
        0.5, gt=0, description="Scatter of the parts about the placement, above it is rejected."
    )


@calibration("ifs_specpos", settings=SpecposSettings)
def ifs_specpos(
    job: CalibrationJob, inputs: CalibrationInputs, settings: SpecposSettings
) -> CalibrationResult:
    """Place the table of spectra on a lamp image: shift, turn and stretch.

    Across the spectra the places are those of their profiles; along them those of their ends, so
    that wavelengths are better taken from `ifs_wave`.

    Returns
    -------
    CalibrationResult
        ``LAMP``, the mean image, and ``PLACEMENT``. Rejected if no pattern is found.

    Raises
    ------
    DataError
        If the setup names no prism, or a frame has another shape than the detector.
    """
    prism, constants = prism_of_job(job), inputs.constants
    lamp = lamp_image(job, inputs)
    if lamp is None:
        return rejected(f"no usable plane among {len(job.frames)} SPECPOS files")
    lamp = unscattered(lamp, constants)
    dispersion = Dispersion.of(prism, constants)
    lenslets = lit_lenslets(dispersion, constants, MARGIN_PX)
    shift = find_spectra(lamp, dispersion, lenslets, settings.search_px, constants)
    if shift.contrast < settings.least_contrast:
        return rejected(
            f"no spectra: contrast {shift.contrast:.1f}, at least {settings.least_contrast:g} "
            "is expected"
        )
    placement = Placement(float(shift.dx_px), float(shift.dy_px))
    residual = 0.0
    for _ in range(ROUNDS):
        x, y, dx, dy = _displacements(lamp, dispersion, lenslets, placement, settings, constants)
        more, rest = fit_placement(x, y, dx, dy, WEIGHT_ALONG)
        placement = combined(placement, more)
        residual = float(np.nanstd(rest))
    if residual > settings.largest_residual_px:
        return rejected(
            f"parts of the detector disagree by {residual:.2f} px; at most "
            f"{settings.largest_residual_px:g} px is believed"
        )
    flags = list(left_out_flags(lamp.left_out))
    if not lamp.background:
        flags.append(("BG_MISSING", "no background for SPECPOS; the darkest pixels served"))
    solution = SpectralSolution.placed(prism, placement)
    return CalibrationResult(
        images={"LAMP": lamp.image, **solution.images()},
        facts={"NPLANES": lamp.planes},
        quality={
            "prism": prism,
            "placement": vars(placement),
            "contrast": shift.contrast,
            "residual_px": residual,
            "spectra": _lit(lamp, dispersion, lenslets, placement),
            "planes": lamp.planes,
            "left_out": lamp.left_out,
        },
        flags=tuple(flags),
    )


def find_spectra(
    lamp: LampImage,
    dispersion: Dispersion,
    lenslets: Lenslets,
    search_px: int,
    constants: Constants,
) -> CoarseShift:
    """Search for the shift of the whole pattern to the next pixel."""
    some = lenslets.chosen(np.arange(0, len(lenslets), SPARSE))
    waves = channel_wavelengths_um(dispersion.prism, constants)
    x, y = dispersion.at(some, waves[::3])
    ends_x, ends = dispersion.at(some, np.array(dispersion.range_um))
    ends = ends + np.array([[-GAP_PX], [GAP_PX]])
    aside = [(x + step, y) for step in (-2.5, 2.5)]
    # Ends and sides count alike, or the place along the spectra would hardly matter.
    again = len(x)
    xb = np.concatenate([np.tile(ends_x.ravel(), again), *(a.ravel() for a, _ in aside)])
    yb = np.concatenate([np.tile(ends.ravel(), again), *(b.ravel() for _, b in aside)])
    image = np.where(lamp.good, lamp.image, 0).astype(np.float32)
    return coarse_shift(image, (x.ravel(), y.ravel()), (xb, yb), search_px)


def _displacements(
    lamp: LampImage,
    dispersion: Dispersion,
    lenslets: Lenslets,
    placement: Placement,
    settings: SpecposSettings,
    constants: Constants,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Displacements of the spectra in parts of the detector: their middles, dx and dy [px]."""
    waves = channel_wavelengths_um(dispersion.prism, constants)
    x, y = dispersion.at(lenslets, waves[4:-4], placement)
    ends_x, ends_y = dispersion.at(lenslets, np.array(dispersion.range_um), placement)
    middle_x, middle_y = x.mean(axis=0), y.mean(axis=0)
    size = DETECTOR_PX / settings.tiles
    tile = (middle_y // size).astype(int) * settings.tiles + (middle_x // size).astype(int)
    sigma = float(np.hypot(spot_sigma_px(1.15, constants), np.sqrt(1 / 12)))
    found: list[tuple[float, float, float, float]] = []
    for number in np.unique(tile):
        here = tile == number
        dx = _across(lamp, x[:, here], y[:, here], sigma)
        dy = _along(lamp, ends_x[:, here], ends_y[:, here])
        found.append((float(middle_x[here].mean()), float(middle_y[here].mean()), dx, dy))
    columns = np.array(found).T
    return columns[0], columns[1], columns[2], columns[3]


def _across(lamp: LampImage, x: Floats, y: Floats, sigma_px: float) -> float:
    """How far spectra lie from their places across the dispersion [px]."""
    offsets = np.arange(-HALF_PX, HALF_PX + 1)
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    columns = column[..., np.newaxis] + offsets
    # The trace at the middle of its row.
    away = columns - x[..., np.newaxis]
    rows = row[..., np.newaxis]
    light = np.where(lamp.good[rows, columns], lamp.image[rows, columns], 0.0)
    moved = 0.0
    for _ in range(6):
        window = np.exp(-0.5 * ((away - moved) / sigma_px) ** 2)
        weight = window * light
        moved += 2 * float(np.sum(weight * (away - moved)) / max(float(np.sum(weight)), 1e-9))
    return moved


def _along(lamp: LampImage, x: Floats, y: Floats) -> float:
    """How far spectra lie from their places along the dispersion [px].

    Told by the dark gap between the blue end of a spectrum and the red end of the one below it.
    """
    steps = np.arange(-GAP_REACH_PX, GAP_REACH_PX + 1)
    length = float(np.median(y[1] - y[0]))
    centre = y[0] - (PERIOD_PX - length) / 2
    column, row = np.rint(x[0]).astype(int), np.rint(centre).astype(int)
    rows = row + steps[:, np.newaxis]
    inside = (rows.min(axis=0) >= 0) & (rows.max(axis=0) < DETECTOR_PX)
    rows, column, centre = rows[:, inside], column[inside], centre[inside]
    light = np.where(lamp.good[rows, column], lamp.image[rows, column], np.nan)
    dark = np.nanpercentile(light, 90, axis=0) - light
    away = rows - centre
    moved = 0.0
    for _ in range(8):
        weight = np.exp(-0.5 * ((away - moved) / GAP_SIGMA_PX) ** 2) * dark
        weight = np.where(np.isfinite(weight), weight, 0.0)
        moved += 2 * float(np.sum(weight * (away - moved)) / max(float(np.sum(weight)), 1e-9))
    return moved


def _lit(lamp: LampImage, dispersion: Dispersion, lenslets: Lenslets, placement: Placement) -> int:
    """Count the spectra that are there."""
    x, y = dispersion.at(lenslets, 1.15, placement)
    column, row = np.rint(x[0]).astype(int), np.rint(y[0]).astype(int)
    light = lamp.image[row, column]
    return int(np.sum(light > 0.2 * np.median(light)))
