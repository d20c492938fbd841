"""Writing the files of a simulated archive: full headers, holes instead of pixels."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.simulate.archive.frames import PIXEL_BYTES, ArchiveFile
from spheredc_hpc.simulate.archive.headers import (
    extension_axes,
    extension_cards,
    primary_axes,
    primary_cards,
)
from spheredc_hpc.simulate.archive.packing import compress_with_zeros, gzip_with_zeros
from spheredc_hpc.simulate.cards import header_text

BLOCK = 2880
CARD = 80


def header_units(file: ArchiveFile) -> list[tuple[bytes, int]]:
    """Header of each unit, padded, and the bytes of data that follow it."""
    axes = primary_axes(file)
    size = PIXEL_BYTES[file.setup.arm] * math.prod(axes) if axes else 0
    units = [(header_text(primary_cards(file)).encode("ascii"), _padded(size))]
    for cards, (_, _, shape, width) in zip(
        extension_cards(file), extension_axes(file), strict=True
    ):
        units.append((header_text(cards).encode("ascii"), _padded(width * math.prod(shape))))
    return units


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // BLOCK) * BLOCK


def write_file(file: ArchiveFile, folder: Path) -> Path:
    """Write one file; its data are a hole, so it takes the room of its headers.

    Parameters
    ----------
    file : ArchiveFile
    folder : Path
        Folder of the archive.

    Returns
    -------
    Path
        The file, at `ArchiveFile.relative_path`.
    """
    path = folder / file.relative_path
    path.parent.mkdir(parents=True, exist_ok=True)
    units = header_units(file)
    if file.packed:
        _write_packed(path, file.packed, units)
        return path
    with path.open("wb") as output:
        if file.damage == "no-end":
            header = units[0][0]
            output.write(header[: len(header) // 2 // CARD * CARD])
            return path
        place = 0
        for header, n_data in units:
            output.seek(place)
            output.write(header)
            place += len(header) + n_data
    lost = BLOCK * (1 + units[-1][1] // BLOCK // 3) if file.damage == "short" else 0
    os.truncate(path, place - lost)
    return path


def _write_packed(path: Path, suffix: str, units: list[tuple[bytes, int]]) -> None:
    pack = gzip_with_zeros if suffix == ".gz" else compress_with_zeros
    path.write_bytes(b"".join(pack(header, n_data) for header, n_data in units))


def write_archive(
    files: Iterable[ArchiveFile],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write files below `folder` and return their number; `progress` hears it as it grows.

    Raises
    ------
    ResourceError
        If the folder cannot be written.
    """
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            write_file(file, folder)
            count += 1
            if progress is not None:
                progress(count)
    except OSError as error:
        raise ResourceError(f"archive {folder} cannot be written: {error}") from error
    return count
