"""Light that pixels scatter onto others: taken out exactly, or to first order."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Method = Literal["inverse", "one-pass"]
LEAST_RESPONSE = 0.1


class CrosstalkCorrection:
    """Takes out of a frame what each pixel received from others.

    With the scattering kernel K a detector that should show ``I`` shows ``J = I + K * I``.
    ``inverse`` divides by ``1 + K`` in Fourier space, which is exact but near the edges;
    ``one-pass`` subtracts ``K * J`` once, as the SPHERE Data Center does (Vigan et al. 2015, MNRAS
    454, 129), and leaves ``-K * K * I``.

    Parameters
    ----------
    kernel : array, shape (2 r + 1, 2 r + 1)
        Light on other pixels relative to that of the pixel in the middle.
    shape : (int, int)
        Of the frames.
    method : {"inverse", "one-pass"}

    Raises
    ------
    KernelInputError
        If the kernel is not square and odd, larger than the frame, or cannot be inverted.
    """

    def __init__(self, kernel: Floats, shape: tuple[int, int], method: Method = "inverse") -> None:
        side = kernel.shape[0]
        if kernel.shape != (side, side) or side % 2 == 0 or side > min(shape):
            raise KernelInputError(
                f"scattering kernel of shape {kernel.shape}; expected an odd square within {shape}"
            )
        self.reach, self.shape = side // 2, shape
        self._padded = tuple(scipy.fft.next_fast_len(n + 2 * self.reach, real=True) for n in shape)
        response = np.zeros(self._padded, np.float32)
        response[:side, :side] = kernel
        response = np.roll(response, (-self.reach, -self.reach), axis=(0, 1))
        scattered = scipy.fft.rfft2(response)
        if method == "one-pass":
            self._transfer = 1 - scattered
        else:
            whole = 1 + scattered
            if np.abs(whole).min() < LEAST_RESPONSE:
                raise KernelInputError(
                    f"scattering kernel of sum {kernel.sum():.3f} cannot be inverted"
                )
            self._transfer = 1 / whole

    def apply(self, frame: Image) -> Image:
        """Correct one frame; beyond its edges it is taken to go on as in a mirror.

        Parameters
        ----------
        frame : array of float32
            Without bad pixels: they would spread.

        Raises
        ------
        KernelInputError
            If the frame has another shape, or holds values that are not finite.
        """
        if frame.shape != self.shape:
            raise KernelInputError(f"frame of shape {frame.shape}; expected {self.shape}")
        if not np.isfinite(frame).all():
            raise KernelInputError("frame with values that are not finite")
        low = self.reach
        margins = [
            (low, total - n - low) for n, total in zip(self.shape, self._padded, strict=True)
        ]
        wide = np.pad(frame, margins, mode="reflect")
        spectrum = scipy.fft.rfft2(wide)
        spectrum *= self._transfer
        made = scipy.fft.irfft2(spectrum, wide.shape)
        return np.ascontiguousarray(
            made[low : low + self.shape[0], low : low + self.shape[1]], dtype=np.float32
        )
