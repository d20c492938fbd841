"""What a reduction could not do as it was asked: flags and figures for the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.level2.engine import Reduction
from spheredc_hpc.level2.limits import Limits

# A zone in which a larger share of the frames is short of references is named.
_MANY = 0.5


class Caveat(NamedTuple):
    """A flag and what it is about.

    Attributes
    ----------
    flag : str
        From `spheredc_hpc.model.quality.FLAGS`.
    reason : str
        The figure behind it.
    """

    flag: str
    reason: str


class Shortage(NamedTuple):
    """How much of a field lacks references.

    Attributes
    ----------
    share : float
        Share of all frames and pixels for which the rule left too few.
    within_mas : float
        Outer radius of the outermost zone in which this is so for most frames [mas]; 0 if there
        is none.
    """

    share: float
    within_mas: float


def shortage_of(reductions: Sequence[Reduction]) -> Shortage:
    """Find where the rules of reductions leave frames with too few references."""
    short = total = within_mas = 0.0
    for reduction in reductions:
        if not reduction.linear:
            continue
        # The channel that is rescaled most shows a radius of the common grid farthest out.
        native = np.array([channel.pixel_scale_mas for channel in reduction.rows.channels])
        table = reduction.rows.table
        scale_mas = float((native[table.channel] / table.scale)[table.targets].max())
        for number, zone in enumerate(reduction.zones):
            share = reduction.short(number)
            short += share * zone.subtraction.size
            total += zone.subtraction.size
            if share > _MANY:
                within_mas = max(within_mas, zone.outer_px * scale_mas)
    return Shortage(short / total if total else 0.0, within_mas)


def caveats_of(
    reductions: Sequence[Reduction], limits: Limits, short: Shortage
) -> tuple[Caveat, ...]:
    """List what the user of a product has to know.

    Parameters
    ----------
    reductions : sequence of Reduction
        Of all channels.
    limits : Limits
        For the assumed spectrum.
    short : Shortage
        Of the reductions.

    Returns
    -------
    tuple of Caveat
    """
    found = []
    if short.within_mas > 0:
        found.append(
            Caveat(
                "REFERENCES_FEW",
                f"within {short.within_mas:.0f} mas there are zones in which most frames have "
                "fewer references than asked for: the least harmful others served",
            )
        )
    blind = _blind(reductions, limits)
    return (*found, Caveat("LIMITS_MISSING", blind)) if blind else tuple(found)


def search_caveats(left: str) -> tuple[Caveat, ...]:
    """Say that peaks were left when the search for sources ended."""
    return (Caveat("SOURCES_LEFT", f"{left}; what is left counts as noise"),) if left else ()


def _blind(reductions: Sequence[Reduction], limits: Limits) -> str:
    """Say which images have no detection limit at all, and why; nothing if all have one."""
    channels = [channel for reduction in reductions for channel in reduction.rows.channels]
    lit = limits.spectrum.contrast > 0
    asked = lit & np.array([channel.star.calibrated for channel in channels])
    lost = np.flatnonzero(asked & ~np.isfinite(limits.contrast).any(axis=(0, 2)))
    if lost.size:
        named = ", ".join(str(k) for k in lost[:10]) + (" ..." if lost.size > 10 else "")
        return f"no detection limit in channels {named}: {_why(limits, lost)}"
    if asked.all() and not np.isfinite(limits.stack_contrast).any():
        return "no detection limit of the stack: no separation serves all of its channels"
    return ""


def _why(limits: Limits, lost: NDArray[np.int64]) -> str:
    curves = [limits.curves[k] for k in lost]
    if not any(np.isfinite(curve.noise).any() for curve in curves):
        return "no ring has noise: too few valid apertures, or images that hold only round-off"
    if not any(np.isfinite(curve.throughput).any() for curve in curves):
        return "nowhere is the whole aperture of an injected companion on valid pixels"
    best = max(float(np.nanmax(curve.throughput, initial=0.0)) for curve in curves)
    return f"throughput is {best:.3f} at best, or the coronagraph hides what is there"
