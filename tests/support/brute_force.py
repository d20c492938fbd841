"""Calibrations found by plain loops through all frames: slow, and nothing shared with the engine.

What counts as fitting is written out from the tables of requirements (`Need`, `Source`): keys,
windows, sets and order of preference. No index by keys or time, no bisection: for each source all
frames of its class are walked through, key by key.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spheredc_hpc.association.grouping import unique_frames
from spheredc_hpc.association.requirements import REQUIREMENTS
from spheredc_hpc.association.rules import Match, Need, Source
from spheredc_hpc.catalog.models import RawFrame as Row
from spheredc_hpc.config import AssociationSettings, Config
from spheredc_hpc.instrument.filters import flat_filter, zimpol_broad_band
from spheredc_hpc.model.frame import RawFrame

HOURS = 24.0
TIERS = ("nominal", "acceptable", "last_resort")
SCIENCE = ("SCIENCE", "SCIENCE_POL", "SCIENCE_LSS")
Answer = tuple[Any, ...]


@dataclass
class Comparison:
    """Observations and answers looked at, and where two searches differ."""

    n_observations: int = 0
    n_equal: int = 0
    n_answers: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """A set of frames, and what ranks it."""

    frames: tuple[RawFrame, ...]
    tier: int
    rank: int
    relaxed: int
    age_h: float

    @property
    def order(self) -> tuple[bool, int, int, int, float]:
        """A last resort comes last; then rank, window, relaxed keys and age."""
        return self.tier == len(TIERS) - 1, self.rank, self.tier, self.relaxed, self.age_h


class Frames:
    """All frames of one class; the values of a key are worked out once for each frame."""

    def __init__(self, frames: Sequence[RawFrame]) -> None:
        self.frames = frames
        self._values: dict[str, list[str]] = {}

    def fitting(self, wanted: Mapping[str, str], among: Iterable[int] | None = None) -> list[int]:
        """Places of frames whose keys have the wanted values."""
        places = list(range(len(self.frames)) if among is None else among)
        for key, value in wanted.items():
            if key not in self._values:
                self._values[key] = [value_of(frame, key) for frame in self.frames]
            held = self._values[key]
            places = [place for place in places if held[place] == value]
        return places


@dataclass(frozen=True)
class Search:
    """What a search for one frame needs."""

    classes: Mapping[str, Frames]
    settings: AssociationSettings
    served: RawFrame
    mjd: float
    limits: tuple[float, ...]

    def age_h(self, frame: RawFrame) -> float:
        """Distance in time."""
        return round(abs((frame.mjd_start or 0.0) - self.mjd) * HOURS, 6)

    def tier(self, age_h: float) -> int | None:
        """Number of the window."""
        return next((number for number, limit in enumerate(self.limits) if age_h <= limit), None)

    def reaches(self, frame: RawFrame) -> bool:
        """Whether a frame lies in any of the windows."""
        return self.tier(self.age_h(frame)) is not None

    def distance(self, frame: RawFrame) -> tuple[float, bool]:
        """Sort key: of two equally far the earlier one comes first."""
        start = frame.mjd_start or 0.0
        return abs(start - self.mjd), start > self.mjd


def value_of(frame: RawFrame, key: str) -> str:
    """Value of a key, written anew."""
    if key == "dit":
        return "" if frame.dit_s is None else format(frame.dit_s, ".2f")
    if key == "block":
        none = ("", "0", "-1", "-999")
        return frame.obs_id if frame.container_id in none else frame.container_id
    if key == "target":
        kept = [c if c in "_-" or (c.isascii() and c.isalnum()) else " " for c in frame.target]
        return "-".join("".join(kept).lower().split()).strip("-") or "unknown"
    if key == "ifs_band":
        return {"YJ": "YJ", "YH": "YJH"}.get(frame.mode, "")
    if key == "flat_filter":
        return flat_filter(frame.filter)
    if key == "broad_band":
        return zimpol_broad_band(frame.filter)
    return str(getattr(frame, key))


def wanted_of(match: Match, served: RawFrame) -> str:
    """Value that a key has to have."""
    if not match.value:
        return value_of(served, match.key)
    return re.sub(r"\{(\w+)\}", lambda found: value_of(served, found[1]), match.value)


def best_set(need: Need, search: Search) -> Found | None:
    """Find the best set for a need by looking at every frame of each source's class."""
    sources = list(need.sources)
    if not search.settings.prefer_sky:  # BACKGROUND, then SKY, then the rest in their order
        first = [s for s in sources if s.frame_class == "BACKGROUND" and not s.bracketing]
        second = [s for s in sources if s.frame_class == "SKY" and not s.bracketing]
        sources = [*first, *second, *(s for s in sources if s not in [*first, *second])]
    found = [
        item for rank, source in enumerate(sources, start=1) for item in _sets(source, rank, search)
    ]
    return min(found, key=lambda item: item.order) if found else None


