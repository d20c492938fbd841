"""Frames that join the science of an observation: by keys, or by time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from spheredc_hpc.association.rules import RoleRule, block_of, key_value
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.model.observation import ObservationKey

TELEMETRY_MARGIN_D = 600 / 86400


@dataclass
class Draft:
    """An observation that is being put together."""

    key: ObservationKey
    science: list[RawFrame]
    roles: dict[str, list[RawFrame]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)


class RolePool:
    """Frames of one role, found by key or by time.

    Parameters
    ----------
    rule : RoleRule
        How frames of the role join.
    frames : sequence of RawFrame
        All frames of its class.
    """

    def __init__(self, rule: RoleRule, frames: Sequence[RawFrame]) -> None:
        self.rule = rule
        self.steps: list[dict[tuple[str, ...], list[RawFrame]]] = []
        for keys in rule.ladder:
            step: dict[tuple[str, ...], list[RawFrame]] = defaultdict(list)
            for frame in frames:
                step[tuple(key_value(frame, key) for key in keys)].append(frame)
            self.steps.append(step)
        self.by_night: dict[str, list[RawFrame]] = defaultdict(list)
        for frame in frames:
            self.by_night[frame.night].append(frame)

    def join(self, draft: Draft) -> None:
        """Add to a draft what belongs to it."""
        found = self._by_time(draft) if not self.rule.ladder else self._by_keys(draft)
        if found:
            draft.roles[self.rule.role] = found

    def _by_keys(self, draft: Draft) -> list[RawFrame]:
        science = draft.science[0]
        for keys, step in zip(self.rule.ladder, self.steps, strict=True):
            found = step.get(tuple(key_value(science, key) for key in keys), [])
            nothing_common = "target" not in keys and not block_of(science)
            if found and not nothing_common:
                open_keys = [key for key in self.rule.ladder[0] if key not in keys]
                if open_keys:
                    draft.notes.append(
                        f"{self.rule.role}: {len(found)} files of another {' and '.join(open_keys)}"
                    )
                return list(found)
        return []

    def _by_time(self, draft: Draft) -> list[RawFrame]:
        """Frames that overlap the observation in time, of its block if they name one."""
        members = [frame for role in draft.roles.values() for frame in role]
        first = min(frame.mjd_start or 0.0 for frame in members) - TELEMETRY_MARGIN_D
        last = max(end_of(frame) for frame in members) + TELEMETRY_MARGIN_D
        blocks = {"", draft.key.block, *(frame.obs_id for frame in members)}
        return [
            frame
            for frame in self.by_night[draft.key.night]
            if (frame.mjd_start or 0.0) <= last
            and end_of(frame) >= first
            and block_of(frame) in blocks
        ]


def end_of(frame: RawFrame) -> float:
    """End of the exposures of a frame, its start if the end is not known [d]."""
    return frame.mjd_end or frame.mjd_start or 0.0
