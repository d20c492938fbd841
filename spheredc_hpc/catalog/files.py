"""Raw files of a selection: where they lie, what they are, what is wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from django.db.models import Q

from spheredc_hpc.catalog.models import RawFrame, RawProblem
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.frame_classes import IGNORED, UNKNOWN

MOST_CONDITIONS, MOST_NAMED = 50, 5


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


@dataclass(frozen=True)
class Places:
    """Raw files and folders that were chosen, resolved and in order."""

    paths: tuple[Path, ...]

    @classmethod
    def of(cls, raw: Iterable[Path]) -> Places:
        """Resolve raw files and folders.

        Raises
        ------
        ConfigError
            If one does not exist or cannot be reached, or none is given.
        """
        paths = list(raw)
        if not paths:
            raise ConfigError("no raw files or folders given")
        for path in paths:
            try:
                path.stat()
            except FileNotFoundError as error:
                raise ConfigError(f"raw path {path} does not exist") from error
            except OSError as error:
                raise ConfigError(f"raw path {path}: {error.strerror}") from error
        return cls(tuple(sorted({path.resolve() for path in paths})))

    @cached_property
    def _folders(self) -> dict[str, bool]:
        """Folders that were asked for, and whether they are covered."""
        return {}

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(clean(str(path)) for path in self.paths)

    def cover(self, path: str) -> bool:
        """Whether a path of the catalogue is one of these or below one."""
        if path in self._texts:
            return True
        folder = os.path.dirname(path)  # noqa: PTH120 a hundred thousand paths a second
        if folder not in self._folders:
            within = (folder, *map(str, PurePath(folder).parents)) if folder else ()
            self._folders[folder] = any(parent in self._texts for parent in within)
        return self._folders[folder]

    def near(self) -> Q:
        """Select rows that may be covered, so that `cover` need not see the whole table.

        Some databases take no heed of the case of letters, and none wants a condition per file.
        """
        texts = sorted(self._texts)
        if len(texts) > MOST_CONDITIONS:
            texts = [os.path.commonpath(texts)]
        chosen = Q(pk__in=())
        for text in texts:
            chosen |= Q(path=text) | Q(path__startswith=text.rstrip("/") + "/")
        return chosen

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.paths[:MOST_NAMED]))
        return shown + (", ..." if len(self.paths) > MOST_NAMED else "")


EVERYWHERE = Places((Path("/"),))


def describe_files(places: Places) -> FilesFound:
    """Say what the catalogue knows of the files in `places`."""
    classes: Counter[str] = Counter()
    notes: dict[str, list[FileNote]] = {UNKNOWN: [], IGNORED: []}
    columns = ("path", "arm", "frame_class", "reason", "archive_id")
    rows = RawFrame.objects.filter(places.near(), present=True).order_by("path")
    for path, arm, frame_class, reason, archive_id in rows.values_list(*columns).iterator():
        if not places.cover(path):
            continue
        classes[f"{arm} {frame_class}".strip()] += 1
        if frame_class in notes:
            notes[frame_class].append(FileNote(path, frame_class.lower(), reason, archive_id))
    problems = RawProblem.objects.filter(places.near()).order_by("path")
    errors = [
        FileNote(path, problem, reason)
        for path, problem, reason in problems.values_list("path", "problem", "reason")
        if places.cover(path)
    ]
    return FilesFound(
        n_frames=classes.total(),
        classes=dict(sorted(classes.items())),
        unknown=tuple(notes[UNKNOWN]),
        ignored=tuple(notes[IGNORED]),
        errors=tuple(errors),
    )
