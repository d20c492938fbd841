"""Fourier transforms of the array library of the argument, and shifts by a phase ramp."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, is_numpy_namespace
from scipy import fft as scipy_fft

from spheredc_hpc.errors import KernelInputError

Array = Any


def fft_of(xp: Any) -> Any:
    """Return the module with the Fourier transforms for arrays of the library `xp`.

    SciPy serves NumPy arrays: its transforms keep float32 and work on several rows at once.
    """
    return scipy_fft if is_numpy_namespace(xp) else xp.fft


def fast_length(n: int) -> int:
    """Smallest length >= `n` that real transforms do quickly (factors 2, 3, 5)."""
    return int(scipy_fft.next_fast_len(n, real=True))


def complex_dtype(xp: Any, dtype: Any) -> Any:
    """Complex type that goes with the real floating type `dtype`."""
    return xp.complex64 if dtype == xp.float32 else xp.complex128


def phase_ramp(xp: Any, turns: Array, dtype: Any) -> Array:
    """Compute ``exp(-2 pi i turns)`` with the precision of `dtype`.

    Parameters
    ----------
    xp : module
        Array library of `turns`.
    turns : array of float64
        Phase in turns, of any size: whole turns are removed before the change to `dtype`.
    dtype : float32 or float64
        Real type whose complex partner is returned.

    Returns
    -------
    array, shape of `turns`
        Unit complex numbers.
    """
    angle = xp.astype((turns - xp.round(turns)) * (-2 * xp.pi), dtype)
    kind = complex_dtype(xp, dtype)
    return xp.astype(xp.cos(angle), kind) + 1j * xp.astype(xp.sin(angle), kind)


def shift_fft(images: Array, shift_x_px: float, shift_y_px: float) -> Array:
    """Shift images by a fraction of a pixel with a phase ramp.

    The images are periodic: what leaves on one side comes in on the other. Pad first where
    that matters.

    Parameters
    ----------
    images : array, shape (..., ny, nx)
        Real images, finite (NaN is not checked and would spread).
    shift_x_px, shift_y_px : float
        A feature at ``(x, y)`` moves to ``(x + shift_x_px, y + shift_y_px)``.

    Returns
    -------
    array
        Shifted images, shape and dtype of `images`.

    Raises
    ------
    KernelInputError
        If there are fewer than two dimensions or the values are not real and floating.
    """
    xp = array_namespace(images)
    if images.ndim < 2 or not xp.isdtype(images.dtype, "real floating"):
        raise KernelInputError(f"real images wanted, got {images.ndim}-d {images.dtype}")
    ny, nx = images.shape[-2:]
    fft = fft_of(xp)
    ky = xp.astype(xp.fft.fftfreq(ny), xp.float64)
    kx = xp.astype(xp.fft.rfftfreq(nx), xp.float64)
    spectrum = fft.rfft(images, axis=-1)
    spectrum = fft.fft(spectrum, axis=-2)
    ramp_x = phase_ramp(xp, kx * shift_x_px, images.dtype)
    ramp_y = phase_ramp(xp, ky * shift_y_px, images.dtype)
    spectrum = spectrum * ramp_x[None, :] * ramp_y[:, None]
    return fft.irfft(fft.ifft(spectrum, axis=-2), n=nx, axis=-1)
