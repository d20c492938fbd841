"""Which channels cover which pixels of the common grid, and zones cut accordingly.

On the grid on which speckles are aligned, a channel of longer wavelength reaches less far out
and further in. A zone is cut into parts that are each covered by one set of channels; rows of
other channels take no part there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.level2.regions import Zone

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Parts of a zone on each side of its best covered radius, at most: so many for a narrow annulus,
# one more for each of so many pixels of width.
_LEVELS = 3
_LEVEL_PX = 16.0
# An order of channels serves a pixel if this share of those that cover it come first.
_SERVED = 0.5
# A part below this share of the pixels of its zone is not worth a solution of its own: its pixels
# go with the part that fewer channels share.
_LEAST_SHARE = 0.05


class CoveredZone(NamedTuple):
    """A zone and the channels that have data on all of its pixels.

    Attributes
    ----------
    zone : Zone
        Pixels; the optimisation pixels may go beyond those that share its set of channels.
    channels : array of int64
        Rising.
    """

    zone: Zone
    channels: Indices


def split_by_coverage(
    zones: Sequence[Zone], covered: Mask, least: int = 1
) -> tuple[CoveredZone, ...]:
    """Cut zones so that every channel that takes part covers all of the zone.

    Parameters
    ----------
    zones : sequence of Zone
        As `regions.plan_zones` gives them.
    covered : array of bool, shape (n_channel, side, side)
        Where each channel has data.
    least : int
        Parts covered by fewer channels are left out.

    Returns
    -------
    tuple of CoveredZone
        Their subtraction pixels are disjoint. Pixels that no `least` channels share, and zones
        without a covered optimisation pixel, are absent.

    Notes
    -----
    The number of parts is bounded where channels end one after the other, so some rows stay out
    of pixels that they do cover; no pixel is lost by that.
    """
    flat = covered.reshape(covered.shape[0], -1)
    parts: list[CoveredZone] = []
    for zone in zones:
        if flat[:, zone.subtraction].all() and flat[:, zone.optimisation].all():
            parts.append(CoveredZone(zone, np.arange(covered.shape[0])))
            continue
        merged: dict[bytes, CoveredZone] = {}
        for pixels in _sides(zone.subtraction, flat, covered.shape[-1]):
            for part in _cut(replace(zone, subtraction=pixels), flat, least, zone.subtraction.size):
                key = part.channels.tobytes()
                merged[key] = _joined(merged[key], part) if key in merged else part
        parts += merged.values()
    return _fitted_on_parts(parts, flat)


def _fitted_on_parts(parts: Sequence[CoveredZone], flat: Mask) -> tuple[CoveredZone, ...]:
    """Fit each part on pixels of any part that its channels cover; parts without any go."""
    held: list[CoveredZone] = list(parts)
    while True:
        some = np.zeros(flat.shape[1], bool)
        for part in held:
            some[part.zone.subtraction] = True
        fitted = []
        for part in held:
            wanted = part.zone.optimisation
            use = some[wanted] & flat[part.channels][:, wanted].all(axis=0)
            if use.any():
                fitted.append(part._replace(zone=replace(part.zone, optimisation=wanted[use])))
        if len(fitted) == len(held):
            return tuple(fitted)
        held = fitted


def _joined(one: CoveredZone, other: CoveredZone) -> CoveredZone:
    pixels = np.sort(np.concatenate([one.zone.subtraction, other.zone.subtraction]))
    return CoveredZone(replace(one.zone, subtraction=pixels), one.channels)


def _sides(pixels: Indices, flat: Mask, side: int) -> list[Indices]:
    """Pixels within and beyond the radius at which most channels have data."""
    radius = np.hypot(pixels // side - side // 2, pixels % side - side // 2)
    ring = np.rint(radius).astype(np.int64)
    total = np.bincount(ring, flat[:, pixels].sum(axis=0).astype(np.float64))
    count = np.bincount(ring)
    mean = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    best = np.flatnonzero(mean >= mean.max() - 1e-9)
    split = best[best.size // 2]
    return [part for part in (pixels[ring <= split], pixels[ring > split]) if part.size]


def _cut(zone: Zone, flat: Mask, least: int, size: int) -> list[CoveredZone]:
    """Cut one side of a zone of a size into parts of one set of channels each."""
    count = flat[:, zone.subtraction].sum(axis=0)
    left = zone.subtraction[count >= least]
    parts: list[CoveredZone] = []
    found = _levels(replace(zone, subtraction=left), flat, least, size)
    while True:
        for part in found:
            left = np.setdiff1d(left, part.zone.subtraction, assume_unique=True)
        parts += found
        if not left.size:
            return parts
        served = _SERVED if left.size >= _LEAST_SHARE * size else 0.0
        found = [_most_alike(replace(zone, subtraction=left), flat, least, served)]


def _levels(zone: Zone, flat: Mask, least: int, size: int) -> list[CoveredZone]:
    """Parts by how many channels cover them, of pixels for which one order of channels serves."""
    here = flat[:, zone.subtraction]
    order = np.argsort(-here.sum(axis=1), kind="stable")
    # How many channels, counted in this order, share the pixel: all that cover it where channels
    # end one after the other, few where one of the first has a hole.
    shared = np.cumprod(here[order], axis=0).sum(axis=0)
    good = (shared >= least) & (shared >= _SERVED * here.sum(axis=0))
    if not good.any():
        return []
    pixels, shared = zone.subtraction[good], shared[good]
    inside = np.isin(pixels, zone.optimisation)
    kept = _worth_it(shared, _kept_levels(shared, inside, zone, least), _LEAST_SHARE * size)
    parts = []
    for number, level in enumerate(kept):
        above = kept[number + 1] if number + 1 < kept.size else np.inf
        chosen = pixels[(shared >= level) & (shared < above)]
        if chosen.size:
            parts.append(CoveredZone(replace(zone, subtraction=chosen), np.sort(order[:level])))
    return parts


def _most_alike(zone: Zone, flat: Mask, least: int, served: float) -> CoveredZone:
    """Pixels covered by the channels that the most frequent sets of channels have in common.

    Sets join as long as `least` channels are left, and of each set the share `served`.
    """
    here = flat[:, zone.subtraction]
    packed, count = np.unique(np.packbits(here, axis=0), axis=1, return_counts=True)
    sets = np.unpackbits(packed, axis=0, count=here.shape[0]).astype(bool)
    channels, largest = np.ones(here.shape[0], bool), 0
    for number in np.argsort(-count, kind="stable"):
        common = channels & sets[:, number]
        most = max(largest, int(sets[:, number].sum()))
        if common.sum() >= max(least, served * most):
            channels, largest = common, most
    pixels = zone.subtraction[here[channels].all(axis=0)]
    return CoveredZone(replace(zone, subtraction=pixels), np.flatnonzero(channels))


def _kept_levels(shared: Indices, inside: Mask, zone: Zone, least: int) -> Indices:
    """Numbers of channels at which the zone is cut: the least one, and quantiles of the area."""
    seen = shared[shared >= least]
    found = np.unique(seen)
    most = _LEVELS + int((zone.outer_px - zone.inner_px) / _LEVEL_PX)
    if found.size > most:
        counted = inside & (shared >= least)
        values = shared[counted] if counted.any() else seen
        place = np.quantile(values, np.linspace(0, 1, most), method="lower")
        found = np.unique(np.concatenate([found[:1], place]))
    return found


def _worth_it(shared: Indices, levels: Indices, pixels: float) -> Indices:
    """Levels whose parts have so many pixels, and the lowest one."""
    kept = list(levels)
    for level in levels[:0:-1]:
        above = [other for other in kept if other > level]
        own = (shared >= level) & (shared < (above[0] if above else np.inf))
        if np.count_nonzero(own) < pixels:
            kept.remove(level)
    return np.array(kept, np.int64)
