"""Bad pixels of spectra that run along columns."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def filled_along_columns(image: Image, good: Mask, reach_px: int = 10) -> tuple[Image, Mask]:
    """Replace bad pixels by a line between the next good ones below and above.

    Spectra are smooth along the columns, and narrow across them.

    Parameters
    ----------
    image : array of float32, shape (rows, columns)
    good : array of bool
    reach_px : int
        Largest distance of the good pixels.

    Returns
    -------
    image : array
        With one good neighbour its value; without any within reach 0.
    filled : array of bool
        Pixels that have a value now: good, or with a good neighbour.

    Raises
    ------
    KernelInputError
        If the mask has another shape.
    """
    if image.shape != good.shape:
        raise KernelInputError(f"image of shape {image.shape}, mask of shape {good.shape}")
    made, filled = image.copy(), good.copy()
    _fill(np.ascontiguousarray(image), good, reach_px, made, filled)
    return made, filled


@numba.njit(cache=True, nogil=True)
def _fill(image, good, reach, made, filled):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    for r in range(rows):
        for c in range(columns):
            if good[r, c]:
                continue
            below, above = -1, -1
            for step in range(1, reach + 1):
                if below < 0 and r - step >= 0 and good[r - step, c]:
                    below = step
                if above < 0 and r + step < rows and good[r + step, c]:
                    above = step
                if below > 0 and above > 0:
                    break
            if below > 0 and above > 0:
                low, high = image[r - below, c], image[r + above, c]
                made[r, c] = (above * low + below * high) / (below + above)
                filled[r, c] = True
            elif below > 0:
                made[r, c] = image[r - below, c]
                filled[r, c] = True
            elif above > 0:
                made[r, c] = image[r + above, c]
                filled[r, c] = True
            else:
                made[r, c] = 0.0
