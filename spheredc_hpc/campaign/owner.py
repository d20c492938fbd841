"""One run per result root; what a killed run leaves behind is noticed and cleared."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from spheredc_hpc.errors import ConfigError, ExternalError, ResourceError
from spheredc_hpc.store.codec import canonical_json, write_text
from spheredc_hpc.store.sweep import sweep

logger = logging.getLogger(__name__)

LOCK = ".spheredc-run.lock"
RECORD = ".spheredc-run.json"
SILENT_S = 600.0
"""An owner on another host counts as dead if its record was not touched for so long [s]."""
GRACE_S = 20.0
"""How long the Snakemake of a killed run may take to end [s]."""


@dataclass
class Ownership:
    """The right to change a result root."""

    root: Path

    def note(self, **facts: Any) -> None:
        """Write the record of this run anew with more facts."""
        write_text(canonical_json({**_self(), **facts}), self.root / RECORD)

    def beat(self) -> None:
        """Show that the run lives, to other hosts."""
        os.utime(self.root / RECORD)


def _self() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "host": platform.node(),
        "pid": process.pid,
        "started": process.create_time(),
        "command": process.cmdline(),
    }


@contextmanager
def owning(root: Path, *, create: bool = True) -> Iterator[Ownership]:
    """Own a result root for the time of the block.

    The lock ends with its holder, however that dies. If the record of an earlier run is
    still there, that run was killed: its Snakemake lock is cleared and its scratch swept.

    Parameters
    ----------
    root : Path
        Result root.
    create : bool
        Make the root if it is absent.

    Raises
    ------
    ConfigError
        If the root is absent and not to be made.
    ResourceError
        If the root cannot be written.
    ExternalError
        If another run is at work in it.
    """
    if not create and not root.is_dir():
        raise ConfigError(f"result root {root} does not exist")
    handle = _open(root)
    try:
        _claim(handle, root)
        killed = _read_record(root)
        if killed is not None:
            _clear(root, killed)
        sweep(root)
        ownership = Ownership(root)
        ownership.note()
        try:
            yield ownership
        finally:
            (root / RECORD).unlink(missing_ok=True)
    finally:
        os.close(handle)


def _open(root: Path) -> int:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError(f"cannot write the result root {root}: {error.strerror}") from error


def _claim(handle: int, root: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExternalError(_busy(root, _read_record(root) or {})) from None
    except OSError as error:
        logger.warning("%s: no locks on this file system (%s)", root, error.strerror)
        record = _read_record(root)
        if record is not None and _alive(record):
            raise ExternalError(_busy(root, record)) from None
    record = _read_record(root)
    if record is not None and record.get("host") != platform.node() and _recent(root):
        raise ExternalError(_busy(root, record))


def _busy(root: Path, record: dict[str, Any]) -> str:
    who = f"process {record.get('pid', '?')} on {record.get('host', '?')}"
    return f"another run is at work in {root} ({who}); wait for it or choose another root"


def _read_record(root: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _alive(record: dict[str, Any], pid: str = "pid", started: str = "started") -> bool:
    try:
        process = psutil.Process(int(record[pid]))
        return bool(abs(process.create_time() - float(record[started])) < 1.0)
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _recent(root: Path) -> bool:
    try:
        return time.time() - (root / RECORD).stat().st_mtime < SILENT_S
    except OSError:
        return False


def _clear(root: Path, record: dict[str, Any]) -> None:
    logger.warning(
        "the run of process %s on %s was killed; going on where it stopped",
        record.get("pid"),
        record.get("host"),
    )
    deadline = time.monotonic() + GRACE_S
    while _alive(record, "snakemake_pid", "snakemake_started"):
        if time.monotonic() > deadline:
            raise ExternalError(
                f"the run in {root} was killed, but its Snakemake (process "
                f"{record['snakemake_pid']}) is still at work; wait for it or end it"
            )
        time.sleep(0.2)
    shutil.rmtree(root / ".snakemake" / "locks", ignore_errors=True)
