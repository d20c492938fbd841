"""Frames to observations: science by key, then the frames that go with it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from spheredc_hpc.association.joining import Draft, RolePool, end_of
from spheredc_hpc.association.requirements import LEVEL1_MODES, ROLES, SCIENCE_CLASSES
from spheredc_hpc.association.rules import (
    NO_BLOCK,
    OBJECT,
    SETUPS_OF_ROLES,
    block_of,
    key_value,
)
from spheredc_hpc.association.screening import (
    off_target,
    other_setups,
    star_of,
    total_exposure_s,
)
from spheredc_hpc.association.stars import one_name_per_star
from spheredc_hpc.config import AssociationSettings
from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.model.observation import Observation, ObservationKey, observation_id, slug

LEAST_SHARE = 0.1
"""Share of the exposure from which an integration time is worth merging."""
CONFLICT = "different files claim this archive id"

Preferred = Callable[[str], bool]
"""Whether the file of that path is taken before its copies."""


@dataclass(frozen=True)
class LeftOut:
    """A frame that serves nothing, and why."""

    archive_id: str
    path: str
    frame_class: str
    reason: str


@dataclass(frozen=True)
class Group:
    """One observation with its frames by role, in time order.

    `rejected_because` is empty if nothing speaks against reducing it so far; `level1_mode` is
    empty for a mode that is not supported yet. `partners` are the observations of the other
    stars of its container.
    """

    observation: Observation
    frames: dict[str, tuple[RawFrame, ...]]
    level1_mode: str = ""
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rejected_because: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()

    @property
    def in_container(self) -> bool:
        """Whether its frames name a container."""
        return any(f.container_id not in NO_BLOCK for held in self.frames.values() for f in held)


@dataclass(frozen=True)
class Grouping:
    """All observations of a set of frames, and the frames that belong to none.

    `frames` has one file per archive id, with the name of its star: those that may calibrate.
    """

    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]
    frames: tuple[RawFrame, ...] = ()


def _any_path(path: str) -> bool:
    return True


def unique_frames(
    frames: Iterable[RawFrame], preferred: Preferred = _any_path
) -> tuple[list[RawFrame], list[LeftOut]]:
    """Keep one file per archive id: preferred, then plain ones, then the first path.

    Files of one archive id with different headers or checksums are all left out, as nothing
    tells which is right.
    """

    def order(frame: RawFrame) -> tuple[bool, bool, str]:
        packed = frame.path.lower().endswith((".gz", ".z"))
        return not preferred(frame.path), packed, frame.path

    same: dict[str, list[RawFrame]] = defaultdict(list)
    for frame in sorted(frames, key=order):
        same[frame.archive_id].append(frame)
    kept, left_out = [], []
    for copies in same.values():
        first = copies[0]
        if len({(frame.header_digest, frame.datasum) for frame in copies}) > 1:
            paths = ", ".join(frame.path for frame in copies)
            left_out += [_left(frame, f"{CONFLICT}: {paths}") for frame in copies]
            continue
        kept.append(first)
        left_out += [_left(frame, f"copy of {first.path}") for frame in copies[1:]]
    return sorted(kept, key=_time_order), left_out


def group_frames(
    frames: Iterable[RawFrame],
    settings: AssociationSettings | None = None,
    preferred: Preferred = _any_path,
) -> Grouping:
    """Make observations of scanned frames.

    Science frames of one night, block, arm, mode, filter, derotator mode, coronagraph and
    star are one observation; names within 15 arcsec of each other are one star. A block with
    more exposure with satellite spots than without is continuous waffle. CENTER, FLUX, SKY and
    telemetry join by the rows of `ROLES`; what no science claims makes an observation of its
    own, which is rejected with the reason.

    Parameters
    ----------
    frames : iterable of RawFrame
        In any order; duplicates of an archive id are left out.
    settings : AssociationSettings, optional
        Rules of grouping; the defaults if absent.
    preferred : callable, optional
        Tells of a path whether it is taken before copies elsewhere.

    Returns
    -------
    Grouping
        Groups in order of their identity.
    """
    settings = settings or AssociationSettings()
    unique, left_out = unique_frames(frames, preferred)
    timed = [frame for frame in unique if frame.mjd_start is not None and frame.night]
    left_out += [_left(frame, reason) for frame in unique if (reason := _unusable(frame))]
    timed, names = one_name_per_star(timed)
    by_class: dict[str, list[RawFrame]] = defaultdict(list)
    for frame in timed:
        by_class[frame.frame_class].append(frame)
    science = [frame for kind in SCIENCE_CLASSES for frame in by_class[kind]]
    drafts = _science_drafts(science, by_class[classes.CENTER], settings, left_out)
    claimed: set[str] = set()
    pools = {rule.role: RolePool(rule, by_class[rule.frame_class]) for rule in ROLES}
    for draft in drafts:
        for rule in ROLES:
            pools[rule.role].join(draft)
        claimed |= {frame.archive_id for role in draft.roles.values() for frame in role}
    orphans = [
        frame
        for frame_class in (classes.CENTER, classes.FLUX)
        for frame in by_class[frame_class]
        if frame.archive_id not in claimed
    ]
    drafts += _orphan_drafts(orphans)
    left_out += [
        _left(frame, f"{frame.frame_class} of no observation of its night")
        for frame_class in (classes.SKY, classes.SPARTA)
        for frame in by_class[frame_class]
        if frame.archive_id not in claimed
    ]
    groups = _with_partners([_finish(draft, settings, names, left_out) for draft in drafts])
    return Grouping(
        tuple(sorted(groups, key=lambda group: group.observation.id)),
        tuple(sorted(left_out, key=lambda item: (item.archive_id, item.path))),
        tuple(timed),
    )


def _time_order(frame: RawFrame) -> tuple[float, str]:
    return (frame.mjd_start if frame.mjd_start is not None else math.inf, frame.archive_id)


def _left(frame: RawFrame, reason: str) -> LeftOut:
    return LeftOut(frame.archive_id, frame.path, frame.frame_class, reason)


def _unusable(frame: RawFrame) -> str:
    if frame.frame_class in (classes.UNKNOWN, classes.IGNORED):
        return frame.reason or f"class {frame.frame_class}"
    if frame.frame_class == classes.STANDARD:
        return "standard star, not reduced by default"
    if frame.mjd_start is None or not frame.night:
        return "the header gives no time of observation"
    return ""


def _key(frame: RawFrame) -> ObservationKey:
    return ObservationKey(
        night=frame.night,
        block=block_of(frame),
        arm=frame.arm,
        mode=frame.mode,
        filter=frame.filter,
        derotator_mode=frame.derotator_mode,
        coronagraph=frame.coronagraph,
    )


def _by_key_and_target(
    frames: Iterable[RawFrame],
) -> dict[tuple[ObservationKey, str], list[RawFrame]]:
    """Split by key, and within a container by target: its stars are not one sequence."""
    found: dict[tuple[ObservationKey, str], list[RawFrame]] = defaultdict(list)
    for frame in frames:
        found[_key(frame), slug(frame.target)].append(frame)
    return found


def _science_drafts(
    science: Sequence[RawFrame],
    centers: Sequence[RawFrame],
    settings: AssociationSettings,
    left_out: list[LeftOut],
) -> list[Draft]:
    """Make drafts of science frames, and of CENTER frames that hold most of the exposure."""
    found = _by_key_and_target(science)
    waffled = set()
    for place, members in _by_key_and_target(centers).items():
        planes = sum(frame.n_planes for frame in members)
        plain = found.get(place, [])
        if planes < settings.waffle_min_frames:
            continue
        if total_exposure_s(members) > total_exposure_s(plain):
            reason = "left out of OBJECT: the block holds more exposure with satellite spots"
            left_out += [_left(frame, reason) for frame in plain]
            found[place] = members
            waffled.add(place)
    drafts = []
    for place, members in found.items():
        for part, held in _parts(members, settings):
            draft = Draft(replace(place[0], part=part), held)
            draft.roles[OBJECT] = list(held)
            draft.flags |= {"WAFFLE_CONTINUOUS"} if place in waffled else set()
            drafts.append(draft)
    return drafts


def _parts(
    members: list[RawFrame], settings: AssociationSettings
) -> list[tuple[str, list[RawFrame]]]:
    """Split science frames by integration time, if that is the rule and there are several."""
    by_dit: dict[str, list[RawFrame]] = defaultdict(list)
    for frame in members:
        by_dit[key_value(frame, "dit")].append(frame)
    if settings.several_dits != "split" or len(by_dit) < 2:
        return [("", members)]
    return [(f"dit-{dit or 'unknown'}", held) for dit, held in sorted(by_dit.items())]


def _with_partners(groups: Sequence[Group]) -> list[Group]:
    """Name for each group of a container those of its other stars in the same setup."""
    alike: dict[ObservationKey, list[Group]] = defaultdict(list)
    for group in groups:
        alike[replace(group.observation.key, part="")].append(group)
    found = []
    for group in groups:
        others = [
            other.observation.id
            for other in alike[replace(group.observation.key, part="")]
            if slug(other.observation.target) != slug(group.observation.target)
            and group.in_container
        ]
        found.append(replace(group, partners=tuple(sorted(others))) if others else group)
    return found


def _orphan_drafts(orphans: Sequence[RawFrame]) -> list[Draft]:
    drafts = []
    for (key, _), members in _by_key_and_target(orphans).items():
        draft = Draft(key, members)
        for frame in members:
            draft.roles.setdefault(frame.frame_class, []).append(frame)
        drafts.append(draft)
    return drafts


def _screen(draft: Draft, settings: AssociationSettings, left_out: list[LeftOut]) -> None:
    """Leave out what points elsewhere, then keep one setup per role."""
    star = star_of(sorted(draft.science, key=_time_order))
    share = LEAST_SHARE if settings.several_dits == "merge" else 1.0
    for role, keys in SETUPS_OF_ROLES.items():
        members = draft.roles.get(role, [])
        refused = off_target(members, star) if star else {}
        members = [frame for frame in members if frame.archive_id not in refused]
        if role == OBJECT and len({frame.dit_s for frame in members}) > 1:
            draft.flags.add("MIXED_DIT")
        # FLUX frames differ in DIT and ND by design.
        refused |= other_setups(members, keys, 0.0 if role == classes.FLUX else share)
        for frame in draft.roles.get(role, []):
            reason = refused.get(frame.archive_id)
            if reason is not None:
                left_out.append(_left(frame, f"left out of {role}: {reason}"))
                draft.notes.append(f"{role}: {frame.archive_id} left out: {reason}")
        if refused:
            draft.roles[role] = [f for f in members if f.archive_id not in refused]
            draft.flags |= {"FRAMES_REJECTED"} if role == OBJECT else set()


def _finish(
    draft: Draft, settings: AssociationSettings, names: dict[str, str], left_out: list[LeftOut]
) -> Group:
    _screen(draft, settings, left_out)
    frames = {
        role: tuple(sorted(members, key=_time_order))
        for role, members in sorted(draft.roles.items())
        if members
    }
    draft.notes += [
        f"{role}: {frame.archive_id} {names[frame.archive_id]}"
        for role, members in frames.items()
        for frame in members
        if frame.archive_id in names
    ]
    if any(0 < frame.n_planes < frame.ndit for role in frames.values() for frame in role):
        draft.flags.add("NDIT_SHORT")
    level1_mode = LEVEL1_MODES.get((draft.key.arm, draft.key.mode), "")
    return Group(
        observation=_observation(draft, frames),
        frames=frames,
        level1_mode=level1_mode,
        flags=tuple(sorted(draft.flags)),
        notes=tuple(draft.notes),
        rejected_because=_rejection(draft, frames, level1_mode, settings.min_science_frames),
    )


def _rejection(
    draft: Draft,
    frames: dict[str, tuple[RawFrame, ...]],
    level1_mode: str,
    min_science_frames: int,
) -> tuple[str, ...]:
    reasons = []
    if not level1_mode:
        reasons.append(f"{draft.key.arm} {draft.key.mode or 'without mode'} is not supported yet")
    science = frames.get(OBJECT, ())
    planes = sum(frame.n_planes for frame in science)
    if not science:
        reasons.append(f"no OBJECT frames, only {' and '.join(sorted(frames))}")
    elif planes < min_science_frames:
        reasons.append(f"{planes} science planes, at least {min_science_frames} are needed")
    return tuple(reasons)


def _observation(draft: Draft, frames: dict[str, tuple[RawFrame, ...]]) -> Observation:
    members = frames.get(OBJECT) or tuple(sorted(draft.science, key=_time_order))
    first = members[0]
    start = first.mjd_start or 0.0
    return Observation(
        id=observation_id(draft.key, first.target),
        key=draft.key,
        target=first.target,
        programme=first.programme,
        parent="_".join((draft.key.night, slug(first.target), slug(draft.key.block))),
        ra_deg=first.ra_deg,
        dec_deg=first.dec_deg,
        mjd_mid=(start + max(end_of(frame) for frame in members)) / 2,
        dit_s=first.dit_s,
        n_frames=sum(frame.n_planes for frame in frames.get(OBJECT, ())),
    )
