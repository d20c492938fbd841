"""Shape of a point-spread function: a Gaussian fit, and recentring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.fourier import shift_fft

_SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


@dataclass(frozen=True)
class PsfShape:
    """Elliptical Gaussian without tilt.

    Attributes
    ----------
    x_px, y_px : float
        Centre on the image, 0-based [px].
    fwhm_x_px, fwhm_y_px : float
        Full widths at half maximum [px].
    peak : float
        Height above zero, unit of the image.
    """

    x_px: float
    y_px: float
    fwhm_x_px: float
    fwhm_y_px: float
    peak: float

    @property
    def fwhm_px(self) -> float:
        """Mean of the two widths [px]."""
        return 0.5 * (self.fwhm_x_px + self.fwhm_y_px)


def fit_psf(image: NDArray[Any], guess_fwhm_px: float = 4.0) -> PsfShape:
    """Fit a Gaussian to the core of a point-spread function.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Image with one dominant source and no background. NaN is left out.
    guess_fwhm_px : float
        Starting width; the fit uses pixels within 1.5 widths of the peak and is repeated once
        with the width found [px].

    Returns
    -------
    PsfShape

    Raises
    ------
    KernelInputError
        If the image has no positive peak or too few valid pixels about it.
    """
    data = np.asarray(image, np.float64)
    if data.ndim != 2 or not np.any(np.isfinite(data)) or np.nanmax(data) <= 0:
        raise KernelInputError("PSF image without a positive peak")
    y, x = np.unravel_index(int(np.nanargmax(data)), data.shape)
    shape = PsfShape(float(x), float(y), guess_fwhm_px, guess_fwhm_px, float(data[y, x]))
    for _ in range(2):
        shape = _fit_once(data, shape)
    return shape


def _fit_once(data: NDArray[np.float64], start: PsfShape) -> PsfShape:
    y, x = np.mgrid[: data.shape[0], : data.shape[1]].astype(np.float64)
    near = np.hypot(x - start.x_px, y - start.y_px) <= 1.5 * start.fwhm_px
    use = near & np.isfinite(data)
    if use.sum() < 9:
        raise KernelInputError(f"{int(use.sum())} valid PSF pixels, at least 9 wanted")
    x, y, values = x[use], y[use], data[use] / start.peak

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        model = p[4] * np.exp(-0.5 * (((x - p[0]) / p[2]) ** 2 + ((y - p[1]) / p[3]) ** 2))
        return np.asarray(model - values)

    width = start.fwhm_px * _SIGMA_PER_FWHM
    first = [start.x_px, start.y_px, width, width, 1.0]
    found = optimize.least_squares(misfit, first, method="lm").x
    return PsfShape(
        float(found[0]),
        float(found[1]),
        float(abs(found[2]) / _SIGMA_PER_FWHM),
        float(abs(found[3]) / _SIGMA_PER_FWHM),
        float(found[4] * start.peak),
    )


def centred_psf(image: NDArray[Any], shape: PsfShape, size: int) -> NDArray[np.float64]:
    """Cut a PSF out with its centre on pixel ``(size // 2, size // 2)``.

    Parameters
    ----------
    image : array, shape (ny, nx)
        PSF; NaN counts as zero.
    shape : PsfShape
        Where its centre is.
    size : int
        Side of the result, odd [px]; beyond the image is zero.

    Returns
    -------
    array of float64, shape (size, size)
        The residual shift of at most half a pixel is made with a phase ramp, unless it is
        below 0.005 px.
    """
    if size % 2 == 0:
        raise KernelInputError(f"size={size}, odd wanted")
    data = np.nan_to_num(np.asarray(image, np.float64))
    x, y = round(shape.x_px), round(shape.y_px)
    half = size // 2 + 8
    padded = np.pad(data, half)
    cut = padded[y : y + 2 * half + 1, x : x + 2 * half + 1]
    shift_x, shift_y = x - shape.x_px, y - shape.y_px
    if max(abs(shift_x), abs(shift_y)) >= 0.005:
        cut = np.asarray(shift_fft(cut, shift_x, shift_y))
    return cut[8:-8, 8:-8]
