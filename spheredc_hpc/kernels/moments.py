"""Places, widths and light of many compact spots at once."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

HALF_PX = 4
ROUNDS = 12
SMALLEST_PX, LARGEST_PX = 0.4, 2.0
# Variance of a uniform pixel, which the spots carry beside their own.
PIXEL_VARIANCE = 1 / 12


def spot_moments(
    image: Image, good: Mask, x: Floats, y: Floats, sigma_px: float, reach_px: float = 2.0
) -> tuple[Floats, Floats, Floats, Floats]:
    """Measure spots by moments under a Gaussian window that follows each of them.

    The window takes the place and width of the spot: for a Gaussian spot the weighted second moment
    is half of its variance, and the weighted centroid half of its distance (Bernstein & Jarvis
    2002, AJ 123, 583).

    Parameters
    ----------
    image : array of float32
        Background subtracted.
    good : array of bool
    x, y : array, shape (n,)
        Expected places [px].
    sigma_px : float
        Expected width.
    reach_px : float
        How far a spot may lie from its expected place.

    Returns
    -------
    x, y, sigma, light : array, shape (n,)
        NaN for spots without light, that wander off, or that touch bad pixels or the edge. `sigma`
        is without the width of the pixels.

    Raises
    ------
    KernelInputError
        If the arrays do not fit together.
    """
    if image.shape != good.shape or x.shape != y.shape:
        raise KernelInputError(
            f"image {image.shape}, mask {good.shape}, places {x.shape} and {y.shape}"
        )
    found = np.full((4, x.size), np.nan)
    _spots(np.ascontiguousarray(image), good, x, y, sigma_px, reach_px, found)
    return found[0], found[1], found[2], found[3]


@numba.njit(cache=True, nogil=True)
def _spots(image, good, x, y, sigma_px, reach, found):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    for k in range(x.size):
        at_x, at_y, sigma = x[k], y[k], sigma_px
        usable = True
        light = 0.0
        for _ in range(ROUNDS):
            column, row = int(np.rint(at_x)), int(np.rint(at_y))
            if not (HALF_PX <= column < columns - HALF_PX and HALF_PX <= row < rows - HALF_PX):
                usable = False
                break
            total, first_x, first_y, second, square = 0.0, 0.0, 0.0, 0.0, 0.0
            scale = 0.5 / (sigma * sigma)
            for r in range(row - HALF_PX, row + HALF_PX + 1):
                for c in range(column - HALF_PX, column + HALF_PX + 1):
                    dx, dy = c - at_x, r - at_y
                    distance = dx * dx + dy * dy
                    window = math.exp(-distance * scale)
                    if not good[r, c]:
                        if window > 0.05:
                            usable = False
                        continue
                    weight = window * image[r, c]
                    total += weight
                    first_x += weight * dx
                    first_y += weight * dy
                    second += weight * distance
                    square += window * window
            if not usable or total <= 0.0:
                usable = False
                break
            light = total / square
            at_x += 2 * first_x / total
            at_y += 2 * first_y / total
            # Half of the mean square distance along an axis; twice that is the variance.
            sigma = math.sqrt(min(max(second / total, SMALLEST_PX**2), LARGEST_PX**2))
            if math.hypot(at_x - x[k], at_y - y[k]) > reach:
                usable = False
                break
        if usable:
            found[0, k], found[1, k] = at_x, at_y
            found[2, k] = math.sqrt(max(sigma * sigma - PIXEL_VARIANCE, 0.0))
            # `light` is the height of a spot like the window.
            found[3, k] = light * 2 * math.pi * sigma * sigma
