"""The files of a plan: sample sheet, calibration sheet, associations, jobs, what was found."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spheredc_hpc.association.completeness import Completeness, NightGap, completeness, night_gaps
from spheredc_hpc.association.explain import describe_missing
from spheredc_hpc.association.grouping import Grouping
from spheredc_hpc.catalog.files import EVERYWHERE, FilesFound, Places
from spheredc_hpc.catalog.models.plan_entry import PLANNED, REJECTED
from spheredc_hpc.catalog.planned import Plan, Planned, job_path
from spheredc_hpc.errors import ResourceError
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.store.codec import canonical_json, to_plain, write_records, write_text

logger = logging.getLogger(__name__)

SEPARATOR = ";"
OBSERVATION_COLUMNS = (
    *("observation", "arm", "mode", "level1_mode", "filter", "target", "night", "n_frames"),
    *("dit_s", "status", "reasons", "association", "calibrations"),
)
COMPLETENESS_COLUMNS = ("night", "arm", "state", "needed", "consequence", "observations")
CALIBRATION_COLUMNS = ("kind", "key", "product", "job", "upstream", "n_planes")


def write(root: Path, plan: Plan, scan: Mapping[str, Any]) -> tuple[int, int]:
    """Write the files of a plan; those whose content is the same are not touched.

    Associations and jobs come first, the sheets that name them next, and what no sheet names
    any more is removed last.

    Returns
    -------
    n_written, n_removed : int
        Association and job files.

    Raises
    ------
    ResourceError
        If the root cannot be written.
    """
    folder = root / "plan" / plan.name
    try:
        records: dict[Path, object] = {
            root / planned.association_path(plan.name): planned.association
            for planned in plan.observations
        }
        records |= {root / job_path(plan.name, job): job for job in plan.jobs}
        written = write_records(records)
        write_text(canonical_json(dict(scan)), folder / "scan.json")
        write_text(canonical_json(summary_values(plan, scan)), folder / "summary.json")
        judged = [completeness(planned.association) for planned in plan.observations]
        gaps = night_gaps(judged)
        write_text(canonical_json(completeness_values(judged, gaps)), folder / "completeness.json")
        nights = [{**asdict(gap), "observations": SEPARATOR.join(gap.observations)} for gap in gaps]
        write_text(_sheet(COMPLETENESS_COLUMNS, nights), folder / "completeness.tsv")
        rows = [_calibration_row(plan.name, job) for job in plan.jobs]
        write_text(_sheet(CALIBRATION_COLUMNS, rows), folder / "calibrations.tsv")
        sheet = [_observation_row(plan.name, planned) for planned in plan.observations]
        write_text(_sheet(OBSERVATION_COLUMNS, sheet), folder / "observations.tsv")
        stale = [
            path
            for place in ("associations", "calibrations")
            for path in sorted((folder / place).glob("*.json"))
            if path not in records
        ]
        for path in stale:
            path.unlink()
    except OSError as error:
        raise ResourceError(f"plan {folder} cannot be written: {error}") from error
    return written, len(stale)


def scan_values(places: Places, found: FilesFound, grouping: Grouping) -> dict[str, Any]:
    """Say what the scan found, for readers without the database.

    `raw` is empty if the whole catalogue was planned.
    """
    left_out = [asdict(item) for item in grouping.left_out if places.cover(item.path)]
    return {
        "raw": [] if places == EVERYWHERE else [str(path) for path in places.paths],
        "n_frames": found.n_frames,
        "classes": found.classes,
        "unknown": [asdict(note) for note in found.unknown],
        "ignored": [asdict(note) for note in found.ignored],
        "errors": [asdict(note) for note in found.errors],
        "left_out": left_out,
        "notes": [],
    }


def summary_values(plan: Plan, scan: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the plan holds and what it lacks, for readers without the database."""
    planned = list(plan.of_status(PLANNED))
    return {
        "plan": plan.name,
        "observations": {
            PLANNED: len(planned),
            REJECTED: len(plan.observations) - len(planned),
        },
        "rejected": [
            {"observation": p.id, "reasons": list(p.association.rejected_because)}
            for p in plan.of_status(REJECTED)
        ],
        "calibrations": dict(sorted(Counter(job.kind for job in plan.jobs).items())),
        "flags": dict(sorted(Counter(f for p in planned for f in p.association.flags).items())),
        "missing": [
            {"observation": p.id, "text": describe_missing(missing), **to_plain(missing)}
            for p in planned
            for missing in p.association.missing
        ],
        "frames_by_class": scan["classes"],
        "unknown": scan["unknown"],
        "errors": scan["errors"],
    }


def completeness_values(judged: Sequence[Completeness], gaps: Sequence[NightGap]) -> dict[str, Any]:
    """Say what each observation and each night lacks, for readers without the database."""
    return {
        "schema_version": 1,
        "counts": dict(sorted(Counter(item.status for item in judged).items())),
        "observations": [asdict(item) for item in judged],
        "nights": [asdict(gap) for gap in gaps],
    }


def _observation_row(plan: str, planned: Planned) -> dict[str, object]:
    observation = planned.association.observation
    return {
        "observation": observation.id,
        "arm": observation.key.arm,
        "mode": observation.key.mode,
        "level1_mode": planned.level1_mode,
        "filter": observation.key.filter,
        "target": observation.target,
        "night": observation.key.night,
        "n_frames": observation.n_frames,
        "dit_s": "" if observation.dit_s is None else f"{observation.dit_s:.2f}",
        "status": planned.status,
        "reasons": f"{SEPARATOR} ".join(planned.association.rejected_because),
        "association": planned.association_path(plan),
        "calibrations": SEPARATOR.join(planned.products()),
    }


def _calibration_row(plan: str, job: CalibrationJob) -> dict[str, object]:
    return {
        "kind": job.kind,
        "key": job.key,
        "product": job.product,
        "job": job_path(plan, job),
        "upstream": SEPARATOR.join(sorted(job.upstream.values())),
        "n_planes": sum(frame.n_planes for frame in job.frames),
    }


def _sheet(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Tab-separated text; white space inside of a cell becomes one blank."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(" ".join(str(row[name]).split()) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"
