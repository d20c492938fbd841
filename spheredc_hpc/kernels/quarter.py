"""Quarter turns of square images, and what is left of a turn after them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
from array_api_compat import array_namespace

Array = Any

_BLOCK = 16


class Shears(NamedTuple):
    """The three shears of a turn by at most 45 degrees: along x, y and x.

    Attributes
    ----------
    along_x, along_y : float
        Shift of a line per pixel of its distance from the centre.
    """

    along_x: float
    along_y: float


def split_turn(angle_deg: float) -> tuple[int, Shears]:
    """Split a counter-clockwise turn into quarter turns (0 to 3) and three shears."""
    quarters = round(angle_deg / 90.0)
    angle = math.radians(angle_deg - 90.0 * quarters)
    return quarters % 4, Shears(-math.tan(angle / 2), math.sin(angle))


def rotate_quarter(image: Array, quarters: int) -> Array:
    """Rotate by whole quarter turns about pixel ``(n // 2, n // 2)``, without interpolation.

    Parameters
    ----------
    image : array, shape (..., n, n)
        Images. NaN is carried along.
    quarters : int
        Quarter turns, counter-clockwise with y up.

    Returns
    -------
    array
        Rotated images. For even `n` one row or column has no source (the centre is not in
        the middle of the array) and is zero.
    """
    xp = array_namespace(image)
    quarters %= 4
    if quarters == 0:
        return image
    n = image.shape[-1]
    if n % 2 == 0:
        image = pad(xp, pad(xp, image, 0, 1, -2), 0, 1, -1)
    if quarters == 2:
        turned = xp.flip(image, axis=(-2, -1))
    else:
        swapped = xp.matrix_transpose(image)
        turned = xp.flip(swapped, axis=-1 if quarters == 1 else -2)
    return turned[..., :n, :n]


@numba.njit(cache=True, nogil=True)
def turn_quarters(frame, quarters, target, first):  # type: ignore[no-untyped-def]
    """Copy a frame, turned by `quarters` (0 to 3), to the columns of `target` from `first` on."""
    side = frame.shape[0]
    last = 2 * (side // 2)
    for top in range(0, side, _BLOCK):
        bottom = min(top + _BLOCK, side)
        for y in range(top, bottom):
            if quarters == 0:
                target[y, first : first + side] = frame[y]
            elif quarters == 2:
                for x in range(side):
                    inside = last - y < side and last - x < side
                    target[y, first + x] = frame[last - y, last - x] if inside else 0
        if quarters % 2 == 1:
            for x in range(side):
                for y in range(top, bottom):
                    row, column = (last - x, y) if quarters == 1 else (x, last - y)
                    inside = row < side and column < side
                    target[y, first + x] = frame[row, column] if inside else 0


def pad(xp: Any, image: Array, before: int, after: int, axis: int) -> Array:
    """Add zeros before and after an image along one axis."""
    shape = list(image.shape)
    shape[axis] = before
    head = xp.zeros(tuple(shape), dtype=image.dtype)
    shape[axis] = after
    tail = xp.zeros(tuple(shape), dtype=image.dtype)
    return xp.concat([head, image, tail], axis=axis)
