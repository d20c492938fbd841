"""What kernels ask of their arguments: the type of frames, and ranges of rows."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from spheredc_hpc.errors import KernelInputError

Array = Any


def check_floating(frames: Array, name: str = "frames") -> None:
    """Refuse arrays of other types than the two in which kernels work.

    Parameters
    ----------
    frames : array
        Of any library.
    name : str
        What it is called in the message.

    Raises
    ------
    KernelInputError
        Unless they are float32 or float64, in the order of bytes of the machine.
    """
    xp = array_namespace(frames)
    if frames.dtype not in (xp.float32, xp.float64):
        raise KernelInputError(f"{name} are {frames.dtype}, float32 or float64 wanted")


def row_range(rows: slice | None, count: int) -> tuple[int, int]:
    """First and last row, not included, of a slice of an image.

    Parameters
    ----------
    rows : slice or None
        Rows; all of them if None. What it asks for beyond the image does not exist.
    count : int
        Rows of the image.

    Returns
    -------
    (int, int)
        Equal if there are none.

    Raises
    ------
    KernelInputError
        If the slice has a step, or ends before it starts.
    """
    first, last, step = (slice(None) if rows is None else rows).indices(count)
    if step != 1 or last < first:
        raise KernelInputError(f"rows={rows} of {count}, a rising slice without step wanted")
    return first, last
