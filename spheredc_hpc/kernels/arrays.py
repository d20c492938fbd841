"""Arrays of any library: as NumPy arrays, and put together from parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_cupy_array
from numpy.typing import NDArray


def as_numpy(array: Any) -> NDArray[Any]:
    """Copy an array to the memory of the CPU; NumPy arrays are returned as they are."""
    if isinstance(array, np.ndarray):
        return array
    if is_cupy_array(array):
        return np.asarray(array.get())
    return np.from_dlpack(array)


def joined(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], Any]],
    shape: tuple[int, int],
    like: Any,
) -> Any:
    """Put parts of a matrix together.

    Parameters
    ----------
    parts : sequence of (array of int64, array of int64, array)
        Lines, columns and values, shape (n_line, n_column), of each part, in the array library
        of `like`. No two parts share an element; parts that share a column share all.
    shape : (int, int)
        Shape of the matrix.
    like : array
        Of the library and type of the result.

    Returns
    -------
    array
        Zero where there is no part.
    """
    xp = array_namespace(like)
    if isinstance(like, np.ndarray):
        out = np.zeros(shape, like.dtype)
        for lines, columns, values in parts:
            out[np.ix_(lines, columns)] = values
        return out
    stacks: dict[bytes, list[tuple[NDArray[np.int64], NDArray[np.int64], Any]]] = {}
    for part in parts:
        stacks.setdefault(part[1].tobytes(), []).append(part)
    strips, place, start = [xp.zeros((shape[0], 1), dtype=like.dtype)], np.zeros(shape[1], int), 1
    for stack in stacks.values():
        nothing = xp.zeros((1, stack[0][1].size), dtype=like.dtype)
        values = xp.concat([*(part[2] for part in stack), nothing])
        line = np.full(shape[0], values.shape[0] - 1)
        line[np.concatenate([part[0] for part in stack])] = np.arange(values.shape[0] - 1)
        strips.append(xp.take(values, xp.asarray(line), axis=0))
        place[stack[0][1]] = start + np.arange(stack[0][1].size)
        start += stack[0][1].size
    return xp.take(xp.concat(strips, axis=1), xp.asarray(place), axis=1)
