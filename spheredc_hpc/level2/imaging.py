"""From residuals to final images: one pixel scale, north up, combined over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.accumulate import add_frames
from spheredc_hpc.kernels.combine import Combination, combine_frames
from spheredc_hpc.kernels.parallel import blocks
from spheredc_hpc.level2.turning import Turning

Array = Any
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Make = Callable[[Indices], Array]

# Rows of all frames that are combined at a time where frames lie on disk, or at least; pixels of
# all frames whose masks are held at a time.
_BLOCK_ROWS = 32
_MASKED_PIXELS = 2**23


@dataclass(frozen=True)
class Imaging(Turning):
    """Turns residuals of rows into the images of their channels; see `Turning`.

    Attributes
    ----------
    combination : {"mean", "median", "weighted", "trimmed"}
        How frames are combined.
    """

    combination: Combination

    # ---------------------------------------------------------------- images

    def combined(self, frames: Array) -> Array:
        """Combine turned frames.

        Parameters
        ----------
        frames : array of float32, shape (n_target, side, side)
            All targets, in the order of their numbers.

        Returns
        -------
        array of float32, shape (n_channel, side, side)
            On image pixels, NaN where not valid.
        """
        xp = array_namespace(frames)
        targets = self.rows.table.targets
        images = []
        for k, own in enumerate(self.by_channel(targets)):
            if not own.size:
                images.append(xp.full(frames.shape[1:], xp.nan, dtype=frames.dtype))
                continue
            whole = own.size == targets.size
            stack = frames if whole else _some(frames, np.searchsorted(targets, own))
            images.append(self._combined_channel(xp, stack, k, own))
        return xp.stack(images)

    def _combined_channel(self, xp: Any, stack: Array, channel: int, targets: Indices) -> Array:
        """Combine the turned frames of one channel, some rows at a time."""
        side = self.rows.side
        weights = xp.asarray(self.weights(targets)[:, None, None])
        height = max(_BLOCK_ROWS, _MASKED_PIXELS // (targets.size * side))
        pieces, counted = [], []
        for rows in blocks(side, _BLOCK_ROWS if buffers.in_scratch() else height):
            valid = self.valid(channel, targets, rows)
            given = None if valid is None else xp.asarray(valid)
            image = combine_frames(stack, self.combination, valid=given, weights=weights, rows=rows)
            pieces.append(image)
            if valid is not None:
                counted.append(valid.sum(axis=0))
            buffers.release(stack)
        return self._masked(
            xp, xp.concat(pieces), channel, np.concatenate(counted) if counted else None
        )

    def summed(self, make: Make, batches: Sequence[Indices]) -> Array:
        """Make mean images: residuals are made, turned, added and forgotten.

        Parameters
        ----------
        make : callable
            ``make(targets)`` gives the residuals of some targets, shape (n, side, side), as an
            array of its own.
        batches : sequence of array of int64
            All targets, as many together as are made at a time.

        Returns
        -------
        array of float32, shape (n_channel, side, side)
            On image pixels, NaN where not valid.
        """
        sums: dict[int, _Sum] = {}
        for batch in batches:
            self._add(sums, self.turned(make(batch), batch), batch)
        xp = next(iter(sums.values())).xp
        images = []
        for k in range(len(self.rows.channels)):
            if k in sums:
                images.append(self._masked(xp, sums[k].mean(), k, sums[k].counted))
            else:
                side = self.rows.side
                images.append(xp.full((side, side), xp.nan, dtype=xp.float32))
        return xp.stack(images)

    def _add(self, sums: dict[int, _Sum], frames: Array, targets: Indices) -> None:
        """Add turned frames to the sums of their channels."""
        xp = array_namespace(frames)
        channel = self.rows.table.channel[targets]
        for k in np.unique(channel).tolist():
            mine = np.flatnonzero(channel == k)
            part = frames if mine.size == targets.size else _some(frames, mine)
            own = sums.setdefault(k, _Sum(xp, part.shape[1:]))
            own.add(part, self.weights(targets[mine]), self.valid(k, targets[mine]))

    def _masked(self, xp: Any, image: Array, channel: int, counted: Indices | None) -> Array:
        """Blank what is outside of the radii, or seen in less than half of the frames."""
        mask = self.mask(channel, counted)
        return xp.where(xp.asarray(mask), image, xp.asarray(xp.nan, dtype=image.dtype))

    # ---------------------------------------------------------------- frames

    def weights(self, targets: Indices) -> Floats:
        """Weight of each target in the mean: 1, or that of its frame in a weighted one."""
        if self.combination != "weighted":
            return np.ones(targets.size)
        table, channels = self.rows.table, self.rows.channels
        return np.array(
            [channels[table.channel[i]].frame_weight[table.time[i]] for i in targets], np.float64
        )


class _Sum:
    """Weighted sum of the frames of one channel."""

    def __init__(self, xp: Any, shape: tuple[int, ...]) -> None:
        self.xp = xp
        self.total = xp.zeros(shape, dtype=xp.float64)
        self.weight = np.zeros(shape)
        self.counted: Indices | None = None

    def add(self, frames: Array, weights: Floats, valid: Mask | None) -> None:
        """Add frames."""
        xp = self.xp
        given = None if valid is None else xp.asarray(valid)
        self.total = add_frames(self.total, frames, xp.asarray(weights), given)
        if valid is None:
            self.weight += weights.sum()
        else:
            counted = valid.sum(axis=0)
            self.counted = counted if self.counted is None else self.counted + counted
            self.weight = add_frames(self.weight, valid.astype(np.float32), weights)

    def mean(self) -> Array:
        """Weighted mean, NaN where no frame counts."""
        xp = self.xp
        weight = xp.asarray(np.where(self.weight > 0, self.weight, np.nan))
        return xp.astype(self.total / weight, xp.float32)


def _some(frames: Array, index: Indices) -> Array:
    """Copy some frames; where large arrays lie on disk, the copy does too."""
    if not is_numpy_array(frames):
        xp = array_namespace(frames)
        return xp.take(frames, xp.asarray(index), axis=0)
    found = buffers.empty((index.size, *frames.shape[1:]), frames.dtype)
    for line, i in enumerate(index):
        found[line] = frames[i]
        buffers.release(frames)
        buffers.release(found)
    return found
