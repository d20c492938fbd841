"""Scan raw files: each ends up as a frame, an error or a note; none stops the others."""

from __future__ import annotations

import filecmp
import logging
import multiprocessing
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spheredc_hpc.errors import SphereDCError
from spheredc_hpc.ingest.files import DOES_NOT_EXIST, list_files
from spheredc_hpc.ingest.frames import raw_frame
from spheredc_hpc.ingest.header import Header
from spheredc_hpc.ingest.headers import HeaderError, Problem, read_file_header
from spheredc_hpc.model.frame import RawFrame

logger = logging.getLogger(__name__)

BATCH, AHEAD = 64, 4
FEW_FILES = 500
Sink = Callable[[RawFrame, Header], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScanError:
    """A file that gives no frame.

    Attributes
    ----------
    path : str
        Absolute path.
    problem : str
        ``missing``, ``unreadable``, ``empty``, ``not-fits``, ``truncated``, ``corrupt`` or
        ``conflict`` (an archive id that two different files claim).
    reason : str
        The whole story, with the path.
    archive_id : str
        If it is known.
    """

    path: str
    problem: Problem | Literal["missing", "conflict"]
    reason: str
    archive_id: str = ""


@dataclass(frozen=True)
class ScanResult:
    """All frames, ordered by start and archive id; errors by path; notes on the scan."""

    frames: tuple[RawFrame, ...] = ()
    errors: tuple[ScanError, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScannedFile:
    """One file that could be read.

    Attributes
    ----------
    frame : RawFrame
        Its row.
    packed : bytes
        Its primary header, compressed (`Header.packed`); empty if it is not wanted.
    """

    frame: RawFrame
    packed: bytes


def scan(
    paths: Iterable[Path],
    *,
    workers: int = 1,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> ScanResult:
    """Read, classify and list raw files.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders.
    workers : int
        Processes that read headers; few files are read by this process in any case.
    sink : callable, optional
        Called with each frame and its full header in the order of the paths, as soon as it
        is read. Of files with one archive id only the first is passed on; if they turn out
        to differ, the id appears in the errors as ``conflict`` and the caller has to drop it.
    progress : callable, optional
        Called with the number of files done and in all after each file.

    Returns
    -------
    ScanResult
        The same for any number of workers.
    """
    listing = list_files(paths)
    errors = [_unlisted(path, reason) for path, reason in listing.problems.items()]
    same: dict[str, list[RawFrame]] = defaultdict(list)
    items = read_files(listing.files, workers=workers, with_headers=sink is not None)
    for count, item in enumerate(items, start=1):
        if progress is not None:
            progress(count, len(listing.files))
        if isinstance(item, ScanError):
            errors.append(item)
            continue
        known = same[item.frame.archive_id]
        known.append(item.frame)
        if sink is not None and len(known) == 1:
            sink(item.frame, Header.unpacked(item.packed))
    frames, conflicts, notes = _without_duplicates(same)
    errors = sorted([*errors, *conflicts], key=lambda error: error.path)
    for error in errors:
        logger.warning("%s", error.reason)
    logger.info("%d frames, %d errors in %d files", len(frames), len(errors), len(listing.files))
    return ScanResult(frames, tuple(errors), (*listing.notes(), *notes))


def read_files(
    files: Sequence[Path], *, workers: int = 1, with_headers: bool = True
) -> Iterator[ScannedFile | ScanError]:
    """Yield each file as read, in the given order; a few batches are read ahead."""
    if workers <= 1 or len(files) < FEW_FILES:
        for path in files:
            yield read_one(path, with_header=with_headers)
        return
    batches = (list(files[start : start + BATCH]) for start in range(0, len(files), BATCH))
    waiting: deque[Future[list[ScannedFile | ScanError]]] = deque()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for batch in batches:
            waiting.append(pool.submit(_read_batch, batch, with_headers))
            if len(waiting) > AHEAD * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def read_one(path: Path, *, with_header: bool = True) -> ScannedFile | ScanError:
    """Read one file; what is wrong with it comes back as an error record."""
    try:
        file = read_file_header(path)
        return ScannedFile(raw_frame(file), file.values.packed() if with_header else b"")
    except HeaderError as error:
        return ScanError(str(path), error.problem, str(error))
    except SphereDCError as error:
        return ScanError(str(path), "corrupt", f"{path}: {error}")


def _read_batch(files: list[Path], with_headers: bool) -> list[ScannedFile | ScanError]:
    return [read_one(path, with_header=with_headers) for path in files]


def _unlisted(path: Path, reason: str) -> ScanError:
    problem: Literal["missing", "unreadable"] = (
        "missing" if reason == DOES_NOT_EXIST else "unreadable"
    )
    return ScanError(str(path), problem, f"{path}: {reason}")


def _same_content(one: RawFrame, other: RawFrame) -> bool:
    """Whether two files of one archive id hold the same; without checksums, by their bytes."""
    if (one.header_digest, one.datasum) != (other.header_digest, other.datasum):
        return False
    try:
        return bool(one.datasum) or filecmp.cmp(one.path, other.path, shallow=False)
    except OSError:
        return False


def _without_duplicates(
    same: Mapping[str, Sequence[RawFrame]],
) -> tuple[tuple[RawFrame, ...], list[ScanError], list[str]]:
    """One frame per archive id; different files of one id are all errors."""
    kept: list[RawFrame] = []
    conflicts: list[ScanError] = []
    notes: list[str] = []
    for archive_id, frames in sorted(same.items()):
        first, *others = frames
        if not all(_same_content(first, other) for other in others):
            everywhere = ", ".join(frame.path for frame in frames)
            conflicts += [
                ScanError(
                    frame.path,
                    "conflict",
                    f"{frame.path}: {archive_id} is claimed by different files: {everywhere}",
                    archive_id,
                )
                for frame in frames
            ]
            continue
        if others:
            copies = ", ".join(frame.path for frame in others)
            notes.append(f"{archive_id}: equal copies left out: {copies}")
            first = replace(first, notes=(*first.notes, f"{len(others)} equal copies"))
        kept.append(first)
    kept.sort(key=lambda frame: (frame.mjd_start or 0.0, frame.archive_id))
    return tuple(kept), conflicts, notes
