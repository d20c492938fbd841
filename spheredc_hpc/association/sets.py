"""Sets of calibration frames that go together, sought outward in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from spheredc_hpc.association.index import FrameIndex, Values
from spheredc_hpc.association.picks import Pick, age_of, tier_of
from spheredc_hpc.association.rules import Source
from spheredc_hpc.config import ValidityWindow
from spheredc_hpc.model.frame import RawFrame

Wanted = tuple[Values, Values]
Query = tuple[Wanted, float, ValidityWindow]
"""Keys and their values, the date [d], and how far away a calibration may be."""


class SetFinder:
    """Finds the best set of one source.

    Parameters
    ----------
    index : FrameIndex
        All frames that may calibrate.
    largest_bracket : float
        Ratio of the integration times of a bracketing pair, at most.
    """

    def __init__(self, index: FrameIndex, largest_bracket: float) -> None:
        self.index = index
        self.largest_bracket = largest_bracket

    def nearest(self, source: Source, rank: int, query: Query) -> Pick | None:
        """Give the nearest usable set; a complete one beats an incomplete one of its tier."""
        wanted, mjd, window = query
        tried: set[str] = set()
        incomplete: Pick | None = None
        for nearest in self.index.outward(source.frame_class, *wanted, mjd):
            age_h = age_of(nearest, mjd)
            tier = tier_of(age_h, window)
            if tier is None or (incomplete is not None and tier != incomplete.tier):
                break
            if nearest.archive_id in tried:
                continue
            frames = self._set_of(source, nearest, query)
            tried |= {frame.archive_id for frame in frames}
            levels = len({frame.dit_s for frame in frames})
            if levels < source.usable_levels:
                continue
            pick = Pick(source, rank, frames, tier, age_h, source.relaxed)
            if levels >= source.levels:
                return pick
            incomplete = incomplete or replace(pick, relaxed=(*pick.relaxed, "levels"))
        return incomplete

    def bracketing(
        self, source: Source, rank: int, query: Query, dit_s: float | None
    ) -> Pick | None:
        """Give the files of two integration times about `dit_s`, of the nearest night with both.

        Of each side the integration time nearest to the wanted one is taken.
        """
        wanted, mjd, window = query
        if dit_s is None:
            return None
        nights: dict[str, list[RawFrame]] = defaultdict(list)
        for frame in self.index.outward(source.frame_class, *wanted, mjd):
            if tier_of(age_of(frame, mjd), window) is None:
                break
            held = nights[frame.night]
            held.append(frame)
            pair = self._pair(held, dit_s)
            if pair is None:
                continue
            chosen = self._members(source, frame, wanted, dit_s) or pair
            age_h = min(age_of(member, mjd) for member in chosen)
            tier = tier_of(age_h, window) or ""
            return Pick(source, rank, chosen, tier, age_h, source.relaxed)
        return None

    def _members(
        self, source: Source, nearest: RawFrame, wanted: Wanted, dit_s: float
    ) -> tuple[RawFrame, ...]:
        """All files of the night whose integration times make the tightest bracket."""
        keys, _ = wanted
        night = self.index.bundle(nearest, keys, "night")
        return self._pair(night, dit_s) or ()

    def _pair(self, frames: Sequence[RawFrame], dit_s: float) -> tuple[RawFrame, ...] | None:
        below = max((f.dit_s for f in frames if f.dit_s and f.dit_s < dit_s), default=None)
        above = min((f.dit_s for f in frames if f.dit_s and f.dit_s > dit_s), default=None)
        if below is None or above is None or above / below > self.largest_bracket:
            return None
        return tuple(frame for frame in frames if frame.dit_s in (below, above))

    def _set_of(self, source: Source, nearest: RawFrame, query: Query) -> tuple[RawFrame, ...]:
        (keys, values), mjd, window = query
        if source.bundle != "nearest":
            # Files of one set agree in the tolerant keys too, whatever their values.
            alike = tuple(dict.fromkeys((*keys, *source.tolerant)))
            return tuple(self.index.bundle(nearest, alike, source.bundle))
        around = self.index.outward(source.frame_class, keys, values, mjd)
        taken = [
            frame for frame in islice(around, source.take) if tier_of(age_of(frame, mjd), window)
        ]
        return tuple(sorted(taken, key=lambda frame: (frame.mjd_start or 0.0, frame.archive_id)))
