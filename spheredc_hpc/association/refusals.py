"""Candidates that were not taken, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.association.picks import Pick, age_of, limits_h, tier_of
from spheredc_hpc.association.rules import Need, Source, fits, label
from spheredc_hpc.config import ValidityWindow
from spheredc_hpc.model.association import Rejected
from spheredc_hpc.model.frame import RawFrame

LOOKED_AT = 40
REPORTED = 8


def rejections(
    need: Need,
    served: RawFrame,
    mjd: float,
    index: FrameIndex,
    window: ValidityWindow,
    picks: Sequence[Pick],
) -> tuple[Rejected, ...]:
    """Name the candidates beside the best pick: those that fit less well, then near misses.

    Parameters
    ----------
    need : Need
        What was asked for.
    served : RawFrame
        Frame whose keys had to be matched.
    mjd : float
        Middle of the science [d].
    index : FrameIndex
        Where candidates come from; the `LOOKED_AT` nearest of each class are looked at.
    window : ValidityWindow
        How far away a calibration may be.
    picks : sequence of Pick
        Usable sets, the one that was taken first.

    Returns
    -------
    tuple of Rejected
        At most `REPORTED`, the fewest differences first.
    """
    named: set[str] = set()
    found = []
    for pick in picks:
        ids = tuple(frame.archive_id for frame in pick.frames)
        if pick is not picks[0] and not set(ids) <= named:
            found.append(Rejected(ids, _why_not(pick, picks[0])))
        named |= set(ids)
    misses: list[_Miss] = []
    for frame_class in dict.fromkeys(source.frame_class for source in need.sources):
        # What may only bracket differs in its integration time, which is to be said.
        loosest = max(
            (s for s in need.sources if s.frame_class == frame_class),
            key=lambda s: (not s.bracketing, need.sources.index(s)),
        )
        misses += _near_misses(loosest, served, mjd, index, named)
    misses.sort(key=lambda miss: (miss.differences, miss.age_h))
    rest = misses[: max(REPORTED - len(found), 0)]
    return (*found[:REPORTED], *(miss.rejected(window) for miss in rest))


@dataclass(frozen=True)
class _Miss:
    """Frames of one night that differ alike from what was wanted, or do not suffice."""

    source: Source
    frames: list[RawFrame]
    reason: str
    differences: int
    age_h: float

    def rejected(self, window: ValidityWindow) -> Rejected:
        reason = self.reason or _unfit(self.source, self.frames, self.age_h, window)
        text = f"{_title(self.frames)}, {self.age_h:.1f} h away: {reason}"
        return Rejected(tuple(sorted(frame.archive_id for frame in self.frames)), text)


def _why_not(pick: Pick, best: Pick) -> str:
    what = f"{_title(pick.frames)}, {pick.age_h:.1f} h away ({pick.tier.replace('_', ' ')})"
    if pick.order[0] != best.order[0]:
        return f"{what}: only a last resort"
    if pick.rank != best.rank:
        if pick.source.bracketing and pick.source.frame_class == best.source.frame_class:
            return f"{what}: the wanted integration time itself was found"
        return f"{what}: {best.source.frame_class} is preferred"
    if pick.tier != best.tier:
        return f"{what}: a set of a better validity window was found"
    if pick.relaxed and len(pick.relaxed) > len(best.relaxed):
        return f"{what}: differs in {', '.join(pick.relaxed)}"
    return f"{what}: farther in time"


def _near_misses(
    source: Source,
    served: RawFrame,
    mjd: float,
    index: FrameIndex,
    named: set[str],
) -> Iterator[_Miss]:
    """Frames of the class and arm near in time, gathered by night and difference."""
    nearest: dict[tuple[str, str], list[RawFrame]] = defaultdict(list)
    misses: dict[tuple[str, str], int] = {}
    keys = tuple(match.key for match in source.exact)
    wanted = tuple(match.wanted(served) for match in source.exact)
    texts: dict[tuple[str, ...], str] = {}
    around = index.outward(source.frame_class, ("arm",), (served.arm,), mjd)
    for frame in islice(around, LOOKED_AT):
        if frame.archive_id in named:
            continue
        values = index.values(frame, keys)
        if values not in texts:
            texts[values] = ", ".join(
                f"{label(key, value)} instead of {label(key, asked)}"
                for key, value, asked in zip(keys, values, wanted, strict=True)
                if not fits(key, value, asked)
            )
        group = (frame.night, texts[values])
        nearest[group].append(frame)
        misses[group] = sum(not alike for alike in map(fits, keys, values, wanted))
    for group, frames in nearest.items():
        yield _Miss(source, frames, group[1], misses[group], age_of(frames[0], mjd))


def _unfit(source: Source, frames: Sequence[RawFrame], age_h: float, window: ValidityWindow) -> str:
    if tier_of(age_h, window) is None:
        return f"at most {limits_h(window)['last_resort']:g} h are allowed"
    levels = len({frame.dit_s for frame in frames})
    if levels < source.usable_levels:
        return f"{levels} integration times, at least {source.usable_levels} are needed"
    return "farther in time"


def _title(frames: Sequence[RawFrame]) -> str:
    files = "file" if len(frames) == 1 else "files"
    return f"{len(frames)} {frames[0].frame_class} {files} of night {frames[0].night}"
