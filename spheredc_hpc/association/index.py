"""Raw frames by matching keys and time: sorted arrays and binary search."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spheredc_hpc.association.rules import Bundle, key_value
from spheredc_hpc.model.frame import RawFrame

Values = tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """Frames of equal keys in time order."""

    times: list[float]
    frames: list[RawFrame]

    @classmethod
    def of(cls, frames: Iterable[RawFrame]) -> _Column:
        ordered = sorted(frames, key=lambda frame: (frame.mjd_start or 0.0, frame.archive_id))
        return cls([frame.mjd_start or 0.0 for frame in ordered], ordered)

    def outward(self, mjd: float) -> Iterator[RawFrame]:
        """Frames in order of absolute distance in time; of two equally far the earlier."""
        right = bisect_left(self.times, mjd)
        left = right - 1
        while left >= 0 or right < len(self.times):
            before = mjd - self.times[left] if left >= 0 else float("inf")
            after = self.times[right] - mjd if right < len(self.times) else float("inf")
            if before <= after:
                yield self.frames[left]
                left -= 1
            else:
                yield self.frames[right]
                right += 1


class FrameIndex:
    """Nearest frames in time with given keys, in O(log n) per query.

    A table is sorted once for each (class, keys) that is asked for. Frames without a time of
    observation or without planes are not indexed.

    Parameters
    ----------
    frames : iterable of RawFrame
    """

    def __init__(self, frames: Iterable[RawFrame]) -> None:
        self._by_class: dict[str, list[RawFrame]] = defaultdict(list)
        for frame in frames:
            if frame.mjd_start is not None and frame.n_planes > 0:
                self._by_class[frame.frame_class].append(frame)
        self._tables: dict[tuple[str, Values], dict[Values, _Column]] = {}
        self._bundles: dict[tuple[str, Values], dict[Values, list[RawFrame]]] = {}
        self._values: dict[Values, dict[str, Values]] = defaultdict(dict)

    def values(self, frame: RawFrame, keys: Values) -> Values:
        """Values of `keys` of a frame of the index, which are worked out once."""
        held = self._values[keys]
        if frame.archive_id not in held:
            held[frame.archive_id] = tuple(key_value(frame, key) for key in keys)
        return held[frame.archive_id]

    def outward(
        self, frame_class: str, keys: Values, values: Values, mjd: float
    ) -> Iterator[RawFrame]:
        """Frames of a class whose `keys` have `values`, nearest to `mjd` first."""
        column = self._table(frame_class, keys).get(values)
        return column.outward(mjd) if column else iter(())

    def bundle(self, nearest: RawFrame, keys: Values, kind: Bundle) -> Sequence[RawFrame]:
        """Frames that go with `nearest`: equal `keys` and equal night, block or template.

        A template may run over noon, which is the end of a night. A frame whose header names no
        template goes with its night.
        """
        if kind == "nearest":
            return [nearest]
        fields = (*keys, kind)
        if kind == "template":
            fields = (*keys, *(() if nearest.template_start else ("night",)), "template_start")
        found = self._bundles.get((nearest.frame_class, fields))
        if found is None:
            found = defaultdict(list)
            for frame in self._by_class[nearest.frame_class]:
                found[tuple(key_value(frame, field) for field in fields)].append(frame)
            self._bundles[nearest.frame_class, fields] = found
        members = found[tuple(key_value(nearest, field) for field in fields)]
        return sorted(members, key=lambda frame: (frame.mjd_start or 0.0, frame.archive_id))

    def _table(self, frame_class: str, keys: Values) -> dict[Values, _Column]:
        table = self._tables.get((frame_class, keys))
        if table is None:
            groups: dict[Values, list[RawFrame]] = defaultdict(list)
            for frame in self._by_class[frame_class]:
                groups[tuple(key_value(frame, key) for key in keys)].append(frame)
            table = {values: _Column.of(members) for values, members in groups.items()}
            self._tables[frame_class, keys] = table
        return table
