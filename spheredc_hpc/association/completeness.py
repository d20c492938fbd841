"""What calibrations are missing or stale: per observation, and per night as the archive is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spheredc_hpc.association.explain import describe_missing
from spheredc_hpc.association.picks import TIERS
from spheredc_hpc.model.association import Association, CalibrationUse

COMPLETE, DEGRADED, INCOMPLETE = "complete", "degraded", "incomplete"
EXPOSURE = "exposure"
MISSING, STALE, REPLACED = "missing", "stale", "replaced"


@dataclass(frozen=True)
class Gap:
    """One thing that an observation lacks or has in a lesser form.

    Attributes
    ----------
    role : str
        What it would serve.
    state : str
        ``missing``, ``stale`` (beyond the nominal window) or ``replaced`` (by a source that
        differs in a key or is flagged).
    needed : str
        What would have closed the gap, with its exact keys.
    consequence : str
        What follows.
    """

    role: str
    state: str
    needed: str
    consequence: str


@dataclass(frozen=True)
class Completeness:
    """How complete one observation is.

    `status` is ``complete``, ``degraded`` (everything is there, some of it stale or replaced) or
    ``incomplete``; exposures that the observation itself lacks count as gaps.
    """

    observation: str
    night: str
    arm: str
    mode: str
    status: str
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class NightGap:
    """Calibrations of one setup that a night lacks, what follows, and whom it concerns."""

    night: str
    arm: str
    state: str
    needed: str
    consequence: str
    observations: tuple[str, ...]


def completeness(association: Association) -> Completeness:
    """Judge one association."""
    key = association.observation.key
    gaps = (*_missing(association), *_lesser(association.calibrations))
    states = {gap.state for gap in gaps}
    status = INCOMPLETE if MISSING in states else DEGRADED if states else COMPLETE
    return Completeness(
        association.observation.id, key.night, key.arm, key.mode or "-", status, gaps
    )


def night_gaps(found: Iterable[Completeness]) -> tuple[NightGap, ...]:
    """Gather gaps by night, arm and setup; exposures of the observations themselves are left out.

    Returns
    -------
    tuple of NightGap
        In order of night and arm; ``missing`` before ``stale`` before ``replaced``.
    """
    gathered: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for item in found:
        for gap in item.gaps:
            if not gap.role.startswith(EXPOSURE):
                place = (item.night, item.arm, gap.state, gap.needed)
                gathered[place].append((gap.consequence, item.observation))
    order = (MISSING, STALE, REPLACED)
    rows = [
        NightGap(
            *place,
            consequence="; ".join(dict.fromkeys(consequence for consequence, _ in told)),
            observations=tuple(dict.fromkeys(observation for _, observation in told)),
        )
        for place, told in gathered.items()
    ]
    return tuple(
        sorted(rows, key=lambda row: (row.night, row.arm, order.index(row.state), row.needed))
    )


def _missing(association: Association) -> Iterator[Gap]:
    for item in association.missing:
        role = f"{EXPOSURE} {item.role}" if item.kind == EXPOSURE else item.role
        yield Gap(role, MISSING, describe_missing(item), item.consequence)


def _lesser(uses: Iterable[CalibrationUse]) -> Iterator[Gap]:
    for use in uses:
        if not use.frames:
            continue
        if use.tier != TIERS[0]:
            yield Gap(
                use.role,
                STALE,
                f"{use.wanted}, within its nominal window",
                f"{use.source_class} {use.age_h:.0f} h away serves ({use.tier.replace('_', ' ')})",
            )
        elif use.relaxed or use.flags:
            what = ", ".join((*use.relaxed, *use.flags))
            yield Gap(
                use.role,
                REPLACED,
                use.wanted,
                f"{use.source_class} serves ({what})",
            )
