"""Large work arrays: in memory, or in scratch files where memory is short.

A job that may not hold its cube in memory opens `scratch_arrays`; inside, `empty` gives arrays
that lie in unnamed files and are mapped into memory. They are used like any other array. Code
that has finished with a part of one calls `release`, and its pages no longer count for the
process; the values stay in the file. Arithmetic does not change, so neither do results.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spheredc_hpc.errors import ResourceError

Array = NDArray[Any]

# Smaller arrays stay in memory: their pages are not worth a file.
LEAST_BYTES = 16 * 1024**2

# The mappings that `empty` has made: of others nothing is known, and letting go of the pages of a
# private one loses what was written there.
_ours: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_directory: ContextVar[Path | None] = ContextVar("spheredc_hpc_scratch", default=None)


@contextmanager
def scratch_arrays(directory: Path | None) -> Iterator[None]:
    """Let `empty` and `zeros` put large arrays into files of a directory inside the block.

    Parameters
    ----------
    directory : Path or None
        Where the files are made, on a disk, not on a file system in memory; None: arrays stay
        in memory. The files have no name and go with the arrays.

    Raises
    ------
    ResourceError
        If the directory does not exist.
    """
    if directory is not None and not directory.is_dir():
        raise ResourceError(f"scratch directory {directory} does not exist")
    token = _directory.set(directory)
    try:
        yield
    finally:
        _directory.reset(token)


def in_scratch() -> bool:
    """Whether large arrays are being put into files."""
    return _directory.get() is not None


def empty(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Array:
    """Make an array whose content is not defined.

    Parameters
    ----------
    shape : tuple of int
        Shape.
    dtype : dtype
        Type of the elements.

    Returns
    -------
    array
        In memory; within `scratch_arrays`, from `LEAST_BYTES` on, in a file.

    Raises
    ------
    ResourceError
        If the disk cannot hold the array. The space is reserved at once, so that no later
        access can fail.
    """
    directory = _directory.get()
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if directory is None or size < LEAST_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=directory) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise ResourceError(
                f"scratch directory {directory} cannot hold {size / 1e9:.2f} GB: {error.strerror}"
            ) from error
        array: Array = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    # Without it, touching one row of a column maps the two megabytes about it: a block of
    # columns would weigh as much as the whole array.
    mapping = _mapping(array)
    if mapping is not None:
        mapping.madvise(mmap.MADV_RANDOM)
        _ours.add(mapping)
    return array


def zeros(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Array:
    """Make an array of zeros as `empty` does."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not in_scratch() or size < LEAST_BYTES:
        return np.zeros(shape, dtype)
    return empty(shape, dtype)  # a fresh file reads as zeros


def release(array: Array) -> None:
    """Let the pages of an array go, if `empty` has put it in a file; its values stay.

    Parameters
    ----------
    array : array
        From `empty`, or a view of such an array: the whole of it is let go. Nothing happens
        to arrays in memory, nor to those that others have mapped.
    """
    mapping = _mapping(array)
    if mapping is not None and mapping in _ours:
        mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: Any) -> mmap.mmap | None:
    """File mapping at the end of a chain of views."""
    while array is not None:
        if isinstance(array, mmap.mmap):
            return array
        array = getattr(array, "base", None)
    return None
