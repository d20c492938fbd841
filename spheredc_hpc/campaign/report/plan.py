"""Files of a plan, read leniently: what is missing or damaged is said on the page."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.report.facts import FileNote, Files
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.model.association import Association, CalibrationJob
from spheredc_hpc.model.observation import Observation, ObservationKey
from spheredc_hpc.store.codec import read_json, read_record

SEPARATOR = ";"


@dataclass(frozen=True)
class PlanFiles:
    """Everything that a plan says.

    Attributes
    ----------
    associations : tuple of Association
        By observation id. Of a row without a readable association only the identity is known.
    calibrations : mapping
        Product directory to its setup; values are empty if the job file is not there.
    recipes : tuple of str
        Labels of the Level 2 recipes; empty if the plan does not say.
    files : Files
        What the scan found.
    """

    associations: tuple[Association, ...]
    calibrations: Mapping[str, Mapping[str, str]]
    recipes: tuple[str, ...]
    files: Files


def read_plan(root: Path, plan: str) -> PlanFiles:
    """Read the files of a plan.

    Raises
    ------
    ConfigError
        If `root` has no plan of that name.
    """
    folder = root / "plan" / plan
    if not folder.is_dir():
        known = sorted(path.name for path in (root / "plan").glob("*") if path.is_dir())
        raise ConfigError(f"{root} has no plan {plan!r}; it has: {', '.join(known) or 'none'}")
    rows = _rows(folder / "observations.tsv")
    return PlanFiles(
        associations=_associations(folder, rows),
        calibrations=_calibrations(root, folder),
        recipes=_recipes(folder),
        files=_files(folder),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {str(k): str(v or "") for k, v in row.items()}
                for row in csv.DictReader(file, delimiter="\t")
            ]
    except OSError:
        return []


def _associations(folder: Path, rows: list[dict[str, str]]) -> tuple[Association, ...]:
    found: dict[str, Association] = {}
    for path in sorted((folder / "associations").glob("*.json")):
        try:
            association = read_record(Association, path)
        except DataError as error:
            association = _bare({"observation": path.stem}, str(error))
        found[association.observation.id] = association
    for row in rows:
        if row.get("observation") and row["observation"] not in found:
            found[row["observation"]] = _bare(row, "its association file is missing")
    return tuple(found[name] for name in sorted(found))


def _bare(row: Mapping[str, str], reason: str) -> Association:
    """Make an association of what the sample sheet alone tells."""
    stated = [part.strip() for part in row.get("reasons", "").split(SEPARATOR) if part.strip()]
    key = ObservationKey(
        night=row.get("night", ""),
        block="",
        arm=row.get("arm", ""),
        mode=row.get("mode", ""),
        filter=row.get("filter", ""),
        derotator_mode="",
        coronagraph=row.get("coronagraph", ""),
    )
    observation = Observation(row["observation"], key, row.get("target", ""))
    return Association(observation, {}, rejected_because=tuple(stated or [reason]))


def _calibrations(root: Path, folder: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in _rows(folder / "calibrations.tsv"):
        if not row.get("product"):
            continue
        found[row["product"]] = {}
        job = root / row.get("job", "")
        if job.is_file():
            try:
                found[row["product"]] = dict(read_record(CalibrationJob, job).setup)
            except DataError:
                continue
    return found


def _recipes(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(read_json(folder / "workflow.json")["settings"]["level2"])
    except (DataError, KeyError, TypeError):
        return ()


def _files(folder: Path) -> Files:
    try:
        scan = read_json(folder / "scan.json")
    except DataError as error:
        return Files(0, {}, (), (), (), (), (str(error).replace(f"{folder}/", ""),))
    if not isinstance(scan, dict):
        return Files(0, {}, (), (), (), (), ("scan.json is no mapping",))
    classes = dict(scan.get("classes", {}))
    return Files(
        n_frames=int(scan.get("n_frames", sum(classes.values()))),
        classes={str(name): int(classes[name]) for name in sorted(classes)},
        unknown=_notes(scan.get("unknown", [])),
        ignored=_notes(scan.get("ignored", [])),
        unreadable=_notes(scan.get("errors", [])),
        left_out=_notes(scan.get("left_out", [])),
        notes=tuple(str(note) for note in scan.get("notes", [])),
    )


def _notes(entries: Any) -> tuple[FileNote, ...]:
    notes = [
        FileNote(
            path=str(entry.get("path") or entry.get("archive_id", "")),
            problem=str(entry.get("problem") or entry.get("frame_class", "")),
            reason=str(entry.get("reason", "")),
        )
        for entry in entries
        if isinstance(entry, dict)
    ]
    return tuple(sorted(notes, key=lambda note: note.path))
