"""Work arrays that a thread uses again and again.

Fresh arrays above a megabyte cost a page fault for every four kilobytes, which can take longer
than the arithmetic on them.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class _Held(threading.local):
    def __init__(self) -> None:
        self.bytes: dict[str, NDArray[np.uint8]] = {}


_held = _Held()


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Array with any content, valid until this thread asks for the same name again.

    Parameters
    ----------
    name : str
        Which array it is. Functions that use one name share its memory: neither may call the
        other while it needs the array.
    shape : tuple of int
        Its shape.
    dtype : data type
        Its type.

    Returns
    -------
    array
        Contiguous array. Its memory is kept until the thread ends.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    held = _held.bytes.get(name)
    if held is None or held.nbytes < needed:
        held = _held.bytes[name] = np.empty(needed, np.uint8)
    return held[:needed].view(dtype).reshape(shape)
