"""Masks of images that are turned and rescaled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.checks import row_range
from spheredc_hpc.kernels.parallel import map_ordered

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@numba.njit(cache=True, nogil=True)
def _turn(mask, cosine, sine, first, out):  # type: ignore[no-untyped-def]
    side = mask.shape[0]
    half = side // 2
    for y in range(out.shape[0]):
        for x in range(side):
            dx, dy = x - half, y + first - half
            ix = int(np.rint(cosine * dx + sine * dy)) + half
            iy = int(np.rint(cosine * dy - sine * dx)) + half
            out[y, x] = 0 <= ix < side and 0 <= iy < side and mask[iy, ix]


def turn_mask(mask: Mask, angles_deg: Floats, scales: Floats, rows: slice | None = None) -> Mask:
    """Turn and rescale a mask as `warp_frames` does with frames, to the nearest pixel.

    Parameters
    ----------
    mask : array of bool, shape (n, n)
        Mask of the input; false outside of it.
    angles_deg : array of float64, shape (n_frames,)
        Counter-clockwise turns about pixel ``(n // 2, n // 2)``, y up [deg].
    scales : array of float64, shape (n_frames,)
        Input pixels per output pixel.
    rows : slice, optional
        Rows of the output that are wanted, without a step; all if absent.

    Returns
    -------
    array of bool, shape (n_frames, n_rows, n)

    Raises
    ------
    KernelInputError
        If the mask is not square, the numbers of angles and scales differ or the rows are no
        range.
    """
    square = mask.ndim == 2 and mask.shape[0] == mask.shape[1]
    if not square or angles_deg.shape != scales.shape:
        raise KernelInputError(
            f"square mask wanted, got {mask.shape}; {angles_deg.size} angles, {scales.size} scales"
        )
    first, last = row_range(rows, mask.shape[0])
    out = np.empty((angles_deg.size, last - first, mask.shape[1]), np.bool_)

    def one(i: int) -> None:
        angle = np.deg2rad(angles_deg[i])
        _turn(mask, scales[i] * np.cos(angle), scales[i] * np.sin(angle), first, out[i])

    map_ordered(one, range(angles_deg.size))
    return out