def _sets(source: Source, rank: int, search: Search) -> Iterator[Found]:
    """Best set of a source among frames that agree in the tolerant keys too, and among all."""
    held = search.classes.get(source.frame_class)
    if held is None:
        return
    exact = {m.key: wanted_of(m, search.served) for m in source.exact}
    told = {key: value for key, value in exact.items() if key not in ("nd", "readmode")}
    if "" in told.values() or told.get("target") == "unknown":
        return
    fitting = held.fitting(exact)
    liked = {k: value_of(search.served, k) for k in source.tolerant}
    liked = {key: value for key, value in liked.items() if value}
    for candidates in (held.fitting(liked, fitting), fitting):
        if source.bracketing:
            chosen = _bracket(search, [held.frames[i] for i in candidates])
        else:
            chosen = _nearest(source, search, held, candidates, fitting)
        if chosen is not None:
            tier, age_h, members, incomplete = chosen
            relaxed = len(source.relaxed) + incomplete
            relaxed += sum(value_of(members[0], key) != value for key, value in liked.items())
            yield Found(tuple(members), tier, rank, relaxed, age_h)


def _nearest(
    source: Source, search: Search, held: Frames, candidates: Sequence[int], fitting: Sequence[int]
) -> tuple[int, float, list[RawFrame], bool] | None:
    """Set of the nearest candidate: a complete one if its window has any."""
    choices = []
    sets: dict[tuple[str, ...], list[RawFrame]] = {}
    for place in candidates:
        frame = held.frames[place]
        age_h = search.age_h(frame)
        tier = search.tier(age_h)
        if tier is None:
            continue
        common = {key: value_of(frame, key) for key in _together(source, frame)}
        name = tuple(common.values())
        if name not in sets:
            sets[name] = _members(source, search, held, (candidates, fitting), common)
        members = sets[name]
        levels = len({member.dit_s for member in members})
        if levels >= source.usable_levels:
            choices.append((tier, levels < source.levels, search.distance(frame), age_h, members))
    if not choices:
        return None
    tier, incomplete, _, age_h, members = min(choices, key=lambda item: item[:3])
    return tier, age_h, members, incomplete


def _together(source: Source, frame: RawFrame) -> tuple[str, ...]:
    """Keys in which the frames of one set agree besides the exact ones."""
    fields = {
        "night": ("night",),
        "block": ("block",),
        "template": ("template_start",) if frame.template_start else ("night", "template_start"),
        "nearest": (),
    }
    return (*fields[source.bundle], *(source.tolerant if source.bundle != "nearest" else ()))


def _members(
    source: Source,
    search: Search,
    held: Frames,
    places: tuple[Sequence[int], Sequence[int]],
    common: Mapping[str, str],
) -> list[RawFrame]:
    """Frames of one set, in time order."""
    candidates, fitting = places
    if source.bundle == "nearest":
        near = [f for f in map(held.frames.__getitem__, candidates) if search.reaches(f)]
        members = sorted(near, key=search.distance)[: source.take]
    else:
        members = [held.frames[i] for i in held.fitting(common, fitting)]
    return sorted(members, key=_time)


def _time(frame: RawFrame) -> tuple[float, str]:
    return frame.mjd_start or 0.0, frame.archive_id


def _bracket(
    search: Search, candidates: Sequence[RawFrame]
) -> tuple[int, float, list[RawFrame], bool] | None:
    """Two integration times about the wanted one, of the night that has such a pair nearest.

    A pair is as far away as the farther of its two frames.
    """
    dit_s, largest = search.served.dit_s, search.settings.largest_bracket
    if dit_s is None:
        return None
    nights: dict[str, list[RawFrame]] = {}
    for frame in candidates:
        if frame.dit_s:
            nights.setdefault(frame.night, []).append(frame)
    choices = []
    for night, frames in nights.items():
        near = [frame for frame in frames if search.reaches(frame)]
        pairs = [
            max(search.distance(below), search.distance(above))
            for below in near
            if (below.dit_s or 0) < dit_s
            for above in near
            if dit_s < (above.dit_s or 0) <= largest * (below.dit_s or 0)
        ]
        if pairs:
            choices.append((min(pairs), night))
    if not choices:
        return None
    frames = nights[min(choices)[1]]
    below = max(frame.dit_s or 0 for frame in frames if (frame.dit_s or 0) < dit_s)
    above = min(frame.dit_s or 0 for frame in frames if (frame.dit_s or 0) > dit_s)
    members = sorted((f for f in frames if f.dit_s in (below, above)), key=_time)
    age_h = min(search.age_h(frame) for frame in members)
    return search.tier(age_h) or 0, age_h, members, False


def usable(frames: Iterable[RawFrame]) -> list[RawFrame]:
    """Frames that may calibrate: one per archive id, with a time and planes."""
    return [
        frame
        for frame in unique_frames(frames)[0]
        if frame.mjd_start is not None and frame.n_planes > 0
    ]


