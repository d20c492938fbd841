"""Calibrations found by plain loops through all frames: slow, and nothing shared with the engine.

What counts as fitting is written out from the requirement table (`Need`, `Source`): keys, windows,
sets and order of preference. No index by keys or time, no bisection: for each source all frames of
its class are walked through.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spheredc_hpc.association.grouping import unique_frames
from spheredc_hpc.association.requirements import REQUIREMENTS
from spheredc_hpc.association.rules import Need, Source
from spheredc_hpc.catalog.models import RawFrame as Row
from spheredc_hpc.catalog.models.raw_frame import RECORD_COLUMNS
from spheredc_hpc.config import AssociationSettings, Config
from spheredc_hpc.model.frame import RawFrame

HOURS = 24.0


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

    ids: tuple[str, ...]
    tier: int
    rank: int
    relaxed: int
    age_h: float

    @property
    def order(self) -> tuple[bool, int, int, int, float]:
        """A last resort comes last; then rank, window, relaxed keys and age."""
        return self.tier == 2, self.rank, self.tier, self.relaxed, self.age_h


def value_of(frame: RawFrame, key: str) -> str:
    """Value of a key, written anew."""
    if key == "dit":
        return "" if frame.dit_s is None else format(frame.dit_s, ".2f")
    if key == "block":
        none = ("", "0", "-1", "-999")
        return frame.obs_id if frame.container_id in none else frame.container_id
    if key == "target":
        plain = "".join(
            c if c.isascii() and (c.isalnum() or c in "_-") else " " for c in frame.target.lower()
        )
        words = "-".join(plain.split())
        return words.strip("-") or "unknown"
    if key == "ifs_band":
        return {"YJ": "YJ", "YH": "YJH"}.get(frame.mode, "")
    return str(getattr(frame, key))


def best_set(
    need: Need,
    served: RawFrame,
    mjd: float,
    frames: Mapping[str, Sequence[RawFrame]],
    settings: AssociationSettings,
) -> Found | None:
    """Find the best set for a need by looking at every frame of each source's class."""
    window = getattr(settings, need.window)
    limits = (window.nominal_h, window.acceptable_h, window.last_resort_h)
    found: list[Found] = []
    sources = list(need.sources)
    if not settings.prefer_sky:  # BACKGROUND, then SKY, then the rest in their order
        by_class = [[s for s in sources if s.frame_class == c] for c in ("BACKGROUND", "SKY")]
        rest = [s for s in sources if s.frame_class not in ("BACKGROUND", "SKY")]
        sources = [*by_class[0], *by_class[1], *rest]
    for rank, source in enumerate(sources, start=1):
        found += _sets(source, rank, served, mjd, frames.get(source.frame_class, ()), limits)
    return min(found, key=lambda item: item.order) if found else None


def _sets(
    source: Source,
    rank: int,
    served: RawFrame,
    mjd: float,
    frames: Sequence[RawFrame],
    limits: tuple[float, ...],
) -> Iterable[Found]:
    exact = {m.key: _wanted(m, served) for m in source.exact}
    fitting = [
        frame
        for frame in frames
        if all(value_of(frame, key) == value for key, value in exact.items())
    ]
    liked = {k: value_of(served, k) for k in source.tolerant if value_of(served, k)}
    alike = [f for f in fitting if all(value_of(f, k) == v for k, v in liked.items())]
    for candidates in (alike, fitting):
        best = _nearest_usable(source, rank, served, mjd, candidates, fitting, limits, liked)
        if best is not None:
            yield best


def _wanted(match: Any, served: RawFrame) -> str:
    text = match.value
    if not text:
        return value_of(served, match.key)
    return text.replace("{ifs_band}", value_of(served, "ifs_band"))


def _age(frame: RawFrame, mjd: float) -> float:
    return round(abs((frame.mjd_start or 0.0) - mjd) * HOURS, 6)


def _tier(age_h: float, limits: tuple[float, ...]) -> int | None:
    for number, limit in enumerate(limits):
        if age_h <= limit:
            return number
    return None


