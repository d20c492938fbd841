"""Star centre without satellite spots: symmetry of the halo, or the star itself."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy import fft

from spheredc_hpc.config import Section
from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.badpixels import median_background
from spheredc_hpc.kernels.banded import apply_columns, apply_rows, box_matrix
from spheredc_hpc.kernels.gaussian import SIGMA_TO_FWHM, Shape, fit_gaussian
from spheredc_hpc.level1.io import Floats, Image
from spheredc_hpc.level1.parts.photometry import LOST_CORE_PX, clipped_star

ROUNDS = 6
BROAD_BOX_PX = 31


class HaloSettings(Section):
    """Centre from the point symmetry of the speckled halo."""

    inner_px: float = Field(
        12.0, ge=0, description="Radius of the mask that is left out around the star [px]."
    )
    outer_px: float = Field(90.0, gt=10, description="Radius of the halo that is used [px].")
    search_px: float = Field(
        24.0, gt=0, description="How far the star may lie from the first guess [px]."
    )
    files: int = Field(4, ge=1, description="Science files that are looked at, spread evenly.")
    error_px: float = Field(
        0.5, gt=0, description="Error of a halo centre, added to its scatter [px]."
    )


def halo_centre(image: Image, guess_xy: tuple[float, float], settings: HaloSettings) -> Floats:
    """Find the point about which a halo and its speckles are most alike when turned by 180 deg.

    Parameters
    ----------
    image : array
        Clean counts of a rectangle [adu], finite.
    guess_xy : (float, float)
        First guess (x, y) [px].
    settings : HaloSettings

    Returns
    -------
    array, shape (2,)
        Centre (x, y) [px].

    Raises
    ------
    KernelInputError
        If the search leaves its box or the rectangle.

    Notes
    -----
    Small phase errors make speckles that are symmetric about the star, so the convolution of
    the image with itself peaks at twice the centre. Large scales are removed and the rest
    is brought to equal contrast at all radii, so that all speckles count. The window follows
    the centre until it stands still. Amplitude errors and a wind-driven halo break the
    symmetry.
    """
    start = brightest(image, guess_xy, settings.search_px)
    centre = start
    flat = _equal_contrast(image)
    for _ in range(ROUNDS):
        moved = _symmetry_point(flat, centre, settings)
        done = float(np.hypot(*(moved - centre))) < 0.01
        centre = moved
        if done:
            break
    if float(np.hypot(*(centre - np.array(guess_xy)))) > 1.5 * settings.search_px:
        raise KernelInputError(f"halo centre {centre.round(1).tolist()} is far from {guess_xy}")
    return centre


def brightest(image: Image, guess_xy: tuple[float, float], reach_px: float) -> Floats:
    """Whole-pixel position of the brightest area within `reach_px` of a guess, (x, y)."""
    rows, columns = (box_matrix(n, min(BROAD_BOX_PX, (n - 1) | 1)) for n in image.shape)
    broad = apply_columns(apply_rows(rows, image), columns)
    y, x = np.indices(image.shape)
    near = np.hypot(x - guess_xy[0], y - guess_xy[1]) <= reach_px
    if not near.any():
        raise KernelInputError(f"guess {guess_xy} lies outside of the image {image.shape}")
    best = int(np.argmax(np.where(near, broad, -np.inf)))
    row, column = np.unravel_index(best, image.shape)
    return np.array([column, row], dtype=np.float64)


def _symmetry_point(flat: Image, centre: Floats, settings: HaloSettings) -> Floats:
    half = int(np.ceil(settings.outer_px)) + 2
    x0, y0 = round(float(centre[0])) - half, round(float(centre[1])) - half
    cut = flat[max(y0, 0) : y0 + 2 * half + 1, max(x0, 0) : x0 + 2 * half + 1].copy()
    if min(x0, y0) < 0 or cut.shape != (2 * half + 1, 2 * half + 1):
        raise KernelInputError(f"halo window at {centre.round(1).tolist()} leaves the image")
    y, x = np.indices(cut.shape)
    radius = np.hypot(x - (centre[0] - x0), y - (centre[1] - y0))
    edge = np.clip((settings.outer_px - radius) / 8, 0, 1)
    core = np.clip((radius - settings.inner_px) / 3, 0, 1)
    cut *= (edge * core).astype(np.float32)
    size = fft.next_fast_len(2 * cut.shape[0], real=True)
    spectrum = fft.rfft2(cut, s=(size, size))
    product = fft.irfft2(spectrum * spectrum, s=(size, size))
    middle = 2 * half
    reach = 8
    box = product[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    row, column = np.unravel_index(int(np.argmax(box)), box.shape)
    peak_y, peak_x = middle - reach + int(row), middle - reach + int(column)
    near = product[peak_y - 3 : peak_y + 4, peak_x - 3 : peak_x + 4]
    fit = fit_gaussian(near, (3.0, 3.0), 1.5, Shape(reach_px=2.0))
    return np.array([x0 + (peak_x - 3 + fit.x) / 2, y0 + (peak_y - 3 + fit.y) / 2])


def _equal_contrast(image: Image) -> Image:
    """Remove large scales and divide by the local amplitude of what is left."""
    sharp = image - median_background(image, 15)
    rows, columns = (box_matrix(n, 21) for n in image.shape)
    power = apply_columns(apply_rows(rows, sharp * sharp), columns)
    floor = np.float32(0.05 * np.median(power))
    return np.asarray(sharp / np.sqrt(power + floor), dtype=np.float32)


def star_centre(
    image: Image,
    guess_xy: tuple[float, float],
    fwhm_px: float,
    reach_px: float,
    ceiling: float = np.inf,
) -> tuple[Floats, Floats]:
    """Fit a star that no mask hides; one without core is centred on what is left around it.

    Pixels at `ceiling` and above are saturated, in the unit of the image.

    Returns
    -------
    xy : array, shape (2,)
        Centre [px].
    error : array, shape (2,)
        From the residuals of the fit [px].

    Raises
    ------
    KernelInputError
        If the fit does not converge near the brightest pixel.
    """
    rows, columns = (box_matrix(n, 3) for n in image.shape)
    smooth = apply_columns(apply_rows(rows, image), columns)
    y, x = np.indices(image.shape)
    near = np.hypot(x - guess_xy[0], y - guess_xy[1]) <= reach_px
    if not near.any():
        raise KernelInputError(f"guess {guess_xy} lies outside of the image {image.shape}")
    row, column = np.unravel_index(int(np.argmax(np.where(near, smooth, -np.inf))), image.shape)
    lost = np.asarray(image >= ceiling)
    core = np.asarray(lost & near)
    if int(np.count_nonzero(core)) > LOST_CORE_PX:
        # The brightest place of a flat top is anywhere on it.
        lost_y, lost_x = np.nonzero(core)
        start = float(lost_x.mean()), float(lost_y.mean())
        wide = max(fwhm_px, 2 * float(np.sqrt(np.count_nonzero(core) / np.pi)))
        fit = clipped_star(image, start, wide, ~lost)
        return np.array([fit.x, fit.y]), np.sqrt(np.diag(fit.covariance))
    half = max(int(np.ceil(1.5 * fwhm_px)), 4)
    x0, y0 = max(int(column) - half, 0), max(int(row) - half, 0)
    cut = image[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
    guess = float(column - x0), float(row - y0)
    fit = fit_gaussian(cut, guess, fwhm_px / SIGMA_TO_FWHM, Shape(reach_px=half / 2))
    if not fit.converged:
        raise KernelInputError(f"no star could be fitted at {int(column)}, {int(row)}")
    return np.array([fit.x + x0, fit.y + y0]), np.sqrt(np.diag(fit.covariance))
