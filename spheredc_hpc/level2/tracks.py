"""What a companion adds to the rows: its smeared image on each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.inject import Stamp, spread_stamps, sub_positions
from spheredc_hpc.level2.rows import Rows

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]
Indices = NDArray[np.int64]


class Companion(NamedTuple):
    """A point source to add to the frames.

    Attributes
    ----------
    dx_px, dy_px : float
        Offset from the star on the final images [image px].
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
        Pixels of the common grid per image pixel.
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
                    float(scale) / rows.image_pixels(int(channel)),
                    table.flux[same] / native.star.unit_flux,
                )
            )
    return tuple(found)


class Pieces(NamedTuple):
    """Stamps that a companion adds to some rows.

    Attributes
    ----------
    rows : array of int64, shape (n,)
        Rows.
    x0, y0 : array of int64, shape (n,)
        Offset of the first pixel of each stamp from the star's pixel.
    images : array of float32, shape (n, size, size)
        Smeared images.
    """

    rows: Indices
    x0: Indices
    y0: Indices
    images: Frames


def pieces_of(
    rows: Rows, groups: Iterable[Group], companions: Iterable[Companion]
) -> tuple[Pieces, ...]:
    """Make the images of companions on all rows.

    Parameters
    ----------
    rows : Rows
        Angles of the rows.
    groups : iterable of Group
        From `groups_of`.
    companions : iterable of Companion
        Sources; none is made where a contrast is zero.

    Returns
    -------
    tuple of Pieces
        One a group and companion.
    """
    listed = tuple(companions)
    found = []
    for group in groups:
        rotation = rows.table.rotation.of(group.rows)
        for companion in listed:
            contrast = companion.in_channel(group.channel)
            if contrast == 0:
                continue
            offset = companion.dx_px * group.pixels, companion.dy_px * group.pixels
            images, x0, y0 = group.stamp.smeared(*sub_positions(*offset, rotation))
            images *= np.float32(contrast) * group.flux.astype(np.float32)[:, None, None]
            found.append(Pieces(group.rows, x0, y0, images))
    return tuple(found)


def spread(out: Frames, place: Indices, pieces: Iterable[Pieces]) -> None:
    """Add pieces to rows whose pixels are held in any order, in place.

    Parameters
    ----------
    out : array of float32, shape (n_row, n_pix)
        Rows.
    place : array of int64, shape (side**2,)
        Column of each pixel, negative for those not held.
    pieces : iterable of Pieces
        What to add.
    """
    for piece in pieces:
        spread_stamps(out, piece.rows, place, (piece.x0, piece.y0), piece.images)


def touched(pieces: Iterable[Pieces], side: int, margin_px: int = 0) -> Indices:
    """Flat indices of the pixels that pieces reach on any row, rising."""
    half = side // 2
    mark = np.zeros((side, side), bool)
    for piece in pieces:
        size = piece.images.shape[-1]
        for x, y in zip(piece.x0 + half - margin_px, piece.y0 + half - margin_px, strict=True):
            end_x, end_y = x + size + 2 * margin_px, y + size + 2 * margin_px
            mark[max(y, 0) : max(end_y, 0), max(x, 0) : max(end_x, 0)] = True
    return np.flatnonzero(mark)
