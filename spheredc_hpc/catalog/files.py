"""Raw files of a selection: where they lie, what they are, what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q

from spheredc_hpc.catalog.models import RawFrame, RawProblem
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.frame_classes import IGNORED, UNKNOWN


@dataclass(frozen=True)
class FileNote:
    """A file and what is to be said of it; `problem` is a word, `reason` the story."""

    path: str
    problem: str
    reason: str
    archive_id: str = ""


@dataclass(frozen=True)
class FilesFound:
    """Raw files of a selection.

    Attributes
    ----------
    n_frames : int
        Files that could be read.
    classes : dict
        Their number by arm and class, ``IRDIS SCIENCE`` for example.
    unknown, ignored : tuple of FileNote
        Frames of no use, with the reasons.
    errors : tuple of FileNote
        Files that could not be read.
    """

    n_frames: int
    classes: dict[str, int]
    unknown: tuple[FileNote, ...]
    ignored: tuple[FileNote, ...]
    errors: tuple[FileNote, ...]


def raw_places(raw: Sequence[Path]) -> tuple[Path, ...]:
    """Resolve raw files and folders.

    Raises
    ------
    ConfigError
        If one does not exist, or none is given.
    """
    if not raw:
        raise ConfigError("no raw files or folders given")
    for path in raw:
        if not path.exists():
            raise ConfigError(f"raw path {path} does not exist")
    return tuple(sorted({path.resolve() for path in raw}))


def near(places: Iterable[Path]) -> Q:
    """Select rows below `places`, on some databases whatever the case of their letters.

    `inside` is exact; this spares it most of the table.
    """
    chosen = Q(pk__in=())
    for place in places:
        text = clean(str(place))
        chosen |= Q(path=text) | Q(path__startswith=text.rstrip("/") + "/")
    return chosen


def inside(path: str, places: Iterable[Path]) -> bool:
    """Whether a path of the catalogue is one of `places` or below one."""
    texts = [clean(str(place)) for place in places]
    return any(path == text or path.startswith(text.rstrip("/") + "/") for text in texts)


def describe_files(places: Sequence[Path]) -> FilesFound:
    """Say what the catalogue knows of the files below `places`."""
    classes: Counter[str] = Counter()
    notes: dict[str, list[FileNote]] = {UNKNOWN: [], IGNORED: []}
    columns = ("path", "arm", "frame_class", "reason", "archive_id")
    rows = RawFrame.objects.filter(near(places), present=True).order_by("path")
    for path, arm, frame_class, reason, archive_id in rows.values_list(*columns).iterator():
        if not inside(path, places):
            continue
        classes[f"{arm} {frame_class}".strip()] += 1
        if frame_class in notes:
            notes[frame_class].append(FileNote(path, frame_class.lower(), reason, archive_id))
    problems = RawProblem.objects.filter(near(places)).order_by("path")
    errors = [
        FileNote(path, problem, reason)
        for path, problem, reason in problems.values_list("path", "problem", "reason")
        if inside(path, places)
    ]
    return FilesFound(
        n_frames=classes.total(),
        classes=dict(sorted(classes.items())),
        unknown=tuple(notes[UNKNOWN]),
        ignored=tuple(notes[IGNORED]),
        errors=tuple(errors),
    )
