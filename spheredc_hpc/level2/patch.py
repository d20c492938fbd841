"""A few pixels of the final image, reduced again exactly for changed frames."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.inject import detector_offsets
from spheredc_hpc.kernels.sample import REACH_PX, sample_frames
from spheredc_hpc.level2.engine import Companion, Reduction
from spheredc_hpc.level2.tracks import add_companions

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]


class Patch:
    """A few pixels of the final image, re-reduced exactly for changed frames.

    Parameters
    ----------
    reduction : Reduction
        The rows and the method.
    dx_px, dy_px : array of float64, shape (n_point,)
        Pixels wanted, as offsets from the star on the derotated image [native px of the first
        channel].
    """

    def __init__(self, reduction: Reduction, dx_px: Floats, dy_px: Floats) -> None:
        self.reduction = reduction
        rows = reduction.rows
        angles = rows.table.rotation.middle_deg
        pairs = [
            detector_offsets(float(x), float(y), angles) for x, y in zip(dx_px, dy_px, strict=True)
        ]
        self._xs = np.stack([pair[0] for pair in pairs], axis=1)
        self._ys = np.stack([pair[1] for pair in pairs], axis=1)
        half = rows.side // 2
        margin = REACH_PX + 1
        x0 = max(int(np.floor(self._xs.min())) - margin, -half)
        y0 = max(int(np.floor(self._ys.min())) - margin, -half)
        x1 = min(int(np.ceil(self._xs.max())) + margin, half) + 1
        y1 = min(int(np.ceil(self._ys.max())) + margin, half) + 1
        self._corner = (x0, y0)
        lines, columns = slice(y0 + half, y1 + half), slice(x0 + half, x1 + half)
        count = rows.frames.shape[0]
        self._shape = (count, y1 - y0, x1 - x0)
        index = np.arange(rows.zone.size).reshape(rows.zone.shape)[lines, columns].ravel()
        self._common = rows.common.ravel()[index]
        self._index = index

    def evaluate(self, companions: Iterable[Companion] = (), *, frozen: bool = False) -> Floats:
        """Values of the final images with companions added.

        Parameters
        ----------
        companions : iterable of Companion
            Added to the frames.
        frozen : bool
            Keep the coefficients of the unchanged frames.

        Returns
        -------
        array of float64, shape (n_channel, n_point)
        """
        change = np.zeros(self._shape, np.float32)
        reduction = self.reduction
        listed = tuple(companions)
        add_companions(change, reduction.rows, reduction.groups, listed, self._corner)
        flat = change.reshape(self._shape[0], -1)
        flat[:, ~self._common] = 0
        residuals = np.zeros_like(flat)
        residuals[:, self._common] = self._residuals(flat[:, self._common], frozen=frozen)
        samples = sample_frames(
            residuals.reshape(self._shape), self._xs - self._corner[0], self._ys - self._corner[1]
        )
        return self._combined(samples)[None]

    def _residuals(self, change: Frames, *, frozen: bool) -> Frames:
        reduction = self.reduction
        index = self._index[self._common]
        base = reduction.base.columns(index)
        if reduction.linear:
            out = np.zeros_like(change)
            new = base.copy()
            new[:-1] += change
            for number, zone in enumerate(reduction.zones):
                inside = np.isin(index, zone.subtraction)
                if not inside.any():
                    continue
                blocks = reduction.solved(number)
                if not frozen:
                    seen = np.isin(index, zone.optimisation)
                    extra = []
                    for group in reduction.summed(number):
                        rows = np.append(group, reduction.base.n_row - 1)
                        ones = np.ones((1, seen.sum()))
                        old_part = np.concatenate([base[np.ix_(rows, seen)], ones])
                        new_part = np.concatenate([new[np.ix_(rows, seen)], ones])
                        extra.append(new_part @ new_part.T - old_part @ old_part.T)
                    blocks = reduction.operator(number, extra)
                for block in blocks:
                    values = block.matrix[0, :, :-1] @ new[np.ix_(block.rows, inside)]
                    out[np.ix_(block.targets, inside)] = values + block.matrix[0, :, -1:]
            return out
        rows = base + change if reduction.traits.pixelwise else reduction.base.values.copy()
        place = reduction.base.place[index]
        if not reduction.traits.pixelwise:
            rows[:, place] += change
        if reduction.traits.framewise:
            return reduction.run_on(rows)[:, place]
        out = np.zeros_like(change)
        for number, zone in enumerate(reduction.zones):
            touched = np.flatnonzero(np.isin(index, zone.subtraction))
            if not touched.size:
                continue
            if reduction.traits.pixelwise:
                out[:, touched] = reduction.run_on(rows[:, touched], number)
                continue
            part = reduction.base.place[zone.subtraction]
            found = reduction.run_on(np.ascontiguousarray(rows[:, part]), number)
            out[:, touched] = found[:, np.searchsorted(zone.subtraction, index[touched])]
        return out

    def _combined(self, samples: Floats) -> Floats:
        combination = self.reduction.method.combination
        if combination == "median":
            return np.asarray(np.median(samples, axis=0))
        if combination == "mean":
            return np.asarray(samples.mean(axis=0))
        weights = self.reduction.channel.frame_weight
        return np.asarray((weights[:, None] * samples).sum(axis=0) / weights.sum())
