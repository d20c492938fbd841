"""Catalogue rows of a simulated archive, made from its description without writing files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from spheredc_hpc.catalog.batches import in_batches
from spheredc_hpc.catalog.models import RawFrame as Row
from spheredc_hpc.catalog.scan import scanner
from spheredc_hpc.ingest.frames import raw_frame
from spheredc_hpc.ingest.header import Header
from spheredc_hpc.ingest.headers import Extension, FileHeader
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.simulate.archive import ArchiveFile, header_units, write_file
from spheredc_hpc.simulate.archive.headers import extension_axes, header_values, primary_axes

HEADER_BYTES = 30 * 2880


class StatedHeader(dict[str, Any]):
    """Header values that no cards were written for, with a digest."""

    digest = ""


def frame_of(file: ArchiveFile, folder: Path, *, written: bool = False) -> RawFrame | None:
    """Give the row of a file as a scan would, None for one whose headers cannot be read.

    With `written` sizes and digests are those of the bytes on disk, which costs as much as
    writing them; without it the digest is that of the archive id, and sizes are rounded.
    """
    if file.damage:
        return None
    values = StatedHeader(header_values(file))
    path = folder / file.relative_path
    if written:
        units = header_units(file)
        end = units[0][0].rindex(b"END".ljust(80))
        values.digest = Header(units[0][0][:end]).digest
        size = path.stat().st_size if file.packed else sum(len(head) + n for head, n in units)
    else:
        text = f"{file.archive_id} {sorted(file.changes.items())}"
        values.digest = hashlib.sha256(text.encode()).hexdigest()
        size = HEADER_BYTES + file.n_planes * 4 * 1024 * 2048
    extensions = tuple(Extension(kind, name, axes) for kind, name, axes, _ in extension_axes(file))
    axes = primary_axes(file)
    if file.packed:  # only as far as a packed file is looked into
        extensions = () if axes else extensions[:1]
    header = FileHeader(
        path, size, cast("Header", values), axes, extensions, compressed=bool(file.packed)
    )
    return raw_frame(header)


def frames_of(files: Iterable[ArchiveFile], folder: Path) -> Iterator[RawFrame]:
    """Give the rows of all files that can be read."""
    for file in files:
        frame = frame_of(file, folder)
        if frame is not None:
            yield frame


def store(frames: Iterable[RawFrame]) -> int:
    """Write frames into the catalogue that is open; give their number."""
    version, count = scanner(), 0
    for batch in in_batches(frames, 5000):
        Row.objects.bulk_create([Row.of(frame, 0, version) for frame in batch])
        count += len(batch)
    return count


def write(files: Iterable[ArchiveFile], folder: Path) -> list[Path]:
    """Write files below `folder`."""
    return [write_file(file, folder) for file in files]
