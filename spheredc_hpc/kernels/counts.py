"""Raw counts to counts of light, in one pass over an image."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Tally(NamedTuple):
    """What `correct_counts` met.

    Attributes
    ----------
    broken : int
        Pixels without a finite value.
    full : int
        Pixels above the limit that are not bad anyway.
    """

    broken: int
    full: int


def correct_counts(
    raw: Image,
    background: Image,
    gain: Image,
    bad: Mask,
    limit: float,
    places: tuple[Image, Image, Mask],
) -> Tally:
    """Subtract the background and divide by the flat, and tell what can be used.

    Parameters
    ----------
    raw, background : array of float32, shape (ny, nx)
        Counts [adu]; rows may lie apart.
    gain : array of float32, shape (ny, nx)
        Inverse of the flat.
    bad : array of bool, shape (ny, nx)
        Pixels that are never used.
    limit : float
        Raw counts above which a pixel tells nothing [adu].
    places : (array of float32, array of float32, array of bool), shape (ny, nx) each
        Where ``(raw - background) * gain``, 1 for good and 0 for other pixels, and pixels
        above the limit go. Broken pixels become 0.

    Returns
    -------
    Tally

    Raises
    ------
    KernelInputError
        If the shapes differ.
    """
    for array in (background, gain, bad, *places):
        if array.shape != raw.shape:
            raise KernelInputError(f"counts {raw.shape}, array beside them {array.shape}")
    return Tally(*_correct(raw, background, gain, bad, np.float32(limit), *places))


@numba.njit(cache=True, nogil=True)
def _correct(raw, background, gain, bad, limit, image, good, full):  # type: ignore[no-untyped-def]
    broken, count = 0, 0
    for y in range(raw.shape[0]):
        for x in range(raw.shape[1]):
            value = (raw[y, x] - background[y, x]) * gain[y, x]
            usable = not bad[y, x]
            full[y, x] = usable and raw[y, x] > limit
            count += full[y, x]
            if not np.isfinite(value):
                broken += 1
                value, usable = np.float32(0), False
            image[y, x] = value
            good[y, x] = usable
    return broken, count
