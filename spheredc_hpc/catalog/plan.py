"""Plan: frames to observations, observations to calibrations, both to files and tables."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spheredc_hpc.association.completeness import completeness
from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import (
    CONFLICT,
    Group,
    Grouping,
    group_frames,
)
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.catalog import plan_files, plan_rows
from spheredc_hpc.catalog.files import EVERYWHERE, FileNote, FilesFound, Places, describe_files
from spheredc_hpc.catalog.models import RawFrame
from spheredc_hpc.catalog.models.plan_entry import PLANNED, REJECTED
from spheredc_hpc.catalog.planned import Plan, Planned
from spheredc_hpc.catalog.setup import database_errors, setup
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.instrument.constants import default_constants

logger = logging.getLogger(__name__)

PLAN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True)
class PlanSummary:
    """What a plan holds.

    Attributes
    ----------
    name : str
        Name of the plan.
    n_planned, n_rejected : int
        Observations to reduce, and those that cannot be, with a stated reason.
    calibrations : dict
        Products to make by kind.
    rejected : dict
        Observation to reasons.
    missing : dict
        Observation to what it lacks, each with its exact matching keys.
    flags : dict
        Number of planned observations by flag.
    completeness : dict
        Number of observations, rejected ones included, by what their calibrations are:
        ``complete``, ``degraded``, ``incomplete``.
    n_written, n_removed : int
        Association and job files that changed, and that were of no use any more.
    """

    name: str
    n_planned: int
    n_rejected: int
    calibrations: dict[str, int]
    rejected: dict[str, tuple[str, ...]]
    missing: dict[str, tuple[str, ...]]
    flags: dict[str, int]
    completeness: dict[str, int]
    n_written: int
    n_removed: int


def plan(root: Path, name: str, config: Config, raw: Sequence[Path] | None = None) -> PlanSummary:
    """Plan the reduction of scanned frames: sample sheet, associations, calibration jobs.

    Observations with a science, CENTER or FLUX frame below `raw` are planned, whole; their
    calibrations come from every frame of the catalogue. Of equal copies those below `raw` are
    taken.

    Parameters
    ----------
    root : Path
        Result root whose catalogue was scanned.
    name : str
        Name of the plan, a folder below ``plan``.
    config : Config
        Settings; those of association and calibrations, and the constants, bear on the plan.
    raw : sequence of Path, optional
        Files and folders whose observations are planned; all of the catalogue if None.

    Raises
    ------
    ConfigError
        If the name is unfit, a raw path or the root does not exist.
    DataError
        If there is nothing to observe among the frames; names the classes that were found.
    ResourceError
        If the root cannot be written.
    """
    if not PLAN_NAME.fullmatch(name):
        raise ConfigError(f"plan name {name!r}: lower-case letters, digits, '-' and '_' only")
    places = Places.of(raw) if raw is not None else EVERYWHERE
    setup(root, create=False)
    with database_errors():
        frames = list(RawFrame.records())
        found = describe_files(places)
    grouping = group_frames(frames, config.association, places.cover)
    chosen = [group for group in grouping.groups if _touches(group, places)]
    found = _with_conflicts(found, grouping, places)
    if not chosen:
        raise DataError(_nothing(places, found))
    index = FrameIndex(grouping.frames)
    made = _associate(name, chosen, index, config)
    n_written, n_removed = plan_files.write(
        root, made, plan_files.scan_values(places, found, grouping)
    )
    with database_errors():
        plan_rows.store(made)
    summary = _summary(made, n_written, n_removed)
    logger.info(
        "plan %s: %d observations, %d rejected, %d calibrations",
        name,
        summary.n_planned,
        summary.n_rejected,
        sum(summary.calibrations.values()),
    )
    return summary


def versions_of(config: Config) -> Versions:
    """Digests of a configuration that name calibration products.

    Raises
    ------
    ConfigError
        If it replaces a constant that does not exist.
    """
    return Versions(
        settings={kind: section.digest for kind, section in config.calibration.items()},
        constants=default_constants().with_overrides(config.constants).digest,
    )


def _touches(group: Group, places: Places) -> bool:
    science = [f for role in ("OBJECT", "CENTER", "FLUX") for f in group.frames.get(role, ())]
    return any(places.cover(frame.path) for frame in science)


def _with_conflicts(found: FilesFound, grouping: Grouping, places: Places) -> FilesFound:
    """Count files that claim one archive id and differ among those with errors."""
    conflicts = [
        FileNote(item.path, "conflict", item.reason, item.archive_id)
        for item in grouping.left_out
        if item.reason.startswith(CONFLICT) and places.cover(item.path)
    ]
    errors = sorted([*found.errors, *conflicts], key=lambda note: note.path)
    return FilesFound(found.n_frames, found.classes, found.unknown, found.ignored, tuple(errors))


def _nothing(places: Places, found: FilesFound) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in found.classes.items())
    unreadable = f"; {len(found.errors)} files cannot be read" if found.errors else ""
    where = "the catalogue" if places == EVERYWHERE else str(places)
    return f"no science frames in {where}; found: {classes or 'no frames'}{unreadable}"


def _associate(name: str, chosen: Sequence[Group], index: FrameIndex, config: Config) -> Plan:
    associator = Associator(index, config.association, versions_of(config))
    observations = tuple(
        Planned(
            association=associator.associate(group),
            level1_mode=group.level1_mode,
            status=REJECTED if group.rejected_because else PLANNED,
            paths={role: tuple(f.path for f in found) for role, found in group.frames.items()},
        )
        for group in chosen
    )
    jobs = tuple(job for _, job in sorted(associator.jobs.items()))
    return Plan(name, observations, jobs)


def _summary(made: Plan, n_written: int, n_removed: int) -> PlanSummary:
    rejected = {p.id: p.association.rejected_because for p in made.of_status(REJECTED)}
    planned = list(made.of_status(PLANNED))
    return PlanSummary(
        name=made.name,
        n_planned=len(planned),
        n_rejected=len(rejected),
        calibrations=dict(sorted(Counter(job.kind for job in made.jobs).items())),
        rejected=rejected,
        missing={p.id: texts for p in planned if (texts := p.missing_texts())},
        flags=dict(sorted(Counter(f for p in planned for f in p.association.flags).items())),
        completeness=dict(
            sorted(Counter(completeness(p.association).status for p in made.observations).items())
        ),
        n_written=n_written,
        n_removed=n_removed,
    )
