"""Pixels of a reduction, in the order in which its zones want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.level2.tracks import Pieces, spread

Array = Any
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]

# Pixels in one block. Fixed, so that results do not depend on threads.
BLOCK_PIXELS = 8192


class ArrayBase:
    """Pixels in one array of the library of the frames, one row a frame.

    Parameters
    ----------
    frames : array of float32, shape (n, side, side)
        Frames; not changed.
    order : array of int64, shape (n_pix,)
        Flat indices of the pixels to keep, each once.
    centred : bool
        Take the mean over the frames off and keep it as last row.
    added : sequence of Pieces
        Companions to add first.

    Attributes
    ----------
    n_row : int
        Rows held: the frames and, if `centred`, their mean.
    order : array of int64, shape (n_pix,)
        Flat pixel index of each column.
    place : array of int64, shape (side**2,)
        Column of each pixel, -1 for those not held.
    values : array of float32, shape (n_row, n_pix)
        The pixels; in a scratch file inside of `buffers.scratch_arrays`.
    """

    def __init__(
        self, frames: Array, order: Indices, *, centred: bool, added: Sequence[Pieces] = ()
    ) -> None:
        count, side = frames.shape[0], frames.shape[-1]
        self.order = order
        self.n_row = count + int(centred)
        self.place = np.full(side * side, -1, np.int64)
        self.place[order] = np.arange(order.size)
        if is_numpy_array(frames):
            self.values: Array = self._filled(frames, added, centred=centred)
        else:
            self.values = self._gathered(frames, added, centred=centred)

    def _filled(self, frames: Frames, added: Sequence[Pieces], *, centred: bool) -> Frames:
        count, pixels = frames.shape[0], self.place.size
        flat = frames.reshape(count, pixels)
        values = buffers.empty((self.n_row, self.order.size))
        whole = bool(np.array_equal(self.order, np.arange(pixels)))

        def fill(i: int) -> None:
            if whole:
                values[i] = flat[i]
            else:
                np.take(flat[i], self.order, out=values[i], mode="clip")
            buffers.release(frames)
            buffers.release(values)

        def centre(block: slice) -> None:
            part = values[:-1, block]
            mean = part.mean(axis=0, dtype=np.float64).astype(np.float32)
            part -= mean
            values[-1, block] = mean
            buffers.release(values)

        map_ordered(fill, range(count))
        spread(values, self.place, added)
        if centred:
            map_ordered(centre, blocks(self.order.size, BLOCK_PIXELS))
        return values

    def _gathered(self, frames: Array, added: Sequence[Pieces], *, centred: bool) -> Array:
        xp = array_namespace(frames)
        flat = xp.reshape(frames, (frames.shape[0], self.place.size))
        values = xp.take(flat, xp.asarray(self.order), axis=1)
        if added:
            change = np.zeros((frames.shape[0], self.order.size), np.float32)
            spread(change, self.place, added)
            values = values + xp.asarray(change)
        if not centred:
            return values
        total = xp.sum(values, axis=0, keepdims=True, dtype=xp.float64)
        mean = xp.astype(total / frames.shape[0], xp.float32)
        return xp.concat([values - mean, mean])

    def columns(self, index: Indices) -> Array:
        """Columns of the given flat pixel indices, shape (n_row, n); a view where it can be.

        Raises
        ------
        KernelInputError
            If one of them is not held.
        """
        place = self.place[index]
        if place.size and place.min() < 0:
            lost = int(np.count_nonzero(place < 0))
            raise KernelInputError(f"{lost} of {place.size} pixels are not among those of the base")
        if place.size and place[-1] - place[0] + 1 == place.size and np.all(np.diff(place) == 1):
            return self.values[:, int(place[0]) : int(place[-1]) + 1]
        xp = array_namespace(self.values)
        found = xp.take(self.values, xp.asarray(place), axis=1)
        self.release()
        return found

    def release(self) -> None:
        """Let go of memory that can be had again."""
        if is_numpy_array(self.values):
            buffers.release(self.values)
