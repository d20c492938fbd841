"""Records to and from canonical JSON, and small files written whole."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from spheredc_hpc.errors import DataError

Record = TypeVar("Record")

FLUSHED_TOGETHER = 32
FILES_OF_A_BATCH = 512


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def canonical_json(values: object) -> str:
    """Write JSON-compatible values in the one form that the project stores."""
    return json.dumps(values, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_plain(record: object) -> Any:
    """Turn a frozen record into JSON-compatible values."""
    return _adapter(type(record)).dump_python(record, mode="json")


def from_plain(kind: type[Record], values: object, source: str) -> Record:
    """Make a record of `kind` from JSON-compatible values.

    Raises
    ------
    DataError
        If the values do not fit; names `source` and the first wrong field.
    """
    try:
        return _adapter(kind).validate_python(values)  # type: ignore[no-any-return]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{source}: {where or kind.__name__}: {first['msg']}") from error


def read_record(kind: type[Record], path: Path) -> Record:
    """Read a record that `write_record` wrote.

    Raises
    ------
    DataError
        If the file is absent, is no JSON or does not fit `kind`.
    """
    return from_plain(kind, read_json(path), str(path))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error


def write_record(record: object, path: Path) -> bool:
    """Write a record as canonical JSON, whole or not at all, only if its content changes.

    Returns
    -------
    bool
        Whether the file was written.
    """
    return write_text(canonical_json(to_plain(record)), path)


def write_records(records: Mapping[Path, object]) -> int:
    """Write many records as JSON, those whose content changes; give their number.

    Fields stand in the order of the record, not in that of the alphabet, which is ten times
    as fast.
    """
    return write_many(
        (_adapter(type(record)).dump_json(record, indent=1) + b"\n", path)
        for path, record in records.items()
    )


def write_text(text: str, path: Path) -> bool:
    """Write a text file by rename, only if its content changes; tells whether it did."""
    return write_bytes(text.encode(), path)


def write_bytes(data: bytes, path: Path) -> bool:
    """Write a file by rename, only if its content changes; tells whether it did."""
    return write_many([(data, path)]) == 1


def write_many(files: Iterable[tuple[bytes, Path]]) -> int:
    """Write small files by rename, those whose content changes; give their number.

    They reach the disk together, as flushing one by one takes longer than all the rest. Each
    appears whole or not at all.
    """
    written = 0
    folders: set[Path] = set()
    files = iter(files)
    with ThreadPoolExecutor(FLUSHED_TOGETHER) as pool:
        while batch := list(islice(files, FILES_OF_A_BATCH)):
            changed = [(data, path) for data, path in batch if not _holds(path, data)]
            temporary = {_beside(path): path for _, path in changed}
            try:
                for (data, path), part in zip(changed, temporary, strict=True):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with part.open("xb") as file:
                        file.write(data)
                list(pool.map(_flush, temporary))
                for part, path in temporary.items():
                    part.replace(path)
            except BaseException:
                for part in temporary:
                    part.unlink(missing_ok=True)
                raise
            written += len(changed)
            folders |= {path.parent for path in temporary.values()}
    for folder in sorted(folders):
        sync_directory(folder)
    return written


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Flush the entries of a directory to disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
