"""Locks that end with their holder: a killed process leaves none behind."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spheredc_hpc.errors import ResourceError

logger = logging.getLogger(__name__)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; wait while another process holds it, remove it at the end.

    On a file system without locks the block runs without one.

    Parameters
    ----------
    path : Path
        The lock file; its folder is made.

    Raises
    ------
    ResourceError
        If the file cannot be made.
    """
    while True:
        handle = _open(path)
        if not acquire(handle, path):
            os.close(handle)
            yield
            return
        if _names(path, handle):
            break
        os.close(handle)  # the former holder removed the file that we waited for
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def is_held(path: Path) -> bool:
    """Tell whether a process holds the lock; a lock file that nobody holds is removed."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _names(path, handle):  # released meanwhile, and perhaps made anew by another
            return path.exists()
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError(f"cannot write {path}: {error.strerror}") from error


def acquire(handle: int, path: Path) -> bool:
    """Lock an open file or directory, waiting if need be; False where there are no locks."""
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for the holder of %s", path)
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        logger.warning("%s: no locks on this file system (%s)", path, error.strerror)
        return False
    return True


def _names(path: Path, handle: int) -> bool:
    """Tell whether `path` still is the open file."""
    try:
        there, held = path.stat(), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
