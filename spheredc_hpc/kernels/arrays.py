"""Arrays of any library as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import is_cupy_array
from numpy.typing import NDArray


def as_numpy(array: Any) -> NDArray[Any]:
    """Copy an array to the memory of the CPU; NumPy arrays are returned as they are."""
    if isinstance(array, np.ndarray):
        return array
    if is_cupy_array(array):
        return np.asarray(array.get())
    return np.from_dlpack(array)
