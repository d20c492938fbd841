"""Sums in circular apertures with exact pixel overlap."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.errors import KernelInputError

Array = Any
Floats = NDArray[np.float64]


def _corner_area(a: Floats, b: Floats) -> Floats:
    """Area of the part of the unit disc with ``x <= a`` and ``y <= b``."""
    a, b = np.clip(a, -1.0, 1.0), np.clip(b, -1.0, 1.0)
    half_a, half_b = np.sqrt(1 - a * a), np.sqrt(1 - b * b)
    left = (a * half_a + np.arcsin(a)) / 2
    below = (b * half_b + np.arcsin(b)) / 2
    inside = a * b + left + below + np.pi / 4
    strip_left, strip_below = 2 * left + np.pi / 2, 2 * below + np.pi / 2
    outside = np.where(
        a >= 0,
        np.where(b >= 0, strip_left + strip_below - np.pi, strip_below),
        np.where(b >= 0, strip_left, 0.0),
    )
    return np.where(a * a + b * b < 1, inside, outside)


def disc_overlap(x: ArrayLike, y: ArrayLike, radius_px: float) -> Floats:
    """Area of unit pixels that a disc about the origin covers.

    Parameters
    ----------
    x, y : array_like
        Pixel centres relative to the centre of the disc [px], broadcast together.
    radius_px : float
        Radius of the disc [px], > 0.

    Returns
    -------
    array of float64
        Covered area, 0 to 1 [px**2]; exact to round-off.

    Raises
    ------
    KernelInputError
        If the radius is not positive.
    """
    if not radius_px > 0:
        raise KernelInputError(f"aperture radius {radius_px} px, above 0 wanted")
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    x0, x1 = (x - 0.5) / radius_px, (x + 0.5) / radius_px
    y0, y1 = (y - 0.5) / radius_px, (y + 0.5) / radius_px
    area = _corner_area(x1, y1) - _corner_area(x0, y1) - _corner_area(x1, y0) + _corner_area(x0, y0)
    return np.clip(area * radius_px**2, 0.0, 1.0)


def aperture_kernel(radius_px: float) -> Floats:
    """Weights of an aperture that is centred on a pixel; odd square array."""
    reach = int(np.ceil(radius_px + 0.5)) - 1
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    return disc_overlap(offset[None, :], offset[:, None], radius_px)


def aperture_sums(image: Array, radius_px: float) -> Array:
    """Sum in the aperture about every pixel of an image.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Finite image; outside of it is zero.
    radius_px : float
        Radius of the aperture [px].

    Returns
    -------
    array of float64, shape (ny, nx)
        Sum of pixel value times covered area.

    Notes
    -----
    A convolution with `aperture_kernel`, as one shifted addition for each of its elements.
    Cost: O(ny * nx * radius_px**2).
    """
    xp = array_namespace(image)
    kernel = aperture_kernel(radius_px)
    reach = kernel.shape[0] // 2
    ny, nx = image.shape
    padded = xp.zeros((ny + 2 * reach, nx + 2 * reach), dtype=xp.float64)
    padded[reach : reach + ny, reach : reach + nx] = xp.astype(image, xp.float64)
    if is_numpy_namespace(xp):
        return _convolve(padded, kernel, ny, nx)
    total = xp.zeros((ny, nx), dtype=xp.float64)
    for j, i in np.argwhere(kernel > 0).tolist():
        total = total + padded[j : j + ny, i : i + nx] * float(kernel[j, i])
    return total


@numba.njit(cache=True, nogil=True)
def _convolve(padded, kernel, ny, nx):  # type: ignore[no-untyped-def]
    """Sum shifted images, row after row so that a row of the result stays in the cache."""
    total = np.zeros((ny, nx))
    for y in range(ny):
        line = total[y]
        for j in range(kernel.shape[0]):
            for i in range(kernel.shape[1]):
                weight = kernel[j, i]
                if weight > 0:
                    source = padded[y + j, i : i + nx]
                    for x in range(nx):
                        line[x] += source[x] * weight
    return total


def aperture_sum(image: NDArray[Any], x: float, y: float, radius_px: float) -> float:
    """Sum in one aperture centred anywhere.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Image.
    x, y : float
        Centre of the aperture [px].
    radius_px : float
        Radius [px].

    Returns
    -------
    float
        Sum of pixel value times covered area; NaN if the aperture leaves the image or holds
        a NaN.
    """
    ny, nx = image.shape
    x0, x1 = int(np.floor(x - radius_px + 0.5)), int(np.ceil(x + radius_px - 0.5)) + 1
    y0, y1 = int(np.floor(y - radius_px + 0.5)), int(np.ceil(y + radius_px - 0.5)) + 1
    if x0 < 0 or y0 < 0 or x1 > nx or y1 > ny:
        return float("nan")
    weight = disc_overlap(np.arange(x0, x1)[None, :] - x, np.arange(y0, y1)[:, None] - y, radius_px)
    stamp = np.where(weight > 0, image[y0:y1, x0:x1], 0.0)
    return float(np.sum(stamp * weight, dtype=np.float64))
