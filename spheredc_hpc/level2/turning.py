"""How rows become image frames: turn, scale and the pixels that are valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray
from scipy import ndimage

from spheredc_hpc.kernels.masks import turn_mask
from spheredc_hpc.kernels.polar import radius_map
from spheredc_hpc.kernels.rotate import rotate_frames
from spheredc_hpc.kernels.warp import WarpMethod, warp_frames
from spheredc_hpc.level2.rows import Rows

Array = Any
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A zone may end so far beyond the largest circle within the frames before images are masked frame
# by frame; what little is beyond the circle is left out then [px].
_BEYOND_PX = 1.5


@dataclass(frozen=True)
class Turning:
    """Brings residuals of rows to image pixels, north up.

    Attributes
    ----------
    rows : Rows
        Angles, scales and native channels.
    rotation : {"fft", "interpolated"}
        How frames are turned; rescaled ones are always interpolated, with "fft" by longer
        filters.
    seen : array of bool, shape (n_channel, side, side)
        Pixels of the rows of each channel that have a residual.
    """

    rows: Rows
    rotation: Literal["fft", "interpolated"]
    seen: Mask

    def by_channel(self, targets: Indices) -> list[Indices]:
        """Targets of each channel, in the order of their numbers."""
        channel = self.rows.table.channel[targets]
        return [np.sort(targets[channel == k]) for k in range(len(self.rows.channels))]

    @cached_property
    def by_ramps(self) -> bool:
        """Whether frames are turned by phase ramps: none is rescaled, and nothing is filled in.

        Ramps reach far: what was filled in beside the star would ring in the field.
        """
        zoom = self.rows.zoom[self.rows.table.targets]
        return self.rotation == "fft" and bool(np.all(zoom == 1))

    def turned(self, frames: Array, targets: Indices) -> Array:
        """Bring frames to image pixels and north up, in the unit of the cube.

        NumPy frames are changed in place.
        """
        xp = array_namespace(frames)
        out = frames if is_numpy_array(frames) else None
        angles = self.rows.table.rotation.middle_deg[targets].tolist()
        zoom, factor = self.rows.zoom[targets], self.rows.factor[targets]
        if self.by_ramps:
            frames = rotate_frames(frames, angles, "fft", out)
        else:
            frames = self._filled(frames, targets)
            method: WarpMethod = "accurate" if self.rotation == "fft" else "interpolated"
            frames = warp_frames(frames, angles, zoom.tolist(), method=method, out=out)
        if np.any(factor != 1):
            scale = xp.asarray(factor.astype(np.float32)[:, None, None])
            frames = np.multiply(frames, scale, out=out) if out is not None else frames * scale
        return frames

    def _filled(self, frames: Array, targets: Indices) -> Array:
        """Give pixels without a residual the value of the nearest one that has one."""
        xp = array_namespace(frames)
        channel = self.rows.table.channel[targets]
        if is_numpy_array(frames):
            for i, k in enumerate(channel):
                nearest = self.nearest[k]
                if nearest is not None:
                    frames[i] = frames[i].ravel()[nearest]
            return frames
        side = self.rows.side
        whole = np.arange(side * side).reshape(side, side)
        places = [whole if self.nearest[k] is None else self.nearest[k] for k in channel]
        flat = xp.reshape(frames, (-1, side * side))
        filled = [
            xp.take(flat[i, :], xp.asarray(np.ravel(place))) for i, place in enumerate(places)
        ]
        return xp.reshape(xp.stack(filled), frames.shape)

    def from_image(self, dx_px: Any, dy_px: Any, target: int) -> tuple[Any, Any]:
        """Offsets on the row of a target from those on the image of its channel [px]."""
        angle = np.deg2rad(self.rows.table.rotation.middle_deg[target])
        zoom = self.rows.zoom[target]
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        return cosine * dx_px + sine * dy_px, cosine * dy_px - sine * dx_px

    # ---------------------------------------------------------------- masks

    def valid(self, channel: int, targets: Indices, rows: slice | None = None) -> Mask | None:
        """Where rows of turned frames hold a residual, (n, rows, side); None: all that matters."""
        if self._complete[channel]:
            return None
        angles = self.rows.table.rotation.middle_deg[targets]
        return turn_mask(self.seen[channel], angles, self.rows.zoom[targets], rows)

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
        radius = radius_map((side, side))
        found = []
        for k, targets in enumerate(self.by_channel(self.rows.table.targets)):
            zoom = self.rows.zoom[targets]
            radii = self._radii(k)
            low = radii[0] * zoom.min(initial=1.0) - 2
            high = radii[1] * zoom.max(initial=0.0) + 2
            needed = (radius >= low) & (radius <= min(high, side // 2))
            inside = radii[1] * zoom.max(initial=0.0) <= side // 2 + _BEYOND_PX
            found.append(bool(inside and self.seen[k][needed].all()))
        return found

    @cached_property
    def nearest(self) -> list[Indices | None]:
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

    def mask(self, channel: int, counted: Indices | None) -> Mask:
        """Mark the valid pixels of an image.

        Parameters
        ----------
        channel : int
            Channel.
        counted : array of int64, shape (side, side), or None
            Frames that see each pixel; None: all of those within the frames.

        Returns
        -------
        array of bool, shape (side, side)
            Within the radii and seen in at least half of the frames.
        """
        radius = radius_map((self.rows.side, self.rows.side))
        low, high = self._radii(channel)
        targets = self.rows.table.targets
        own = targets[self.rows.table.channel[targets] == channel]
        if counted is None:
            # The largest circle that all turned frames hold.
            circle = (self.rows.side // 2 + 0.5) / self.rows.zoom[own].max(initial=0.0)
            return np.asarray((radius >= low) & (radius <= min(high, circle)), np.bool_)
        inside = (radius >= low) & (radius <= high)
        return np.asarray(inside & (counted > 0) & (2 * counted >= own.size), np.bool_)


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
