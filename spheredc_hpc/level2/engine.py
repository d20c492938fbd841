"""Subtraction, derotation and combination of one channel, and exact repetitions of it.

A repetition is the whole reduction of a changed cube: companions added to or taken out of
the frames. It is needed over the whole image (throughput) or about one position (forward
models); the second costs a hundredth of the first, because the traits of the algorithm tell
what a change does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.combine import Combination, combine_frames
from spheredc_hpc.kernels.inject import add_companion
from spheredc_hpc.kernels.modes import apply_operator, gram_matrix
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.traits import traits_of
from spheredc_hpc.registry import Entry

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]


class Companion(NamedTuple):
    """A point source to add to the frames.

    Attributes
    ----------
    dx_px, dy_px : float
        Offset from the star on the derotated image [px].
    contrast : float
        Factor on the PSF; negative takes away.
    """

    dx_px: float
    dy_px: float
    contrast: float


@dataclass(frozen=True)
class Method:
    """An algorithm with its settings and the combination of frames."""

    entry: Entry[Any]
    settings: Any
    combination: Combination


class Reduction:
    """One channel reduced by one method.

    `base` holds the pixels, one row a frame: for algorithms with an operator the frames without
    their temporal mean and, as last row, that mean; for others the frames as they are.

    Parameters
    ----------
    channel : Channel
        Frames and star; not changed.
    method : Method
        Algorithm, settings and combination.
    companions : iterable of Companion
        Added to the frames before anything else: with negative contrast, sources that are
        to be absent.
    """

    def __init__(
        self, channel: Channel, method: Method, companions: Iterable[Companion] = ()
    ) -> None:
        self.channel = channel
        self.method = method
        self.traits = traits_of(method.entry.run)
        self.companions = tuple(companions)
        frames = self._with(self.companions)
        rows = frames.reshape(frames.shape[0], -1)
        self._zone = channel.zone.ravel()
        if self.traits.operator is None:
            self.base = rows
        else:
            mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
            self.base = np.concatenate([rows - mean, mean[None]], axis=0)
            self.gram = gram_matrix(self.base[:, self._zone])

    def _with(self, companions: Iterable[Companion]) -> Frames:
        frames = self.channel.frames
        listed = tuple(companions)
        if not listed:
            return frames
        frames = frames.copy()
        count = frames.shape[0]
        rotation, stamp = self.channel.rotation, self.channel.star.stamp

        def add(index: int) -> None:
            one = type(rotation)(
                rotation.middle_deg[index : index + 1],
                rotation.start_deg[index : index + 1],
                rotation.end_deg[index : index + 1],
            )
            for companion in listed:
                add_companion(
                    frames[index : index + 1], stamp, companion[:2], one, companion.contrast
                )

        map_ordered(add, range(count))
        frames[:, ~self.channel.common] = 0
        return frames

    def matrix(self, gram: Floats) -> Floats:
        """Matrix from the base (centred frames, then their mean) to residuals."""
        if self.traits.operator is None:
            raise DataError(f"{self.method.entry.name} has no operator")
        count = gram.shape[0] - 1
        lift = np.concatenate([np.eye(count), np.ones((count, 1))], axis=1)
        operator = self.traits.operator(lift @ gram @ lift.T, self.method.settings)
        return np.asarray(operator @ lift)

    def residuals(self) -> Frames:
        """Frames after the subtraction, shape (time, side, side), not derotated."""
        if self.traits.operator is not None:
            flat = apply_operator(self.matrix(self.gram), self.base)
        elif self.traits.pixelwise:
            flat = self.method.entry.run(self.base, None, self.method.settings)
        else:
            flat = np.zeros_like(self.base)
            zone = np.ascontiguousarray(self.base[:, self._zone])
            flat[:, self._zone] = self.method.entry.run(zone, None, self.method.settings)
        frames = np.asarray(flat, np.float32).reshape(self.channel.frames.shape)
        frames[:, ~self.channel.common] = 0
        return frames

    def derotated(self) -> tuple[Frames, NDArray[np.bool_] | None]:
        """Residuals turned to north up, and where they are valid (None: everywhere)."""
        frames = self.residuals()
        angles = self.channel.rotation.middle_deg

        def turn(index: int) -> Frames:
            return np.asarray(rotate_fft(frames[index], float(angles[index])))

        turned = np.stack(map_ordered(turn, range(frames.shape[0])))
        return turned, self._coverage()

    def _coverage(self) -> NDArray[np.bool_] | None:
        common = self.channel.common
        side = common.shape[0]
        y, x = np.mgrid[:side, :side] - side // 2
        if common[np.hypot(x, y) <= min(self.channel.outer_px + 2, side // 2)].all():
            return None
        covered = []
        for angle in self.channel.rotation.middle_deg:
            dx, dy = _turned(x, y, float(angle))
            ix, iy = np.rint(dx).astype(int) + side // 2, np.rint(dy).astype(int) + side // 2
            inside = (ix >= 0) & (iy >= 0) & (ix < side) & (iy < side)
            covered.append(inside & common[np.clip(iy, 0, side - 1), np.clip(ix, 0, side - 1)])
        return np.stack(covered)

    def image(self) -> Frames:
        """Reduce: subtract, derotate, combine; NaN outside of the valid zone."""
        turned, valid = self.derotated()
        weights = self.channel.frame_weight[:, None, None]
        image = combine_frames(turned, self.method.combination, valid=valid, weights=weights)
        image[~self.mask(valid)] = np.nan
        return image

    def mask(self, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Pixels of the final image that are valid: in the zone, seen by half of the frames."""
        side = self.channel.zone.shape[0]
        y, x = np.mgrid[:side, :side] - side // 2
        radius = np.hypot(x, y)
        inside = (radius >= self.channel.inner_px) & (radius <= self.channel.outer_px)
        if valid is not None:
            inside &= 2 * valid.sum(axis=0) >= valid.shape[0]
        return np.asarray(inside, bool)


def _turned(x: Any, y: Any, angle_deg: float) -> tuple[Floats, Floats]:
    """Offsets on the frame that an angle turns to offsets `x`, `y` of the derotated image."""
    angle = np.deg2rad(angle_deg)
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