def compare_plan(
    root: Path, name: str, config: Config, rng: random.Random, size: int
) -> Comparison:
    """Compare associations of a plan on disk with plain loops."""
    frames = list(Row.records())
    folder = root / "plan" / name / "associations"
    paths = sorted(folder.glob("*.json"))
    rng.shuffle(paths)
    associations = (json.loads(path.read_text()) for path in paths)
    return compare(associations, usable(frames), config, size)


def compare(
    associations: Iterable[dict[str, Any]],
    frames: Sequence[RawFrame],
    config: Config,
    size: int,
) -> Comparison:
    """Compare the first `size` associations, given as JSON, with plain loops."""
    found = Comparison()
    by_id = {frame.archive_id: frame for frame in frames}
    classes: dict[str, list[RawFrame]] = {}
    for frame in frames:
        if frame.frame_class not in SCIENCE:
            classes.setdefault(frame.frame_class, []).append(frame)
    held = {name: Frames(members) for name, members in classes.items()}
    for association in associations:
        if found.n_observations == size:
            break
        found.n_observations += 1
        theirs = set(_stated(association))
        mine = set(_sought(association, by_id, held, config.association))
        found.n_answers += len(mine)
        found.n_equal += mine == theirs
        name = association["observation"]["id"]
        found.differences += [f"{name}: only the plan: {a}" for a in sorted(theirs - mine)]
        found.differences += [f"{name}: only plain loops: {a}" for a in sorted(mine - theirs)]
    return found


def _stated(association: Mapping[str, Any]) -> Iterator[Answer]:
    """What an association says of products made of raw frames."""
    for use in association["calibrations"]:
        if use["source_class"]:
            ids = tuple(use["frames"])
            yield use["role"], ids, use["tier"], use["rank"], use["age_h"]
    for missing in association["missing"]:
        if missing["kind"] != "exposure" and missing["role"] != "bad_pixels":
            yield missing["role"], (), "", 0, 0.0


def _sought(
    association: Mapping[str, Any],
    by_id: Mapping[str, RawFrame],
    held: Mapping[str, Frames],
    settings: AssociationSettings,
) -> Iterator[Answer]:
    key = association["observation"]["key"]
    mjd = association["observation"]["mjd_mid"] or 0.0
    for need in REQUIREMENTS.get((key["arm"], key["mode"]), ()):
        refs = association["frames"].get(need.serves) or []
        members = [by_id[ref["archive_id"]] for ref in refs]
        yield from _resolved(need, members, mjd, held, settings)


def _resolved(
    need: Need,
    members: Sequence[RawFrame],
    mjd: float | None,
    held: Mapping[str, Frames],
    settings: AssociationSettings,
) -> Iterator[Answer]:
    """Answers for a need of some frames, and for what its calibrations need themselves.

    Without a date, it is that of the frame that is served.
    """
    if not need.sources or not members:
        return
    window = getattr(settings, need.window)
    limits = (window.nominal_h, window.acceptable_h, window.last_resort_h)
    for role, served in _roles(need, members):
        when = mjd if mjd is not None else served.mjd_start or 0.0
        best = best_set(need, Search(held, settings, served, when, limits))
        if best is None:
            yield role, (), "", 0, 0.0
            continue
        ids = tuple(frame.archive_id for frame in best.frames)
        yield role, ids, TIERS[best.tier], best.rank, best.age_h
        for name, origin in need.upstream:
            if isinstance(origin, Need):
                own = replace(origin, role=f"{name}:{role}")
                yield from _resolved(own, best.frames, None, held, settings)


def _roles(need: Need, members: Sequence[RawFrame]) -> Iterator[tuple[str, RawFrame]]:
    """First frame of each integration time and density; those of most light have short names."""
    if not need.per_dit:
        yield need.role, members[0]
        return
    parted = any(match.key == "nd" for source in need.sources for match in source.exact)
    setups = {(f.dit_s, f.nd if parted else "") for f in members}

    def light(dit: float | None, nd: str | None = None) -> float:
        alike = [f for f in members if f.dit_s == dit and (nd is None or f.nd == nd)]
        return sum((f.dit_s or 0.0) * f.n_planes for f in alike)

    main = max({dit for dit, _ in setups}, key=lambda dit: (light(dit), dit or 0.0))
    for dit, nd in setups:
        others = [other for time, other in setups if time == dit]
        brightest = min(others, key=lambda other: (-light(dit, other if parted else None), other))
        role = need.role if dit == main else f"{need.role}@{dit or 0.0:.2f}"
        if nd != brightest:
            role = f"{need.role}@{dit or 0.0:.2f}@{nd}"
        yield role, next(f for f in members if f.dit_s == dit and (not parted or f.nd == nd))