def _nearest_usable(
    source: Source,
    rank: int,
    served: RawFrame,
    mjd: float,
    candidates: Sequence[RawFrame],
    fitting: Sequence[RawFrame],
    limits: tuple[float, ...],
    liked: dict[str, str],
) -> Found | None:
    """Set of the nearest candidate: a complete one if its window has any."""
    choices = []
    sets: dict[tuple[str, ...], list[RawFrame]] = {}
    keys = _together(source)
    for frame in candidates:
        tier = _tier(_age(frame, mjd), limits)
        if tier is None:
            continue
        common = tuple(value_of(frame, key) for key in keys)
        if common not in sets:
            sets[common] = _members(source, frame, mjd, candidates, fitting)
        members = sets[common]
        levels = len({member.dit_s for member in members})
        if levels < source.usable_levels:
            continue
        whole = levels >= source.levels
        # Of two equally far the earlier one counts.
        exactly = (abs((frame.mjd_start or 0.0) - mjd), (frame.mjd_start or 0.0) > mjd)
        choices.append((tier, not whole, exactly, frame, members))
    if not choices:
        return None
    tier, incomplete, _, nearest, members = min(choices, key=lambda item: item[:3])
    relaxed = len(source.relaxed) + incomplete
    relaxed += sum(value_of(members[0], key) != value for key, value in liked.items())
    ids = tuple(member.archive_id for member in members)
    return Found(ids, tier, rank, relaxed, _age(nearest, mjd))


def _members(
    source: Source,
    nearest: RawFrame,
    mjd: float,
    candidates: Sequence[RawFrame],
    fitting: Sequence[RawFrame],
) -> list[RawFrame]:
    """Frames that go with the nearest one."""
    if source.bundle == "nearest":
        ranked = sorted(
            candidates,
            key=lambda f: (abs((f.mjd_start or 0.0) - mjd), (f.mjd_start or 0.0) > mjd),
        )
        members = ranked[: source.take]
    else:
        common = {key: value_of(nearest, key) for key in _together(source)}
        members = [
            frame
            for frame in fitting
            if all(value_of(frame, key) == value for key, value in common.items())
        ]
    return sorted(members, key=lambda f: (f.mjd_start or 0.0, f.archive_id))


def _together(source: Source) -> tuple[str, ...]:
    """Keys in which the frames of one set agree besides the exact ones."""
    fields = {
        "night": ("night",),
        "block": ("block",),
        "template": ("night", "template_start"),
        "nearest": (),
    }
    return (*fields[source.bundle], *(source.tolerant if source.bundle != "nearest" else ()))


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
    rows = Row.objects.filter(present=True).values(*RECORD_COLUMNS)
    frames = [Row.record_of(row) for row in rows.iterator()]
    folder = root / "plan" / name / "associations"
    paths = sorted(folder.glob("*.json"))
    rng.shuffle(paths)
    return compare((json.loads(path.read_text()) for path in paths), usable(frames), config, size)


def compare(
    associations: Iterable[dict[str, Any]],
    frames: Sequence[RawFrame],
    config: Config,
    size: int,
) -> Comparison:
    """Compare the first `size` planned associations, given as JSON, with plain loops."""
    found = Comparison()
    by_id = {frame.archive_id: frame for frame in frames}
    calibrations: dict[str, list[RawFrame]] = {}
    for frame in frames:
        calibrations.setdefault(frame.frame_class, []).append(frame)
    for association in associations:
        if association["rejected_because"]:
            continue
        if found.n_observations == size:
            break
        found.n_observations += 1
        differences = list(_differences(association, by_id, calibrations, config, found))
        found.n_equal += not differences
        found.differences += differences
    return found


def _differences(
    association: dict[str, Any],
    by_id: dict[str, RawFrame],
    frames: Mapping[str, Sequence[RawFrame]],
    config: Config,
    found: Comparison,
) -> Iterable[str]:
    observation = association["observation"]
    uses = {use["role"]: use for use in association["calibrations"]}
    lacking = {missing["role"] for missing in association["missing"]}
    key = observation["key"]
    for need in REQUIREMENTS[key["arm"], key["mode"]]:
        members = association["frames"].get(need.serves)
        if not need.sources or not members:
            continue
        found.n_answers += 1
        served = by_id[members[0]["archive_id"]]
        best = best_set(need, served, observation["mjd_mid"] or 0.0, frames, config.association)
        use = uses.get(need.role)
        where = f"{observation['id']} {need.role}"
        if best is None:
            if use is not None or need.role not in lacking:
                yield f"{where}: the plan has {use}, plain loops nothing"
        elif use is None:
            yield f"{where}: the plan has nothing, plain loops {best}"
        else:
            tier = ("nominal", "acceptable", "last_resort")[best.tier]
            mine = (best.ids, tier, best.rank, best.age_h)
            theirs = (tuple(use["frames"]), use["tier"], use["rank"], use["age_h"])
            if mine != theirs:
                yield f"{where}: the plan has {theirs}, plain loops {mine}"
