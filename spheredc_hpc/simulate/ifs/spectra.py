"""Spectra on the detector: light of every lenslet and wavelength put on pixels."""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

from spheredc_hpc.instrument.lenslets import DETECTOR_PX

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
HALF_STAMP = 4
STAMP = 2 * HALF_STAMP + 1


@numba.njit(nogil=True, cache=True)
def deposit(
    plane: npt.NDArray[np.float32],
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    flux: npt.NDArray[np.float64],
    sigma: npt.NDArray[np.float64],
) -> None:
    """Add spots to a plane, in place.

    Parameters
    ----------
    plane : array of float32, shape (rows, columns)
    x, y : array, shape (m, n)
        Centres of the spots of n lenslets at m wavelengths [px].
    flux : array, shape (m, n)
        Light of each spot.
    sigma : array, shape (m, n)
        Width of the round Gaussian [px], integrated over the pixels. Light beyond 4.5 px of the
        central pixel is put into it.
    """
    rows, columns = plane.shape
    wide, high = np.empty(STAMP), np.empty(STAMP)
    for k in range(x.shape[1]):
        for m in range(x.shape[0]):
            light = flux[m, k]
            if light == 0.0:
                continue
            column, row = round(x[m, k]), round(y[m, k])
            scale = 1.0 / (math.sqrt(2.0) * sigma[m, k])
            total_x, total_y = 0.0, 0.0
            before_x = math.erf((column - HALF_STAMP - 0.5 - x[m, k]) * scale)
            before_y = math.erf((row - HALF_STAMP - 0.5 - y[m, k]) * scale)
            for i in range(STAMP):
                after_x = math.erf((column - HALF_STAMP + i + 0.5 - x[m, k]) * scale)
                after_y = math.erf((row - HALF_STAMP + i + 0.5 - y[m, k]) * scale)
                wide[i], high[i] = 0.5 * (after_x - before_x), 0.5 * (after_y - before_y)
                total_x += wide[i]
                total_y += high[i]
                before_x, before_y = after_x, after_y
            wide[HALF_STAMP] += 1.0 - total_x
            high[HALF_STAMP] += 1.0 - total_y
            for j in range(STAMP):
                r = row - HALF_STAMP + j
                if r < 0 or r >= rows:
                    continue
                part = light * high[j]
                for i in range(STAMP):
                    c = column - HALF_STAMP + i
                    if 0 <= c < columns:
                        plane[r, c] += np.float32(part * wide[i])


class Scatter:
    """Adds the light that each pixel scatters onto others.

    Parameters
    ----------
    kernel : array, shape (2 r + 1, 2 r + 1)
        Light on other pixels relative to that of the pixel in the middle.
    level : float
        Factor on the kernel.
    """

    def __init__(self, kernel: Floats, level: float) -> None:
        reach = kernel.shape[0] // 2
        self.size = scipy.fft.next_fast_len(DETECTOR_PX + 2 * reach, real=True)
        padded = np.zeros((self.size, self.size), np.float32)
        padded[: kernel.shape[0], : kernel.shape[1]] = level * kernel
        padded = np.roll(padded, (-reach, -reach), axis=(0, 1))
        self.transfer = scipy.fft.rfft2(padded)

    def add_to(self, plane: Image) -> None:
        """Add it in place; light that leaves the detector is lost."""
        shape = (self.size, self.size)
        light = scipy.fft.irfft2(scipy.fft.rfft2(plane, shape) * self.transfer, shape)
        plane += light[: plane.shape[0], : plane.shape[1]]
