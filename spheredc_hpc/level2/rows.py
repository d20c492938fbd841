"""Rows: all frames that one reduction sees, on one common grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.inject import Rotation
from spheredc_hpc.level2.sequence import Channel

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Frames = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Time of a row that comes from a library of reference stars.
LIBRARY = -1


@dataclass(frozen=True)
class RowTable:
    """What is known of each row.

    Attributes
    ----------
    channel : array of int64, shape (n,)
        Its spectral channel.
    time : array of int64, shape (n,)
        Its frame in the sequence; `LIBRARY` for a reference that is never a target.
    rotation : Rotation
        Angles, n of them [deg]; of no meaning for rows of the library.
    scale : array of float64, shape (n,)
        Pixels of the common grid per native pixel: at most 1, and 1 where nothing was rescaled.
    flux : array of float64, shape (n,)
        Sum in an aperture of one FWHM of a companion of contrast 1, taken on native pixels in
        the unit of the row; assumed where the star is not calibrated.
    """

    channel: Indices
    time: Indices
    rotation: Rotation
    scale: Floats
    flux: Floats

    @property
    def targets(self) -> Indices:
        """Rows that get a residual."""
        return np.flatnonzero(self.time >= 0)

    def of(self, rows: Indices) -> RowTable:
        """Table of some of the rows."""
        return RowTable(
            self.channel[rows],
            self.time[rows],
            self.rotation.of(rows),
            self.scale[rows],
            self.flux[rows],
        )


@dataclass(frozen=True)
class Rows:
    """Frames on a common square grid, star on pixel ``(n // 2, n // 2)``, speckles aligned.

    Attributes
    ----------
    frames : array of float32, shape (n, side, side)
        Finite frames; zero where `common` is false.
    common : array of bool, shape (side, side)
        Pixels with data in all rows, or in those of any channel where `covered` tells more.
    zone : array of bool, shape (side, side)
        Pixels that may define the model of the star.
    table : RowTable
        Times, channels, angles and scales.
    channels : tuple of Channel
        The native channels, in the order of `table.channel`.
    inner_px, outer_px : float
        Radii of the zone on this grid [px].
    fwhm_px : float
        Width of a companion on this grid [px].
    cliques : tuple of int arrays, optional
        Rows that may see each other; all may if absent. Every target is in one of them.
    then : tuple of int arrays, optional
        Cliques of a second subtraction, of the residuals of the first.
    covered : array of bool, shape (n_channel, side, side), optional
        Where each channel has data; everywhere in `common` if absent. A zone is cut so that
        every channel that takes part covers it, see `coverage.split_by_coverage`.
    least_channels : int
        Pixels that fewer channels share get no residual.
    own : bool
        Whether targets may serve each other; if not, only rows of the library do.
    image_scale_mas : float, optional
        Pixel scale of the final images of all channels [mas/px]; that of the first channel if
        absent.
    """

    frames: Frames
    common: Mask
    zone: Mask
    table: RowTable
    channels: tuple[Channel, ...]
    inner_px: float
    outer_px: float
    fwhm_px: float
    cliques: tuple[Indices, ...] | None = None
    then: tuple[Indices, ...] | None = None
    covered: Mask | None = None
    least_channels: int = 1
    own: bool = True
    image_scale_mas: float | None = None

    @classmethod
    def of_channel(cls, channel: Channel, image_scale_mas: float | None = None) -> Rows:
        """Rows of one channel as they are: angular differential imaging.

        Parameters
        ----------
        channel : Channel
            Frames and star.
        image_scale_mas : float, optional
            Pixel scale of the image; that of the channel if absent.
        """
        count = channel.frames.shape[0]
        table = RowTable(
            np.zeros(count, np.int64),
            np.arange(count),
            channel.rotation,
            np.ones(count),
            np.full(count, channel.star.unit_flux),
        )
        return cls(
            channel.frames,
            channel.common,
            channel.zone,
            table,
            (channel,),
            channel.inner_px,
            channel.outer_px,
            channel.star.fwhm_px,
            image_scale_mas=image_scale_mas,
        )

    @classmethod
    def of_each(cls, channels: Sequence[Channel]) -> tuple[Rows, ...]:
        """Rows of every channel by itself; images on the pixel scale of the first."""
        scale = channels[0].pixel_scale_mas
        return tuple(cls.of_channel(channel, scale) for channel in channels)

    @property
    def side(self) -> int:
        """Side of the grid [px]."""
        return int(self.frames.shape[-1])

    @property
    def groups(self) -> tuple[Indices, ...]:
        """`cliques`, or all rows as one."""
        return (np.arange(self.frames.shape[0]),) if self.cliques is None else self.cliques

    def image_pixels(self, channel: int) -> float:
        """Image pixels per native pixel of a channel."""
        native = self.channels[channel].pixel_scale_mas
        return native / (self.image_scale_mas or self.channels[0].pixel_scale_mas)

    @cached_property
    def zoom(self) -> Floats:
        """Pixels of the common grid per image pixel, of each row."""
        pixels = np.array([self.image_pixels(k) for k in range(len(self.channels))])
        return np.asarray(self.table.scale / pixels[self.table.channel], np.float64)

    @cached_property
    def factor(self) -> Floats:
        """Factor on the residuals of each row that gives ADU/s per image pixel.

        It undoes the brightness that a strategy has given to a row, and keeps the flux of a
        source where image pixels are not native ones.
        """
        unit = np.array([channel.star.unit_flux for channel in self.channels])
        pixels = np.array([self.image_pixels(k) for k in range(len(self.channels))])
        channel = self.table.channel
        return np.asarray(unit[channel] / self.table.flux / pixels[channel] ** 2, np.float64)
