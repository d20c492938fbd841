"""Centre of a point-symmetric image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from spheredc_hpc.errors import KernelInputError

# Half width of the neighbourhood of the correlation peak that the paraboloid is fitted to [px].
_REACH = 2


def centre_of_symmetry(image: NDArray[Any]) -> tuple[float, float]:
    """Find the point about which an image equals itself turned by 180 deg.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Image with a source that is symmetric about its centre, a stellar halo for instance.
        NaN counts as zero.

    Returns
    -------
    x, y : float
        Centre, 0-based [px].

    Raises
    ------
    KernelInputError
        If the image is no plane, is empty of signal or symmetric about a point on its rim only.

    Notes
    -----
    The correlation of an image with its own turned copy peaks at twice the centre. The peak is
    found on the whole image and refined by a least-squares paraboloid over 5 x 5 pixels of
    half a pixel of the image each. Cost: two transforms of the doubled image.
    """
    data = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if data.ndim != 2 or not np.any(data):
        raise KernelInputError(f"image of shape {data.shape} without signal, no centre to find")
    ny, nx = data.shape
    shape = [fft.next_fast_len(2 * n - 1, real=True) for n in (ny, nx)]
    spectrum = fft.rfft2(data, shape)
    # The turned copy convolved with the turned image is the convolution of the image with itself.
    power = fft.irfft2(spectrum * spectrum, shape)[: 2 * ny - 1, : 2 * nx - 1]
    row, column = np.unravel_index(int(np.argmax(power)), power.shape)
    inside_y = _REACH <= row < 2 * ny - 1 - _REACH
    if not (inside_y and _REACH <= column < 2 * nx - 1 - _REACH):
        raise KernelInputError("the image is symmetric about a point on its rim only")
    patch = power[row - _REACH : row + _REACH + 1, column - _REACH : column + _REACH + 1]
    dx, dy = _vertex(patch / patch.max())
    return (float(column) + dx) / 2, (float(row) + dy) / 2


def _vertex(patch: NDArray[np.float64]) -> tuple[float, float]:
    """Offset of the top of a paraboloid fitted to a patch, from its middle, (x, y)."""
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(np.float64)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    _, bx, by, cxx, cxy, cyy = np.linalg.lstsq(terms, patch.ravel(), rcond=None)[0]
    hessian = np.array([[2 * cxx, cxy], [cxy, 2 * cyy]])
    if not (cxx < 0 and np.linalg.det(hessian) > 0):
        return 0.0, 0.0
    dx, dy = np.linalg.solve(hessian, [-bx, -by])
    return float(np.clip(dx, -1.5, 1.5)), float(np.clip(dy, -1.5, 1.5))
