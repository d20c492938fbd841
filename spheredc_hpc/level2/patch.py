"""A few pixels of the final image, reduced again exactly for changed frames."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.inject import add_companion, detector_offsets
from spheredc_hpc.kernels.sample import REACH_PX, sample_frames
from spheredc_hpc.level2.engine import Companion, Reduction

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]


class Patch:
    """A few pixels of the final image, re-reduced exactly for changed frames.

    Parameters
    ----------
    reduction : Reduction
        The channel and method.
    dx_px, dy_px : array of float64, shape (n_point,)
        Pixels wanted, as offsets from the star on the derotated image [px].
    """

    def __init__(self, reduction: Reduction, dx_px: Floats, dy_px: Floats) -> None:
        self.reduction = reduction
        channel = reduction.channel
        angles = channel.rotation.middle_deg
        pairs = [
            detector_offsets(float(x), float(y), angles) for x, y in zip(dx_px, dy_px, strict=True)
        ]
        self._xs = np.stack([pair[0] for pair in pairs], axis=1)
        self._ys = np.stack([pair[1] for pair in pairs], axis=1)
        half = channel.frames.shape[-1] // 2
        margin = REACH_PX + 1
        x0 = max(int(np.floor(self._xs.min())) - margin, -half)
        y0 = max(int(np.floor(self._ys.min())) - margin, -half)
        x1 = min(int(np.ceil(self._xs.max())) + margin, half) + 1
        y1 = min(int(np.ceil(self._ys.max())) + margin, half) + 1
        self._corner = (x0, y0)
        rows, columns = slice(y0 + half, y1 + half), slice(x0 + half, x1 + half)
        count = channel.frames.shape[0]
        self._shape = (count, y1 - y0, x1 - x0)
        index = np.arange(channel.zone.size).reshape(channel.zone.shape)[rows, columns].ravel()
        self._index = index
        self._in_zone = channel.zone[rows, columns].ravel()
        self._common = channel.common[rows, columns].ravel()
        self._base = np.ascontiguousarray(reduction.base[:, index])

    def evaluate(self, companions: Iterable[Companion] = ()) -> Floats:
        """Values of the final image with companions added, shape (n_point,)."""
        listed = tuple(companions)
        change = np.zeros(self._shape, np.float32)
        channel = self.reduction.channel
        for companion in listed:
            add_companion(
                change,
                channel.star.stamp,
                companion[:2],
                channel.rotation,
                companion.contrast,
                self._corner,
            )
        flat = change.reshape(self._shape[0], -1)
        flat[:, ~self._common] = 0
        residuals = self._residuals(flat if listed else None)
        residuals[:, ~self._common] = 0
        samples = sample_frames(
            residuals.reshape(self._shape), self._xs - self._corner[0], self._ys - self._corner[1]
        )
        return self._combined(samples)

    def _residuals(self, change: Frames | None) -> Frames:
        reduction = self.reduction
        if reduction.traits.operator is not None:
            gram, base = reduction.gram, self._base
            if change is not None:
                base = base.copy()
                base[:-1] += change
                old = self._base[:, self._in_zone].astype(np.float64)
                new = base[:, self._in_zone].astype(np.float64)
                gram = gram + (new @ new.T - old @ old.T)
            matrix = reduction.matrix(gram).astype(np.float32)
            return np.asarray(matrix @ base)
        rows = self._base if change is None else self._base + change
        if reduction.traits.pixelwise:
            run = reduction.method.entry.run
            return np.asarray(run(rows, None, reduction.method.settings), np.float32)
        return self._whole_zone(change)

    def _whole_zone(self, change: Frames | None) -> Frames:
        """Run an algorithm without traits on all of its zone."""
        reduction = self.reduction
        rows = reduction.base
        if change is not None:
            rows = rows.copy()
            rows[:, self._index] += change
        zone = reduction.channel.zone.ravel()
        flat = np.zeros_like(rows)
        picked = np.ascontiguousarray(rows[:, zone])
        flat[:, zone] = reduction.method.entry.run(picked, None, reduction.method.settings)
        return np.ascontiguousarray(flat[:, self._index])

    def _combined(self, samples: Floats) -> Floats:
        combination = self.reduction.method.combination
        if combination == "median":
            return np.asarray(np.median(samples, axis=0))
        if combination == "mean":
            return np.asarray(samples.mean(axis=0))
        weights = self.reduction.channel.frame_weight
        return np.asarray((weights[:, None] * samples).sum(axis=0) / weights.sum())
