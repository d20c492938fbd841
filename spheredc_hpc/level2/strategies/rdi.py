"""Reference-star differential imaging: frames of other stars serve, own ones do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.inject import Rotation
from spheredc_hpc.level2.alignment import brightness
from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import LIBRARY, Rows, RowTable
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.registry import strategy


@strategy("rdi")
@exploits(library=True)
def rdi(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract frames of reference stars only.

    Parameters
    ----------
    prepared : Sequence
        Channels, and references made ready.

    Returns
    -------
    tuple of Rows
        One a channel, on native pixels; images on the pixel scale of the first.

    Raises
    ------
    DataError
        If there are no references, or they share no pixel with a channel.

    Notes
    -----
    Lafreniere et al. (2009), ApJ 694, L148. No frame of the sequence subtracts a companion, so
    that what is lost is what the references fit of it.
    """
    return tuple(replace(rows, own=False) for rows in with_references(prepared))


def with_references(prepared: Sequence) -> tuple[Rows, ...]:
    """Append references to the rows of each channel, each as bright as the channel's halo."""
    library = prepared.library
    if library is None:
        raise DataError("reference-star imaging needs references and there are none")
    found = []
    for k, own in enumerate(Rows.of_each(prepared.channels)):
        common = own.common & library.common[k]
        zone = own.zone & common
        if not zone.any():
            raise DataError(f"channel {k}: the references have no valid pixel in the zone")
        level = brightness(own.frames, zone)
        others = library.frames[k]
        factors = [1.0] * len(own.frames) + [level / brightness(f[None], zone) for f in others]
        frames = buffers.empty((len(factors), own.side, own.side))
        for out, frame, factor in zip(frames, (*own.frames, *others), factors, strict=True):
            np.multiply(frame, np.float32(factor), out=out)
            out[~common] = 0
            buffers.release(frames)
            buffers.release(own.frames)
        table = _table(own, len(others))
        found.append(replace(own, frames=frames, common=common, zone=zone, table=table))
    return tuple(found)


def _table(own: Rows, count: int) -> RowTable:
    """Table with `count` rows of the library at its end; they have no angle of their own."""
    table, turn = own.table, own.table.rotation
    still = np.zeros(count)
    return RowTable(
        np.append(table.channel, np.zeros(count, np.int64)),
        np.append(table.time, np.full(count, LIBRARY)),
        Rotation(
            np.append(turn.middle_deg, still),
            np.append(turn.start_deg, still),
            np.append(turn.end_deg, still),
        ),
        np.append(table.scale, np.ones(count)),
        np.append(table.flux, np.ones(count)),
    )
