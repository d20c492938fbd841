"""Off-axis star of the FLUX exposures: point-spread function on the scale of the science."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.banded import apply_columns, apply_rows, box_matrix
from spheredc_hpc.kernels.gaussian import SIGMA_TO_FWHM, GaussianFit, Shape, fit_gaussian
from spheredc_hpc.kernels.resample import recentring_grid, resample
from spheredc_hpc.level1.io import Floats, Image, Mask
from spheredc_hpc.level1.parts.strehl import StrehlSettings

# Core pixels lost to saturation above which a star is centred without its core.
LOST_CORE_PX = 4
CENTROID_ROUNDS = 12
SATURATED_ERROR_PX = 0.2


class PhotometrySettings(Section):
    """Reduction of FLUX exposures."""

    size_px: int = Field(64, ge=16, le=512, description="Side of the point-spread function [px].")
    search_px: float = Field(
        150.0, gt=10, description="How far the star may lie from the coronagraph mask [px]."
    )
    drop_first: bool = Field(
        False, description="Leave out the first integration of each file, often unstable."
    )
    clip_sigma: float = Field(
        3.0, gt=1, description="Flux distance from the median beyond which a frame is left out."
    )
    clip_floor: float = Field(
        0.02, ge=0, lt=1, description="Relative flux distance that is always accepted."
    )
    largest_change: float = Field(
        0.1,
        gt=0,
        description="Relative difference of the flux between FLUX files above which the product "
        "is flagged.",
    )
    aperture_fwhm: float = Field(
        3.0, gt=0.5, description="Radius of the aperture for the flux [FWHM]."
    )
    clip_width: float = Field(
        0.1,
        gt=0,
        description="Relative distance of the width from the median of the file that is always "
        "accepted.",
    )
    strehl: StrehlSettings = Field(StrehlSettings(), description="Strehl ratio.")


@dataclass(frozen=True)
class StarFrame:
    """One channel of one integration of a FLUX exposure.

    Attributes
    ----------
    psf : array, shape (size, size)
        Star on ``(size // 2, size // 2)``, at the neutral density of the science [adu/s].
    xy : array, shape (2,)
        Star on the field [px].
    flux : float
        Sum in the aperture [adu/s].
    fwhm_px : float
        Of the fitted Gaussian.
    peak_adu : float
        Highest raw count within one FWHM.
    background : dict or None
        Terms of the background that was fitted to the frame, if it was.
    lost : bool
        Whether the core is lost in saturation: flux and shape mean nothing.
    strehl, strehl_err : float
        Peak over that of an undisturbed image; NaN if it could not be measured.
    """

    psf: Image
    xy: Floats
    flux: float
    fwhm_px: float
    peak_adu: float
    background: dict[str, float | None] | None = None
    lost: bool = False
    strehl: float = float("nan")
    strehl_err: float = float("nan")


def find_star(
    image: Image, guess_xy: tuple[float, float], reach_px: float, fwhm_px: float, usable: Mask
) -> GaussianFit:
    """Find and fit the brightest star within `reach_px` of a position.

    Parameters
    ----------
    image : array
        Clean counts [adu], finite.
    guess_xy : (float, float)
        Middle of the search (x, y) [px].
    reach_px, fwhm_px : float
        Radius of the search; expected width [px].
    usable : array of bool
        Pixels for the fit: good and below the limit of linearity.

    Raises
    ------
    KernelInputError
        If the fit does not converge.
    """
    width = max(round(fwhm_px) | 1, 3)
    rows, columns = (box_matrix(n, width) for n in image.shape)
    smooth = apply_columns(apply_rows(rows, image), columns)
    y, x = np.indices(image.shape)
    near = np.hypot(x - guess_xy[0], y - guess_xy[1]) <= reach_px
    if not near.any():
        raise KernelInputError(f"no pixel within {reach_px:g} px of {guess_xy}")
    row, column = np.unravel_index(int(np.argmax(np.where(near, smooth, -np.inf))), image.shape)
    half = int(np.ceil(1.5 * fwhm_px)) + 1
    x0, y0 = max(int(column) - half, 0), max(int(row) - half, 0)
    box = np.s_[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
    core = np.hypot(x - column, y - row)[box] <= fwhm_px
    if np.sum(~usable[box] & core) > LOST_CORE_PX:
        return clipped_star(image, (float(column), float(row)), fwhm_px, usable)
    shape = Shape(sigma_px=(0.3 * fwhm_px, 2 * fwhm_px), reach_px=fwhm_px)
    start = float(column - x0), float(row - y0)
    fit = fit_gaussian(image[box], start, fwhm_px / SIGMA_TO_FWHM, shape, usable[box])
    if not fit.converged:
        raise KernelInputError(f"the star at {int(column)}, {int(row)} could not be fitted")
    return GaussianFit(**{**fit.__dict__, "x": fit.x + x0, "y": fit.y + y0})


def clipped_star(
    image: Image, start_xy: tuple[float, float], fwhm_px: float, usable: Mask
) -> GaussianFit:
    """Centre a star whose core is lost: centroid of its counts, clipped at the level of the rim.

    The aperture follows the centroid, so that a symmetric star gives its centre. The width is
    the one expected.
    """
    y, x = np.indices(image.shape)
    at = np.array(start_xy)
    for _ in range(CENTROID_ROUNDS):
        radius = np.hypot(x - at[0], y - at[1])
        near = radius <= 3 * fwhm_px
        rim = near & usable & (radius > fwhm_px)
        if not rim.any():
            raise KernelInputError("no usable pixel around a star that is lost in saturation")
        level = float(np.percentile(image[rim], 95))
        light = np.clip(np.where(usable, image, level), 0, level)
        soft = np.clip(3 * fwhm_px - radius, 0, 1) * light
        at = np.array([np.sum(soft * x), np.sum(soft * y)]) / max(float(soft.sum()), 1e-30)
    sigma = fwhm_px / SIGMA_TO_FWHM
    error = np.eye(2) * SATURATED_ERROR_PX**2
    return GaussianFit(float(at[0]), float(at[1]), sigma, sigma, level, 0.0, error, 0.0, True)


def cut_star(
    image: Image, xy: tuple[float, float], scale_xy: tuple[float, float], size: int
) -> Image:
    """Recentre a star by the interpolation of the science, shape (size, size) [adu].

    Raises
    ------
    KernelInputError
        If the star is so near to the edge that part of the result has no data.
    """
    grid = recentring_grid(xy, scale_xy, size, image.shape)
    if not grid.inside.all():
        raise KernelInputError(f"the star at {xy[0]:.0f}, {xy[1]:.0f} is too near to the edge")
    return resample(image, grid)


def aperture_sum(image: Image, radius_px: float) -> float:
    """Sum within a radius of pixel ``(n // 2, n // 2)``."""
    n = image.shape[0]
    y, x = np.indices(image.shape) - n // 2
    return float(image[np.hypot(x, y) <= radius_px].sum(dtype=np.float64))


def judged_frames(flux: Floats, width: Floats, settings: PhotometrySettings) -> list[str]:
    """Say why integrations of a file are left out: flux or width unlike that of the others.

    Parameters
    ----------
    flux, width : array, shape (channel, n)
        Aperture sums [adu/s] and widths [px]; NaN where the star was not measured.

    Returns
    -------
    list of str
        One an integration; empty for those to keep.
    """
    measured: Mask = np.isfinite(np.concatenate([flux, width])).all(axis=0)
    why = ["" if good else "no star was measured" for good in measured]
    kept = measured.copy()
    floors = {"flux": settings.clip_floor, "width": settings.clip_width}
    for name, values in (("flux", flux), ("width", width)):
        for row in values:
            if not kept.any():
                break
            middle = np.median(row[kept])
            spread = 1.4826 * np.median(np.abs(row[kept] - middle))
            limit = max(settings.clip_sigma * spread, floors[name] * abs(middle))
            for i in np.flatnonzero(kept & (np.abs(row - middle) > limit)):
                off = 100 * (row[i] / middle - 1)
                why[i] = f"{name} {off:+.1f} % from that of the file, {100 * limit / middle:.1f} %"
                why[i] += " is steady"
            kept = np.array([not text for text in why])
    return why


def file_fluxes(
    frames: list[list[StarFrame]], names: list[str]
) -> tuple[list[dict[str, Any]], float]:
    """Compare the FLUX files of an observation.

    Parameters
    ----------
    frames : list of list of StarFrame
        Accepted frames by channel.
    names : list of str
        File of each frame, in time order.

    Returns
    -------
    files : list of dict
        Mean ``flux`` [adu/s] and ``fwhm_px`` of each channel, and the number of ``frames``.
    change : float
        Largest relative difference of the mean flux of two files in a channel; 0 for one file.
    """
    files = []
    for name in dict.fromkeys(names):
        held = [[f for f, of in zip(row, names, strict=True) if of == name] for row in frames]
        files.append(
            {
                "archive_id": name,
                "frames": len(held[0]),
                "flux": [float(np.mean([f.flux for f in row])) for row in held],
                "fwhm_px": [float(np.mean([f.fwhm_px for f in row])) for row in held],
            }
        )
    flux = np.array([item["flux"] for item in files])
    return files, float(np.max(np.ptp(flux, axis=0) / flux.mean(axis=0)))


def flux_quality(frames: list[list[StarFrame]], accepted: Mask) -> dict[str, Any]:
    """Figures of the accepted FLUX frames for the receipt; `frames` by channel.

    `strehl_err` is the mean error of a frame, as it is common to all; None for what no frame has.
    """
    quality: dict[str, Any] = {
        "frames": int(accepted.sum()),
        "frames_left_out": int((~accepted).sum()),
    }
    for name in ("flux", "fwhm_px", "peak_adu"):
        values = [[getattr(frame, name) for frame in row] for row in frames]
        quality[name] = [float(np.mean(row)) for row in values]
    for name in ("strehl", "strehl_err"):
        rows = [np.array([getattr(frame, name) for frame in row]) for row in frames]
        known = [row[np.isfinite(row)] for row in rows]
        quality[name] = [float(np.mean(row)) if len(row) else None for row in known]
    flux = np.array([[frame.flux for frame in row] for row in frames])
    quality["flux_rms"] = (flux.std(axis=1) / flux.mean(axis=1)).tolist()
    return quality
