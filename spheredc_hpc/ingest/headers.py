"""Header-only reads of raw files: plain, gzip and Unix-compressed."""

from __future__ import annotations

import gzip
import math
import shutil
import stat
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, cast

from spheredc_hpc.errors import DataError
from spheredc_hpc.ingest.header import Header
from spheredc_hpc.kernels.cards import CARD, find_end

BLOCK = 2880
MAX_HEADER_BLOCKS = 4000
MAX_EXTENSIONS = 1000
MAX_AXES = 999
_FIRST_READ, _EXTENSION_READ = 32 * BLOCK, 4 * BLOCK
_GZIP, _UNIX_COMPRESS = b"\x1f\x8b", b"\x1f\x9d"
_FITS, _EXTENSION = b"SIMPLE  =", b"XTENSION="
_BITPIX = (8, 16, 32, 64, -32, -64)

Problem = Literal["unreadable", "empty", "not-fits", "truncated", "corrupt"]


class HeaderError(DataError):
    """A file whose header cannot be had, with the kind of its problem."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True)
class Extension:
    """One extension: ``IMAGE`` or ``BINTABLE``, its name, and its axes in FITS order."""

    kind: str
    name: str
    axes: tuple[int, ...]


@dataclass(frozen=True)
class FileHeader:
    """What the headers of a file say.

    Attributes
    ----------
    path : Path
    size_bytes : int
        Size on disk.
    values : Header
        Primary header, keywords without ``HIERARCH``.
    axes : tuple of int
        ``NAXIS1``, ``NAXIS2`` and so on of the primary unit.
    extensions : tuple of Extension
        All of them for a plain file; of a compressed one at most the first, and only if
        the primary unit has no data (the rest would cost unpacking it).
    compressed : bool
        Whether the file is compressed; its length has then not been checked.
    notes : tuple of str
        What is odd and yet harmless.
    """

    path: Path
    size_bytes: int
    values: Header
    axes: tuple[int, ...]
    extensions: tuple[Extension, ...] = ()
    compressed: bool = False
    notes: tuple[str, ...] = field(default=())


def read_file_header(path: Path) -> FileHeader:
    """Read the headers of a FITS file without touching its pixels.

    Parameters
    ----------
    path : Path
        Plain, gzip or Unix-compressed file; the first bytes tell which.

    Raises
    ------
    HeaderError
        If the file is unreadable, empty, no FITS, shorter than its headers say, or damaged.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise HeaderError("unreadable", f"{path}: is no regular file")
        if status.st_size == 0:
            raise HeaderError("empty", f"{path}: the file is empty")
        with _opened(path) as source:
            return _read(path, status.st_size, source)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HeaderError("corrupt", f"{path}: cannot be unpacked: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise HeaderError("unreadable", f"{path}: cannot be read: {reason}") from error


def _read(path: Path, size: int, source: _Source) -> FileHeader:
    values, end = _header(path, source, 0)
    axes = _axes(path, values)
    here = end + _data_bytes(path, values, axes)
    extensions: list[Extension] = []
    if source.compressed:
        if here == end and source.at(here, len(_EXTENSION)) == _EXTENSION:
            extensions.append(_extension(path, _header(path, source, here)[0]))
        return FileHeader(path, size, values, axes, tuple(extensions), compressed=True)
    notes: list[str] = []
    while here < size and len(extensions) < MAX_EXTENSIONS:
        if source.at(here, len(_EXTENSION)) != _EXTENSION:
            notes.append(f"{size - here} bytes follow the last unit")
            break
        unit, end = _header(path, source, here)
        extensions.append(_extension(path, unit))
        here = end + _data_bytes(path, unit, extensions[-1].axes)
    if here > size:
        raise HeaderError(
            "truncated", f"{path}: truncated, {size} bytes of the {here} that its headers announce"
        )
    return FileHeader(path, size, values, axes, tuple(extensions), notes=tuple(notes))


class _Source:
    """Bytes of a file by offset; what is compressed is unpacked only as far as asked for."""

    def __init__(self, stream: IO[bytes], *, compressed: bool, first: bytes = b"") -> None:
        self.compressed = compressed
        self._stream = stream
        self._head = first

    def at(self, offset: int, n_bytes: int) -> bytes:
        """Return up to `n_bytes` from `offset` on."""
        stop = offset + n_bytes
        if self.compressed:
            while len(self._head) < stop and (more := self._stream.read(_FIRST_READ)):
                self._head += more
        elif stop > len(self._head):
            self._stream.seek(offset)
            return self._stream.read(n_bytes)
        return self._head[offset:stop]


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    with path.open("rb", buffering=0) as stream:
        first = stream.read(_FIRST_READ)
        if first.startswith(_GZIP):
            stream.seek(0)
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield _Source(cast("IO[bytes]", unpacked), compressed=True)
        elif first.startswith(_UNIX_COMPRESS):
            with _unpacking(path) as output:
                yield _Source(output, compressed=True)
        else:
            yield _Source(cast("IO[bytes]", stream), compressed=False, first=first)


@contextmanager
def _unpacking(path: Path) -> Iterator[IO[bytes]]:
    """Output of ``gzip -dc``; the process is ended when enough has been read."""
    program = shutil.which("gzip")
    if program is None:
        raise HeaderError(
            "unreadable", f"{path}: the program gzip is needed to unpack .Z files; none found"
        )
    process = subprocess.Popen(  # noqa: S603 - fixed program, no shell
        [program, "-dc", "--", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield cast("IO[bytes]", process.stdout)
    finally:
        process.kill()
        process.communicate()


def _header(path: Path, source: _Source, offset: int) -> tuple[Header, int]:
    """Header of a unit, and the offset of the byte behind its last block."""
    data = source.at(offset, _FIRST_READ if offset == 0 else _EXTENSION_READ)
    if offset == 0 and not data.startswith(_FITS):
        if source.compressed and not data:
            raise HeaderError("corrupt", f"{path}: cannot be unpacked")
        raise HeaderError("not-fits", f"{path}: is no FITS file, it starts with {data[:9]!r}")
    searched = 0
    while (end := find_end(data, searched)) < 0:
        searched = len(data) // CARD * CARD
        more = source.at(offset + len(data), _FIRST_READ)
        if not more:
            raise HeaderError("truncated", f"{path}: truncated, the header has no END card")
        data += more
        if len(data) > MAX_HEADER_BLOCKS * BLOCK:
            raise HeaderError("corrupt", f"{path}: no END in {MAX_HEADER_BLOCKS} header blocks")
    return Header(data[:end]), offset + _padded(end + CARD)


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // BLOCK) * BLOCK


def _count(path: Path, values: Header, key: str, default: int | None) -> int:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HeaderError("corrupt", f"{path}: {key} = {value!r}; expected a count")
    return value


def _axes(path: Path, values: Header) -> tuple[int, ...]:
    n_axes = min(_count(path, values, "NAXIS", None), MAX_AXES)
    return tuple(_count(path, values, f"NAXIS{i + 1}", None) for i in range(n_axes))


def _data_bytes(path: Path, values: Header, axes: tuple[int, ...]) -> int:
    """Bytes of the data that follow a header, padded to whole blocks."""
    bits = values.get("BITPIX")
    if bits not in _BITPIX:
        raise HeaderError("corrupt", f"{path}: BITPIX = {bits!r}; expected one of {_BITPIX}")
    if not axes:
        return 0
    n_pixels = math.prod(axes) + _count(path, values, "PCOUNT", 0)
    return _padded(abs(int(bits)) // 8 * _count(path, values, "GCOUNT", 1) * n_pixels)


def _extension(path: Path, values: Header) -> Extension:
    kind, name = str(values.get("XTENSION", "")), str(values.get("EXTNAME", ""))
    return Extension(kind.strip(), name.strip(), _axes(path, values))
