"""Find the files of a scan: folders are walked, loops are not followed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FITS_SUFFIXES = (".fits", ".fit", ".fts")
PACKED_SUFFIXES = ("", ".gz", ".z")
_ENDINGS = tuple(fits + packed for fits in FITS_SUFFIXES for packed in PACKED_SUFFIXES)
DOES_NOT_EXIST = "does not exist"
_SHOWN = 5


@dataclass
class Listing:
    """Files to read, sorted by path, and what else was met on the way.

    `problems` maps a path to the reason why it cannot be listed; `skipped` holds the files
    of folders that are not named like FITS files.
    """

    files: list[Path] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)

    def notes(self) -> tuple[str, ...]:
        """Say in one sentence what was left out; empty if nothing was."""
        if not self.skipped:
            return ()
        names = ", ".join(path.name for path in sorted(self.skipped)[:_SHOWN])
        more = ", ..." if len(self.skipped) > _SHOWN else ""
        return (f"{len(self.skipped)} files are not named like FITS files: {names}{more}",)


def list_files(paths: Iterable[Path]) -> Listing:
    """List the files of a scan.

    Parameters
    ----------
    paths : iterable of Path
        Files, taken whatever their name, and folders, searched at any depth for names that
        end in .fits, .fit or .fts, also with .gz or .Z. Hidden entries are left out. Links
        are followed, each folder and each file once.

    Returns
    -------
    Listing
    """
    listing = Listing()
    seen: set[tuple[int, int]] = set()
    found: dict[tuple[int, int], Path] = {}
    for path in sorted({path.absolute() for path in paths}):
        try:
            status = path.stat()
            if path.is_dir():
                _walk(path, (status.st_dev, status.st_ino), seen, found, listing)
            else:
                found.setdefault((status.st_dev, status.st_ino), path)
        except OSError as error:
            listing.problems[path] = _reason(error)
    listing.files = sorted(found.values())
    return listing


def _walk(
    top: Path,
    identity: tuple[int, int],
    seen: set[tuple[int, int]],
    found: dict[tuple[int, int], Path],
    listing: Listing,
) -> None:
    pending = [(top, identity)]
    while pending:
        folder, identity = pending.pop()
        if identity in seen:
            continue
        seen.add(identity)
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            listing.problems[folder] = _reason(error)
            continue
        for name in names:
            path = folder / name
            if name.startswith("."):
                continue
            try:
                status = path.stat()
            except OSError as error:
                listing.problems[path] = _reason(error)
                continue
            here = (status.st_dev, status.st_ino)
            if path.is_dir():
                pending.append((path, here))
            elif name.lower().endswith(_ENDINGS):
                found.setdefault(here, path)
            else:
                listing.skipped.append(path)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return DOES_NOT_EXIST
    return f"cannot be read: {error.strerror or error}"
