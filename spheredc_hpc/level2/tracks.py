"""What a companion adds to the rows: its smeared image on each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.inject import Stamp, add_companion
from spheredc_hpc.level2.rows import Rows

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]


class Companion(NamedTuple):
    """A point source to add to the frames.

    Attributes
    ----------
    dx_px, dy_px : float
        Offset from the star on the derotated image [native px of the first channel].
    contrast : float or array of float64, shape (n_channel,)
        Factor on the PSF, of all channels or of each; negative takes away.
    """

    dx_px: float
    dy_px: float
    contrast: float | Floats

    def in_channel(self, k: int) -> float:
        """Contrast in one channel."""
        values = np.asarray(self.contrast, np.float64)
        return float(values if values.ndim == 0 else values[k])


class Group(NamedTuple):
    """Targets of one channel and one scale, for which a companion has one PSF.

    Attributes
    ----------
    rows : array of int64
        Rows.
    channel : int
        Channel.
    stamp : Stamp
        PSF on the common grid.
    pixels : float
        Pixels of the common grid per native pixel of the first channel.
    flux : array of float64
        Factor on the stamp, per row.
    """

    rows: Indices
    channel: int
    stamp: Stamp
    pixels: float
    flux: Floats


def groups_of(rows: Rows) -> tuple[Group, ...]:
    """Sort the targets by channel and scale."""
    table = rows.table
    found = []
    first = rows.channels[0].pixel_scale_mas
    targets = table.targets
    for channel in np.unique(table.channel[targets]):
        members = targets[table.channel[targets] == channel]
        native = rows.channels[channel]
        for scale in np.unique(table.scale[members]):
            same = members[table.scale[members] == scale]
            found.append(
                Group(
                    same,
                    int(channel),
                    native.star.stamp.zoomed(float(scale)),
                    float(scale) * first / native.pixel_scale_mas,
                    table.flux[same] / native.star.unit_flux,
                )
            )
    return tuple(found)


def add_companions(
    frames: Frames,
    rows: Rows,
    groups: Iterable[Group],
    companions: Iterable[Companion],
    corner_px: tuple[int, int] | None = None,
) -> None:
    """Add companions to all rows, in place.

    Parameters
    ----------
    frames : array of float32, shape (n, ny, nx)
        Rows, or the same window of each.
    rows : Rows
        Angles and scales.
    groups : iterable of Group
        From `groups_of`.
    companions : iterable of Companion
        What to add.
    corner_px : (int, int), optional
        Offset of the first pixel from the star; whole frames if absent.
    """
    for group, companion in _pairs(groups, companions):
        offset = companion.dx_px * group.pixels, companion.dy_px * group.pixels
        contrast = companion.in_channel(group.channel)
        if contrast == 0:
            continue
        rotation = rows.table.rotation
        for row, flux in zip(group.rows, group.flux, strict=True):
            one = slice(row, row + 1)
            add_companion(
                frames[one], group.stamp, offset, rotation.of(one), contrast * flux, corner_px
            )


def _pairs(
    groups: Iterable[Group], companions: Iterable[Companion]
) -> Iterator[tuple[Group, Companion]]:
    listed = tuple(companions)
    for group in groups:
        for companion in listed:
            yield group, companion
