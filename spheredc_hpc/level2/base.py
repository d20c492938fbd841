"""Pixels of a reduction, in the order in which its zones want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.level2.tracks import Pieces, spread

Frames = NDArray[np.float32]
Indices = NDArray[np.int64]

# Pixels in one block. Fixed, so that results do not depend on threads.
BLOCK_PIXELS = 16384


class Base(Protocol):
    """What a reduction asks of its pixels.

    Attributes
    ----------
    n_row : int
        Rows held: the frames, and for linear methods their mean as the last one.
    order : array of int64, shape (n_pix,)
        Flat pixel index of each column.
    place : array of int64, shape (side**2,)
        Column of each pixel, -1 for those not held.
    """

    n_row: int
    order: Indices
    place: Indices

    def columns(self, index: Indices) -> Frames:
        """Columns of the given flat pixel indices, shape (n_row, n); a view where it can be."""
        ...

    def release(self) -> None:
        """Let go of memory that can be had again."""
        ...


class ArrayBase:
    """Pixels in one array, one row a frame.

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
    """

    def __init__(
        self, frames: Frames, order: Indices, *, centred: bool, added: Sequence[Pieces] = ()
    ) -> None:
        count, pixels = frames.shape[0], frames.shape[1] * frames.shape[2]
        flat = frames.reshape(count, pixels)
        self.order = order
        self.n_row = count + int(centred)
        self.place = np.full(pixels, -1, np.int64)
        self.place[order] = np.arange(order.size)
        self.values = buffers.empty((self.n_row, order.size))
        whole = order.size == pixels and bool(np.array_equal(order, np.arange(pixels)))

        def fill(i: int) -> None:
            if whole:
                self.values[i] = flat[i]
            else:
                np.take(flat[i], order, out=self.values[i], mode="clip")
            buffers.release(frames)
            self.release()

        map_ordered(fill, range(count))
        spread(self.values, self.place, added)
        if centred:
            map_ordered(self._centre, blocks(order.size, BLOCK_PIXELS))
        self.release()

    def _centre(self, block: slice) -> None:
        part = self.values[:-1, block]
        mean = part.mean(axis=0, dtype=np.float64).astype(np.float32)
        part -= mean
        self.values[-1, block] = mean
        self.release()

    def columns(self, index: Indices) -> Frames:
        """Columns of the given flat pixel indices, shape (n_row, n); a view where it can be."""
        place = self.place[index]
        if place.size and place[-1] - place[0] + 1 == place.size and np.all(np.diff(place) == 1):
            return np.asarray(self.values[:, place[0] : place[-1] + 1])
        return np.take(self.values, place, axis=1)

    def release(self) -> None:
        """Let go of memory that can be had again."""
        buffers.release(self.values)
