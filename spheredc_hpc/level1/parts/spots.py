"""Star centre behind the coronagraph from four satellite spots."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.badpixels import median_background
from spheredc_hpc.kernels.banded import apply_columns, apply_rows, box_matrix
from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.kernels.gaussian import (
    SIGMA_TO_FWHM,
    GaussianFit,
    Shape,
    fit_gaussian,
    gaussian_model,
)
from spheredc_hpc.kernels.lines import crossing
from spheredc_hpc.level1.io import Floats, Image, Mask

# Pixels this far from the fitted spot, in rms of the residuals, are left out of a second fit.
OUTLIER_RMS = 5.0
# The box mean that is taken out before the search, in units (odd) of the box of a spot.
WIDER = 7


class SpotSettings(Section):
    """Search and fit of satellite spots."""

    search_px: int = Field(
        24, ge=2, le=100, description="How far the star may lie from the first guess [px]."
    )
    box_px: int = Field(17, ge=9, le=41, description="Side of the box of a spot's fit, odd [px].")
    high_pass_px: int = Field(
        15, ge=0, le=61, description="Box of the running median that is subtracted [px]; 0: none."
    )
    detection: float = Field(
        8.0, gt=0, description="Pattern over the scatter of the search below which it is not found."
    )
    diagonal_tolerance: float = Field(
        0.02, gt=0, lt=0.5, description="Largest difference of the two diagonals, relative."
    )
    radius_tolerance: float = Field(
        0.03, gt=0, lt=0.5, description="Largest departure from the expected radius, relative."
    )
    residual_px: float = Field(
        0.6, gt=0, description="Largest departure of the spots from a square, rms [px]."
    )
    largest_error_px: float = Field(
        0.7,
        gt=0,
        description="Stated error of the fits, or distance from the second method, above which "
        "that method may replace them [px].",
    )
    shared_error_px: float = Field(
        0.03,
        gt=0,
        description="Expected error of a centre from speckles beneath the spots [px]; weighs "
        "like the two measured numbers of one frame.",
    )


@dataclass(frozen=True)
class Pattern:
    """Where spots are expected, in a rectangle of one field.

    Attributes
    ----------
    guess_xy : (float, float)
        First guess of the star [px].
    radius_px : float
        Distance of the spots in pixels of x.
    angles_deg : array, shape (4,)
        Directions of the spots, counter-clockwise from +x.
    anamorphism : (float, float)
        True lengths per pixel along x and y, in pixels of x.
    fwhm_px : float
        Of a spot.
    """

    guess_xy: tuple[float, float]
    radius_px: float
    angles_deg: Floats
    anamorphism: tuple[float, float]
    fwhm_px: float

    @property
    def offsets(self) -> Floats:
        """Offsets of the spots from the star on the detector, shape (4, 2) [px]."""
        angle = np.radians(self.angles_deg)
        true = self.radius_px * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(true / np.array(self.anamorphism))


@dataclass(frozen=True)
class SpotCentre:
    """What one frame gives.

    Attributes
    ----------
    xy : array, shape (2,)
        Crossing of the diagonals, (x, y) [px].
    covariance : array, shape (2, 2)
        From the residuals of the fits [px2].
    spots : array, shape (4, 2)
        Positions of the spots [px].
    departures : array, shape (4, 2)
        Of the spots from the square that fits best, in true pixels.
    flux : float
        Mean peak of the spots [adu].
    problems : tuple of str
        Why the centre should not be used; empty if it may.
    """

    xy: Floats
    covariance: Floats
    spots: Floats
    departures: Floats
    flux: float
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problems

    def moved(self, x: float, y: float) -> SpotCentre:
        """Give the same with positions counted from another corner."""
        shift = np.array([x, y], dtype=np.float64)
        return replace(self, xy=self.xy + shift, spots=self.spots + shift)


def measure_spots(
    image: Image, good: Mask, pattern: Pattern, settings: SpotSettings
) -> SpotCentre | None:
    """Find the four spots and cross their diagonals.

    Parameters
    ----------
    image : array
        Clean counts of a rectangle [adu], finite.
    good : array of bool
        Pixels that were measured.
    pattern : Pattern
    settings : SpotSettings

    Returns
    -------
    SpotCentre or None
        None if no pattern stands out in the search box.
    """
    found = find_pattern(image, pattern, settings)
    if found is None:
        return None
    fits = [
        _fit_spot(image, good, found + offset, angle, pattern.fwhm_px, settings)
        for offset, angle in zip(pattern.offsets, pattern.angles_deg, strict=True)
    ]
    if any(fit is None for fit in fits):
        return None
    held = [fit for fit in fits if fit is not None]
    spots = np.array([[fit.x, fit.y] for fit in held])
    try:
        xy, covariance = crossing(spots, np.stack([fit.covariance for fit in held]))
    except KernelInputError:
        return None
    departures = square_departures(spots, np.array(pattern.anamorphism))
    problems = _problems(held, spots, departures, pattern, settings)
    flux = float(np.mean([fit.amplitude for fit in held]))
    return SpotCentre(xy, covariance, spots, departures, flux, tuple(problems))


def find_pattern(image: Image, pattern: Pattern, settings: SpotSettings) -> Floats | None:
    """Search the star position at which all four spots are bright.

    The image is averaged over about one spot, less its mean over a wider box; the score of a
    position is the sum of the three faintest of its four spots, so that one bright companion
    or hit does not decide.

    Returns
    -------
    array, shape (2,), or None
        Whole-pixel position (x, y); None if the best score does not stand out.
    """
    reach = settings.search_px
    width = max(round(pattern.fwhm_px) | 1, 3)
    smooth = _box_mean(image, width) - _box_mean(image, WIDER * width)
    values = []
    for offset in pattern.offsets:
        x = round(pattern.guess_xy[0] + offset[0]) - reach
        y = round(pattern.guess_xy[1] + offset[1]) - reach
        if min(x, y) < 0 or x + 2 * reach >= image.shape[1] or y + 2 * reach >= image.shape[0]:
            return None
        values.append(smooth[y : y + 2 * reach + 1, x : x + 2 * reach + 1])
    score = np.sort(np.stack(values), axis=0)[:3].sum(axis=0)
    y, x = np.unravel_index(int(np.argmax(score)), score.shape)
    spread = robust_sigma(score)
    if not score[y, x] - np.median(score) > settings.detection * max(spread, 1e-30):
        return None
    return np.array(
        [round(pattern.guess_xy[0]) + x - reach, round(pattern.guess_xy[1]) + y - reach],
        dtype=np.float64,
    )


def _box_mean(image: Image, width: int) -> Image:
    rows, columns = (box_matrix(n, width) for n in image.shape)
    return apply_columns(apply_rows(rows, image), columns)


def _fit_spot(
    image: Image, good: Mask, at: Floats, angle: float, fwhm_px: float, settings: SpotSettings
) -> GaussianFit | None:
    half = settings.box_px // 2
    x0, y0 = round(float(at[0])) - half, round(float(at[1])) - half
    box = np.s_[max(y0, 0) : y0 + 2 * half + 1, max(x0, 0) : x0 + 2 * half + 1]
    if min(x0, y0) < 0 or image[box].shape != (2 * half + 1, 2 * half + 1):
        return None
    cut = high_passed(image, box, settings.high_pass_px)
    sigma = fwhm_px / SIGMA_TO_FWHM
    shape = Shape(angle_deg=float(angle), sigma_px=(0.5 * sigma, 4 * sigma), reach_px=0.6 * half)
    start = float(at[0] - x0), float(at[1] - y0)
    used = good[box]
    try:
        fit = fit_gaussian(cut, start, sigma, shape, used)
        odd = np.abs(cut - _model(fit, float(angle), cut.shape)) > OUTLIER_RMS * fit.residual_rms
        if (odd & used).any():
            fit = fit_gaussian(cut, start, sigma, shape, used & ~odd)
    except KernelInputError:
        return None
    return GaussianFit(**{**fit.__dict__, "x": fit.x + x0, "y": fit.y + y0})


def high_passed(image: Image, box: tuple[slice, slice], width: int) -> Image:
    """Cut a box out of an image, less its running median; as it is for a width of 0."""
    return image[box] - _running_median(image, box, width) if width else image[box]


def _running_median(image: Image, box: tuple[slice, slice], width: int) -> Image:
    """Take the running median within `box`, from the pixels around it too."""
    margin = width // 2
    rows = slice(max(box[0].start - margin, 0), box[0].stop + margin)
    columns = slice(max(box[1].start - margin, 0), box[1].stop + margin)
    smooth = median_background(image[rows, columns], width)
    top, left = box[0].start - rows.start, box[1].start - columns.start
    return smooth[top : top + box[0].stop - box[0].start, left : left + box[1].stop - box[1].start]


def _model(fit: GaussianFit, angle_deg: float, shape: tuple[int, ...]) -> Floats:
    y, x = (axis.ravel().astype(np.float64) for axis in np.indices(shape))
    parameters = [fit.x, fit.y, fit.amplitude, fit.offset, fit.sigma_u, fit.sigma_v]
    values, _ = gaussian_model(np.array(parameters), x, y, angle_deg)
    return values.reshape(shape)


def square_departures(spots: Floats, anamorphism: Floats) -> Floats:
    """Departures of four corners from the square that fits them best.

    Centre, size and turn of the square are free, which leaves four of the eight coordinates.

    Parameters
    ----------
    spots : array, shape (4, 2)
        Corners in order of angle [px].
    anamorphism : array, shape (2,)
        True lengths per pixel along x and y.

    Returns
    -------
    array, shape (4, 2)
    """
    true = (spots - spots.mean(axis=0)) * anamorphism
    corner = true[:, 0] + 1j * true[:, 1]
    turn = np.exp(-1j * np.pi / 2 * np.arange(4))
    departure = corner - np.mean(corner * turn) / turn
    return np.stack([departure.real, departure.imag], axis=1)


def best_three(spots: Floats, anamorphism: Floats) -> tuple[int, Floats, float]:
    """Find the corner without which the others fit a square best.

    Parameters
    ----------
    spots : array, shape (4, 2)
        Corners in order of angle [px].
    anamorphism : array, shape (2,)
        True lengths per pixel along x and y.

    Returns
    -------
    odd : int
        The corner that is left out.
    xy : array, shape (2,)
        Centre of the square of the others (x, y) [px].
    residual_px : float
        Their departures from it, root of the sum of squares per free coordinate, of which
        there are two [px].
    """
    true = spots * anamorphism
    corner = true[:, 0] + 1j * true[:, 1]
    turn = np.exp(1j * np.pi / 2 * np.arange(4))
    found = []
    for odd in range(4):
        kept = np.arange(4) != odd
        design = np.stack([np.ones(3), turn[kept]], axis=1)
        solution = np.linalg.lstsq(design, corner[kept], rcond=None)[0]
        misfit = corner[kept] - design @ solution
        found.append((float(np.sqrt(np.sum(np.abs(misfit) ** 2) / 2)), odd, solution[0]))
    residual, odd, centre = min(found, key=lambda item: item[0])
    return odd, np.array([centre.real, centre.imag]) / anamorphism, residual


def _problems(
    fits: list[GaussianFit],
    spots: Floats,
    departures: Floats,
    pattern: Pattern,
    settings: SpotSettings,
) -> list[str]:
    problems = []
    if not all(fit.converged for fit in fits):
        problems.append("the fit of a spot did not converge")
    true = spots * np.array(pattern.anamorphism)
    diagonals = np.hypot(*(true[2:] - true[:2]).T)
    inequality = abs(diagonals[0] / diagonals[1] - 1)
    if inequality > settings.diagonal_tolerance:
        problems.append(f"diagonals differ by {100 * inequality:.1f} %")
    radius = diagonals.mean() / 2
    if abs(radius / pattern.radius_px - 1) > settings.radius_tolerance:
        problems.append(f"spot radius {radius:.2f} px, expected {pattern.radius_px:.2f} px")
    rms = float(np.sqrt(np.mean(departures**2)))
    if rms > settings.residual_px:
        problems.append(f"spots depart from a square by {rms:.2f} px")
    return problems
