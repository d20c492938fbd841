"""Subtraction, derotation and combination of rows; `patch` and `pushing` repeat it in places."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels import buffers
from spheredc_hpc.level2.imaging import Imaging
from spheredc_hpc.level2.solve import Block
from spheredc_hpc.level2.subtraction import Subtraction
from spheredc_hpc.level2.tracks import Companion
from spheredc_hpc.level2.turning import seen_pixels
from spheredc_hpc.level2.zonal import Method

__all__ = ["Block", "Companion", "Floats", "Frames", "Method", "Reduction"]

Array = Any
Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Frames = NDArray[np.float32]


class Reduction(Subtraction):
    """Rows reduced by one method, from frames to images; see `Subtraction`."""

    @cached_property
    def imaging(self) -> Imaging:
        """How residuals become images."""
        seen = seen_pixels(
            self.rows, [(part.zone.subtraction, part.channels) for part in self.parts]
        )
        return Imaging(self.rows, self.method.rotation, seen, self.method.combination)

    def images(self, count: int = 0) -> Array:
        """Make the images of all channels.

        Parameters
        ----------
        count : int
            Which of `counts`.

        Returns
        -------
        array of float32, shape (n_channel, side, side)
            North up, on image pixels; NaN where not valid. In the array library of the frames.
        """
        summed = self.method.combination in ("mean", "weighted")
        if self.linear and summed:
            self.solve_all()
            make = partial(self._in_memory, count=count)
            return self.imaging.summed(make, self.batches())
        return self.imaging.combined(self.derotated(count))

    def image(self) -> Array:
        """Image of the first channel, shape (side, side), NaN where not valid."""
        return self.images()[0, ...]

    def by_count(self) -> dict[int, Array]:
        """Images for each of `counts`, each of shape (n_channel, side, side)."""
        return {number: self.images(k) for k, number in enumerate(self.counts)}

    def derotated(self, count: int = 0) -> Array:
        """Residuals of all targets at image scale and north up, (n_target, side, side)."""
        targets = self.rows.table.targets
        if not (self.linear and buffers.in_scratch()):
            return self.imaging.turned(self.residuals(count), targets)
        # A few whole frames at a time in memory: pieces of all frames would map most of the file.
        self.solve_all()
        frames = buffers.empty((targets.size, self.rows.side, self.rows.side))
        for batch in self.batches():
            lines = np.searchsorted(targets, batch)
            frames[lines] = self.imaging.turned(self._in_memory(batch, count), batch)
            buffers.release(frames)
        return frames

    def _in_memory(self, targets: Indices, count: int) -> Array:
        """Make residuals of a few targets that fit in memory even where all do not."""
        with buffers.scratch_arrays(None):
            return self.some_residuals(targets, count)
