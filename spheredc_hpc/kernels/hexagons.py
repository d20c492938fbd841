"""From hexagonal lenslets to square pixels: shares of their areas as one sparse operator."""

from __future__ import annotations

import numba
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
HEXAGON_AREA = 1.5 * np.sqrt(3.0)
"""Of a hexagon of side 1."""

# A hexagon of side 1 px reaches over at most this many pixels along an axis.
_REACH = 4
_MOST_CORNERS = 16
# Share of a pixel that good lenslets must cover.
LEAST_COVERED = 0.5


@numba.njit(cache=True, nogil=True)
def _clip(polygon, count, axis, limit, keep_below, out):  # type: ignore[no-untyped-def]
    """Cut a polygon by a line parallel to an axis; give the number of corners that are left."""
    made = 0
    for i in range(count):
        j = (i + 1) % count
        a, b = polygon[i, axis] - limit, polygon[j, axis] - limit
        if keep_below:
            a, b = -a, -b
        if a >= 0:
            out[made] = polygon[i]
            made += 1
        if (a > 0 and b < 0) or (a < 0 and b > 0):
            part = a / (a - b)
            for k in range(2):
                out[made, k] = polygon[i, k] + part * (polygon[j, k] - polygon[i, k])
            made += 1
    return made


@numba.njit(cache=True, nogil=True)
def _area(polygon, count):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(count):
        j = (i + 1) % count
        total += polygon[i, 0] * polygon[j, 1] - polygon[j, 0] * polygon[i, 1]
    return 0.5 * abs(total)


@numba.njit(cache=True, nogil=True)
def _overlaps(x, y, corners, size, rows, columns, values):  # type: ignore[no-untyped-def]
    """Areas of pixels that each hexagon covers; give their number."""
    first, second = np.empty((_MOST_CORNERS, 2)), np.empty((_MOST_CORNERS, 2))
    found = 0
    half = _REACH // 2
    for lenslet in range(x.size):
        column, row = int(np.floor(x[lenslet] + 0.5)), int(np.floor(y[lenslet] + 0.5))
        for r in range(max(row - half, 0), min(row + half + 1, size)):
            for c in range(max(column - half, 0), min(column + half + 1, size)):
                for k in range(6):
                    first[k, 0] = corners[k, 0] + x[lenslet]
                    first[k, 1] = corners[k, 1] + y[lenslet]
                count = _clip(first, 6, 0, c - 0.5, False, second)
                count = _clip(second, count, 0, c + 0.5, True, first)
                count = _clip(first, count, 1, r - 0.5, False, second)
                count = _clip(second, count, 1, r + 0.5, True, first)
                if count < 3:
                    continue
                area = _area(first, count)
                if area > 1e-9:
                    rows[found] = r * size + c
                    columns[found] = lenslet
                    values[found] = area
                    found += 1
    return found


class HexagonGrid:
    """Brings values of lenslets to square pixels; their light is conserved.

    A pixel takes the part of the light of each lenslet that the area covers which both share.

    Parameters
    ----------
    x, y : array, shape (n,)
        Lenslets on the square grid [px].
    size : int
        Side of the images [px].
    stretch : (float, float)
        Sides of the hexagons along x and y over those of a regular one whose side is one pixel:
        the anamorphism that the grid takes out.

    Raises
    ------
    KernelInputError
        If positions are not finite or of different numbers.
    """

    def __init__(
        self, x: Floats, y: Floats, size: int, stretch: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        if x.shape != y.shape or x.ndim != 1:
            raise KernelInputError(f"lenslets at x of shape {x.shape}, y of shape {y.shape}")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise KernelInputError("positions of lenslets that are not finite")
        angles = np.radians(30 + 60 * np.arange(6))
        corners = np.stack([np.cos(angles) * stretch[0], np.sin(angles) * stretch[1]], axis=1)
        most = x.size * (_REACH + 1) ** 2
        rows, columns = np.empty(most, np.int32), np.empty(most, np.int32)
        values = np.empty(most)
        found = _overlaps(
            np.ascontiguousarray(x), np.ascontiguousarray(y), corners, size, rows, columns, values
        )
        area = HEXAGON_AREA * stretch[0] * stretch[1]
        self.size, self.area = size, area
        self.operator = scipy.sparse.csr_array(
            ((values[:found] / area).astype(np.float32), (rows[:found], columns[:found])),
            shape=(size * size, x.size),
        )
        self._squared = self.operator.copy()
        self._squared.data = self._squared.data**2

    def coverage(self, weight: Floats | None = None) -> Image:
        """Share of each pixel that lenslets cover; those of `weight` 0 cover nothing."""
        held = np.ones(self.operator.shape[1]) if weight is None else weight
        return self._image(self.operator @ np.asarray(held * self.area, np.float32))

    def image(self, values: Image, variance: Image) -> tuple[Image, Image]:
        """Resample lenslet values; those that are not finite are left out.

        Parameters
        ----------
        values, variance : array, shape (m, n)
            Light of each lenslet and its variance, of m channels.

        Returns
        -------
        image, variance : array of float32, shape (m, size, size)
            Light per pixel, and the variance of single pixels; NaN and infinity where less than
            half of a pixel is covered. Neighbours share lenslets: variances of sums follow from
            `aperture_variance`.
        """
        good = np.isfinite(values) & np.isfinite(variance)
        light = np.where(good, values, 0).astype(np.float32)
        noise = np.where(good, variance, 0).astype(np.float32)
        covered = self.operator @ (good.T * np.float32(self.area))
        made = self.operator @ np.ascontiguousarray(light.T)
        spread = self._squared @ np.ascontiguousarray(noise.T)
        enough = covered >= LEAST_COVERED
        scale = np.where(enough, 1 / np.maximum(covered, LEAST_COVERED), np.nan).astype(np.float32)
        image = (made * scale).T.reshape(-1, self.size, self.size)
        error = np.where(enough, spread * scale**2, np.inf).T.reshape(-1, self.size, self.size)
        return np.ascontiguousarray(image), np.ascontiguousarray(error, dtype=np.float32)

    def aperture_variance(self, aperture: Floats, variance: Floats) -> Floats:
        """Variance of the sum over an aperture, with what its pixels share.

        Parameters
        ----------
        aperture : array, shape (size, size)
            Weights of the pixels.
        variance : array, shape (m, n)
            Of the lenslets; those that are not finite count as without light and noise.
        """
        shares = self.operator.T @ aperture.ravel()
        known = np.where(np.isfinite(variance), variance, 0.0)
        return np.asarray(known @ shares**2)

    def _image(self, flat: Image) -> Image:
        return np.asarray(flat, np.float32).reshape(self.size, self.size)
