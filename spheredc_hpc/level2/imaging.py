"""From residuals to final images: one pixel scale, north up, combined over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spheredc_hpc.kernels.combine import Combination, combine_frames
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.rotate import rotate_fft
from spheredc_hpc.kernels.warp import WarpMethod, warp_frames
from spheredc_hpc.level2.rows import Rows

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Make = Callable[[Indices], Frames]

# Targets made and turned at a time: fixed shares of all, so that sums do not depend on threads.
_LEAST_BATCH = 16
_MOST_BATCHES = 16


@dataclass(frozen=True)
class Imaging:
    """Turns residuals of rows into the images of their channels.

    Attributes
    ----------
    rows : Rows
        Angles, scales and native channels.
    combination : {"mean", "median", "weighted"}
        How frames are combined.
    rotation : {"fft", "interpolated"}
        How frames are turned; those of several channels are always interpolated.
    seen : array of bool, shape (n_channel, side, side)
        Pixels of the rows of each channel that have a residual.
    """

    rows: Rows
    combination: Combination
    rotation: Literal["fft", "interpolated"]
    seen: Mask

    # ---------------------------------------------------------------- images

    def combined(self, frames: Frames) -> Frames:
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
        targets = self.rows.table.targets
        count, side = len(self.rows.channels), self.rows.side
        images = np.full((count, side, side), np.nan, np.float32)
        for k, own in enumerate(self.by_channel(targets)):
            if own.size:
                stack = frames if count == 1 else frames[np.searchsorted(targets, own)]
                valid = self.valid(k, own)
                weights = self.weights(own)[:, None, None]
                images[k] = combine_frames(stack, self.combination, valid=valid, weights=weights)
                images[k][~self.mask(k, valid)] = np.nan
        return images

    def summed(self, make: Make, order: Indices) -> Frames:
        """Make mean images: residuals are made, turned, added and forgotten.

        Parameters
        ----------
        make : callable
            ``make(targets)`` gives the residuals of some targets, shape (n, side, side), as an
            array of its own.
        order : array of int64
            All targets, in the order in which they are made with least effort.

        Returns
        -------
        array of float32, shape (n_channel, side, side)
            On image pixels, NaN where not valid.
        """
        count, side = len(self.rows.channels), self.rows.side
        weights = np.ones(self.rows.frames.shape[0])
        if self.combination == "weighted":
            weights[order] = self.weights(order)
        channel = self.rows.table.channel

        def add(batch: Indices) -> list[tuple[int, Floats, Floats | float, NDArray[Any] | int]]:
            frames = make(batch)
            self.turn(frames, batch)
            sums = []
            for k in np.unique(channel[batch]):
                mine = np.flatnonzero(channel[batch] == k)
                total = np.zeros((side, side))
                valid = self.valid(int(k), batch[mine])
                for i, at in enumerate(mine):
                    part = weights[batch[at]] * frames[at].astype(np.float64)
                    total += part if valid is None else np.where(valid[i], part, 0.0)
                weight: Floats | float = float(weights[batch[mine]].sum())
                number: NDArray[Any] | int = mine.size
                if valid is not None:
                    weight = np.tensordot(weights[batch[mine]], valid, 1)
                    number = valid.sum(axis=0)
                sums.append((int(k), total, weight, number))
            return sums

        total, weight = np.zeros((count, side, side)), np.zeros((count, side, side))
        number = np.zeros((count, side, side), np.int64)
        for part in map_ordered(add, self.batches(order)):
            for k, *added in part:
                total[k] += added[0]
                weight[k] += added[1]
                number[k] += added[2]
        mean = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
        images = mean.astype(np.float32)
        for k, targets in enumerate(self.by_channel(order)):
            images[k][~self._within(k) | (2 * number[k] < max(targets.size, 1))] = np.nan
        return np.asarray(images)

    # ---------------------------------------------------------------- frames

    def batches(self, order: Indices) -> list[Indices]:
        """Pieces in which targets are made and turned."""
        size = max(_LEAST_BATCH, -(-order.size // _MOST_BATCHES))
        return [order[start : start + size] for start in range(0, order.size, size)]

    def by_channel(self, targets: Indices) -> list[Indices]:
        """Targets of each channel, in the order of their numbers."""
        channel = self.rows.table.channel[targets]
        return [np.sort(targets[channel == k]) for k in range(len(self.rows.channels))]

    def weights(self, targets: Indices) -> Floats:
        """Weight of each target in a weighted mean."""
        table, channels = self.rows.table, self.rows.channels
        return np.array(
            [channels[table.channel[i]].frame_weight[table.time[i]] for i in targets], np.float64
        )

    def turn_all(self, frames: Frames) -> None:
        """Bring the residuals of all targets to image pixels and north up, in place."""
        targets = self.rows.table.targets

        def turn(batch: slice) -> None:
            self.turn(frames[batch], targets[batch])

        map_ordered(turn, blocks(targets.size, _LEAST_BATCH))

    def turn(self, frames: Frames, targets: Indices) -> None:
        """Bring frames to image pixels and north up, in the unit of the cube, in place."""
        angles = self.rows.table.rotation.middle_deg[targets]
        zoom, factor = self.rows.zoom[targets], self.rows.factor[targets]
        if self.rotation == "fft" and np.all(zoom == 1):
            # Phase ramps reach far: what is filled in beside the star would ring in the field.
            for i, angle in enumerate(angles):
                frames[i] = rotate_fft(frames[i], float(angle))
        else:
            for i, channel in enumerate(self.rows.table.channel[targets]):
                nearest = self._nearest[channel]
                if nearest is not None:
                    frames[i] = frames[i].ravel()[nearest]
            method: WarpMethod = "accurate" if self.rotation == "fft" else "interpolated"
            warp_frames(frames, list(angles), list(zoom), method=method, out=frames)
        if np.any(factor != 1):
            frames *= factor.astype(np.float32)[:, None, None]

    def from_image(self, dx_px: Any, dy_px: Any, target: int) -> tuple[Any, Any]:
        """Offsets on the row of a target from those on the image of its channel [px]."""
        angle, zoom = (
            np.deg2rad(self.rows.table.rotation.middle_deg[target]),
            self.rows.zoom[target],
        )
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        return cosine * dx_px + sine * dy_px, cosine * dy_px - sine * dx_px

    # ---------------------------------------------------------------- masks

    def valid(self, channel: int, targets: Indices) -> Mask | None:
        """Where turned frames hold a residual, shape (n, side, side); None: all that matters."""
        if self._complete[channel]:
            return None
        side = self.rows.side
        y, x = np.mgrid[:side, :side] - side // 2
        return np.stack([self.seen_at(x, y, int(target)) for target in targets])

    def seen_at(self, dx_px: Any, dy_px: Any, target: int) -> Mask:
        """Whether the pixel nearest to offsets on the image has a residual in a row."""
        side = self.rows.side
        dx, dy = self.from_image(dx_px, dy_px, target)
        ix, iy = np.rint(dx).astype(int) + side // 2, np.rint(dy).astype(int) + side // 2
        inside = (ix >= 0) & (iy >= 0) & (ix < side) & (iy < side)
        seen = self.seen[self.rows.table.channel[target]]
        return np.asarray(
            inside & seen[np.clip(iy, 0, side - 1), np.clip(ix, 0, side - 1)], np.bool_
        )

    @cached_property
    def _complete(self) -> list[bool]:
        """Whether every pixel that a channel's image needs is seen in all of its rows."""
        side = self.rows.side
        y, x = np.mgrid[:side, :side] - side // 2
        radius = np.hypot(x, y)
        found = []
        for k, targets in enumerate(self.by_channel(self.rows.table.targets)):
            zoom = self.rows.zoom[targets]
            radii = self._radii(k)
            low = radii[0] * zoom.min(initial=1.0) - 2
            high = radii[1] * zoom.max(initial=0.0) + 2
            needed = (radius >= low) & (radius <= min(high, side // 2))
            found.append(bool(self.seen[k][needed].all()))
        return found

    @cached_property
    def _nearest(self) -> list[Indices | None]:
        """Nearest pixel with a residual for each pixel of a channel; None if all have one.

        Interpolation beside the edge of what is seen finds these values there, not a step.
        """
        found: list[Indices | None] = []
        for seen in self.seen:
            if seen.all() or not seen.any():
                found.append(None)
                continue
            y, x = ndimage.distance_transform_edt(
                ~seen, return_distances=False, return_indices=True
            )
            found.append(y.astype(np.int64) * self.rows.side + x)
        return found

    def _radii(self, channel: int) -> tuple[float, float]:
        """Radii of the image of a channel [image px]."""
        pixels = self.rows.image_pixels(channel)
        if len(self.rows.channels) == 1:
            return self.rows.inner_px * pixels, self.rows.outer_px * pixels
        native = self.rows.channels[channel]
        return native.inner_px * pixels, native.outer_px * pixels

    def _within(self, channel: int) -> Mask:
        side = self.rows.side
        y, x = np.mgrid[:side, :side] - side // 2
        radius = np.hypot(x, y)
        low, high = self._radii(channel)
        return np.asarray((radius >= low) & (radius <= high), np.bool_)

    def mask(self, channel: int, valid: Mask | None) -> Mask:
        """Mark the valid pixels of an image: within its radii, seen in half of the frames."""
        inside = self._within(channel)
        if valid is not None:
            inside &= 2 * valid.sum(axis=0) >= valid.shape[0]
        return inside


def seen_pixels(rows: Rows, parts: Sequence[tuple[Indices, Indices]]) -> Mask:
    """Pixels with a residual in each channel.

    Parameters
    ----------
    rows : Rows
        Their grid and channels.
    parts : sequence of (array of int64, array of int64)
        Pixels of each zone and the channels that take part in it.

    Returns
    -------
    array of bool, shape (n_channel, side, side)
    """
    seen = np.zeros((len(rows.channels), rows.side**2), bool)
    for pixels, channels in parts:
        seen[np.ix_(channels, pixels)] = True
    return seen.reshape(-1, rows.side, rows.side)
