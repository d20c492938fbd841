"""Scan raw files into the catalogue; files that did not change are not read again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from django.db import transaction

from spheredc_hpc.catalog.batches import in_batches
from spheredc_hpc.catalog.files import FileNote, Places, describe_files
from spheredc_hpc.catalog.models import RawFrame, RawHeader, RawProblem
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.catalog.models.raw_frame import RECORD_COLUMNS
from spheredc_hpc.catalog.scanned import remember
from spheredc_hpc.catalog.setup import database_errors, setup
from spheredc_hpc.config import Config, digest_of
from spheredc_hpc.errors import DataError
from spheredc_hpc.ingest.files import DOES_NOT_EXIST, Listing, list_files
from spheredc_hpc.ingest.header import FORM
from spheredc_hpc.ingest.scan import ScanError, ScannedFile, read_files
from spheredc_hpc.instrument.frame_classes import RULES
from spheredc_hpc.instrument.headers import KEYWORDS
from spheredc_hpc.model.provenance import software_version

logger = logging.getLogger(__name__)

OWN_FOLDERS = ("calibrations", "observations", "library", "raw-cache", "plan")
Progress = Callable[[int, int], None]
Prints = dict[str, tuple[int, int]]
"""Path to size [bytes] and time of modification [ns]."""


@dataclass(frozen=True)
class ScanSummary:
    """What a scan found.

    Attributes
    ----------
    n_files, n_read, n_unchanged, n_vanished : int
        Files there, read now, known from before, known and no longer there.
    n_frames : int
        Files that could be read.
    classes : dict
        Their number by arm and class, ``IRDIS SCIENCE`` for example.
    unknown, ignored : tuple of FileNote
        Frames of no use, with the reasons.
    errors : tuple of FileNote
        Files that could not be read.
    notes : tuple of str
        What else is worth a word.
    """

    n_files: int
    n_read: int
    n_unchanged: int
    n_vanished: int
    n_frames: int
    classes: dict[str, int]
    unknown: tuple[FileNote, ...]
    ignored: tuple[FileNote, ...]
    errors: tuple[FileNote, ...]
    notes: tuple[str, ...] = ()


def scan(
    raw: Sequence[Path],
    root: Path,
    config: Config,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> ScanSummary:
    """Bring the catalogue of `root` up to date with raw files and folders.

    Files are committed in batches: a scan that is killed keeps what it has read.

    Parameters
    ----------
    raw : sequence of Path
        Files and folders.
    root : Path
        Result root; its own products are left out.
    config : Config
        Settings of the run; none of them bears on the scan so far.
    workers : int
        Processes that read headers.
    progress : callable, optional
        Called with the number of files read and to read.

    Raises
    ------
    ConfigError
        If a path does not exist.
    DataError
        If there is no FITS file below the paths.
    ResourceError
        If the root cannot be written.
    """
    places = Places.of(raw)
    listing = list_files(places.paths)
    files = _without_products(listing.files, root.resolve(), places)
    files, misnamed = _by_name(files)
    nothing = not files and not misnamed and not listing.problems
    if nothing and not root.exists():
        raise _no_files(places)
    setup(root)
    with database_errors():
        n_vanished = _forget(places, {clean(str(path)) for path in files})
        _store([], [*_unlisted(listing), *misnamed], {})
        changed = _changed(files, places)
        _read(changed, workers, progress)
        if nothing:
            raise _no_files(places)
        n_vanished += _forget_moved(changed)
        found = describe_files(places)
    remember(root, places)
    logger.info("%d files, %d read, %d errors", len(files), len(changed), len(found.errors))
    return ScanSummary(
        n_files=len(files),
        n_read=len(changed),
        n_unchanged=len(files) - len(changed),
        n_vanished=n_vanished,
        n_frames=found.n_frames,
        classes=found.classes,
        unknown=found.unknown,
        ignored=found.ignored,
        errors=found.errors,
        notes=listing.notes(),
    )


def scanner() -> str:
    """Name what a row depends on besides its file; another name makes files be read again."""
    tables = [repr(rule) for rule in RULES] + [repr(item) for item in sorted(KEYWORDS.items())]
    tables.append(FORM)
    return f"{software_version()}+{digest_of(tables)[:8]}"


def _no_files(places: Places) -> DataError:
    return DataError(f"no FITS files found under {places}")


def _unlisted(listing: Listing) -> Iterator[ScanError]:
    """Folders and links that could not be followed."""
    for path, reason in listing.problems.items():
        missing = reason == DOES_NOT_EXIST
        yield ScanError(str(path), "missing" if missing else "unreadable", f"{path}: {reason}")


def _by_name(files: Sequence[Path]) -> tuple[list[Path], list[ScanError]]:
    """Part files from those whose name no record can hold."""
    plain = [path for path in files if clean(str(path)) == str(path)]
    odd = [clean(str(path)) for path in files if clean(str(path)) != str(path)]
    reason = "its name is not UTF-8; rename it"
    return plain, [ScanError(name, "unreadable", f"{name}: {reason}") for name in odd]


def _without_products(files: Sequence[Path], root: Path, places: Places) -> list[Path]:
    """Leave out the products of the root, unless a place below them was asked for."""
    own = [
        root / name
        for name in OWN_FOLDERS
        if not any(place.is_relative_to(root / name) for place in places.paths)
    ]
    return [path for path in files if not any(path.is_relative_to(place) for place in own)]


def _forget(places: Places, there: set[str]) -> int:
    """Mark frames whose file vanished and drop what was said of such files."""

    def vanished(paths: Iterator[str]) -> Iterator[list[str]]:
        return in_batches(p for p in paths if p not in there and places.cover(p))

    frames = RawFrame.objects.filter(places.near(), present=True)
    problems = RawProblem.objects.filter(places.near())
    gone = list(vanished(frames.values_list("path", flat=True).iterator()))
    for paths in gone:
        RawFrame.objects.filter(path__in=paths).update(present=False)
    for paths in list(vanished(problems.values_list("path", flat=True).iterator())):
        RawProblem.objects.filter(path__in=paths).delete()
    return sum(map(len, gone))


def _forget_moved(read: Iterable[str]) -> int:
    """Mark files elsewhere whose archive id was read now and that are no longer there."""
    n_moved = 0
    for paths in in_batches(read):
        here = [clean(path) for path in paths]
        ids = RawFrame.objects.filter(path__in=here).values("archive_id")
        copies = RawFrame.objects.filter(archive_id__in=ids, present=True).exclude(path__in=here)
        gone = [p for p in copies.values_list("path", flat=True) if not Path(p).is_file()]
        for batch in in_batches(gone):
            n_moved += RawFrame.objects.filter(path__in=batch).update(present=False)
    return n_moved


def _changed(files: Sequence[Path], places: Places) -> Prints:
    """Files that have to be read."""
    columns = ("path", "size_bytes", "mtime_ns", "scanner")
    frames = RawFrame.objects.filter(places.near(), present=True).values_list(*columns)
    problems = RawProblem.objects.filter(places.near()).values_list(*columns)
    known = {path: rest for path, *rest in chain(frames.iterator(), problems.iterator())}
    version = scanner()
    changed = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:  # gone since it was listed: reading it gives the reason
            changed[str(path)] = (0, 0)
            continue
        now = (status.st_size, status.st_mtime_ns)
        if known.get(clean(str(path))) != [*now, version]:
            changed[str(path)] = now
    return changed


def _read(changed: Prints, workers: int, progress: Progress | None) -> None:
    done = 0
    items = read_files([Path(path) for path in changed], workers=workers)
    for batch in in_batches(items):
        frames = [item for item in batch if isinstance(item, ScannedFile)]
        errors = [item for item in batch if isinstance(item, ScanError)]
        _store(frames, errors, changed)
        done += len(batch)
        if progress is not None:
            progress(done, len(changed))


def _store(frames: Sequence[ScannedFile], errors: Sequence[ScanError], prints: Prints) -> None:
    """Write a batch; a file is a frame or a problem, never both."""
    version = scanner()
    rows = [RawFrame.of(item.frame, prints[item.frame.path][1], version) for item in frames]
    problems = [
        RawProblem(
            path=clean(error.path),
            problem=error.problem,
            reason=clean(error.reason),
            size_bytes=prints.get(error.path, (0, 0))[0],
            mtime_ns=prints.get(error.path, (0, 0))[1],
            scanner=version,
        )
        for error in errors
    ]
    with transaction.atomic():
        RawProblem.objects.filter(path__in=[row.path for row in rows]).delete()
        RawFrame.objects.filter(path__in=[row.path for row in problems]).delete()
        RawFrame.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["path"],
            update_fields=[*(set(RECORD_COLUMNS) - {"path"}), "mtime_ns", "scanner", "present"],
        )
        RawHeader.objects.bulk_create(
            [
                RawHeader(raw_frame=row, packed=item.packed)
                for row, item in zip(rows, frames, strict=True)
            ],
            update_conflicts=True,
            unique_fields=["raw_frame"],
            update_fields=["packed"],
        )
        RawProblem.objects.bulk_create(
            problems,
            update_conflicts=True,
            unique_fields=["path"],
            update_fields=["problem", "reason", "size_bytes", "mtime_ns", "scanner"],
        )
    for error in errors:
        logger.warning("%s", error.reason)
