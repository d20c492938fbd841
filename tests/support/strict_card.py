"""A stand-in for the graphics card: the strict array library, with its arrays off the CPU.

The strict library has devices that are none: their arrays lie in the memory of the CPU, but NumPy
may not touch them, and two devices do not mix. What makes arrays makes them on one of these
devices by default here, as CuPy makes them on its current one. So whatever would copy an array
behind our back, or mix the two sides, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from unittest import mock

import array_api_strict
import numpy as np

from spheredc_hpc.kernels.device import Card

MAKERS = ("asarray", "arange", "empty", "eye", "full", "linspace", "ones", "zeros")
FREQUENCIES = ("fftfreq", "rfftfreq")
DEVICE = array_api_strict.Device("device1")


@contextmanager
def elsewhere() -> Iterator[None]:
    """Make arrays of the strict library on its other device inside the block."""
    with ExitStack() as stack:
        for room, names in ((array_api_strict, MAKERS), (array_api_strict.fft, FREQUENCIES)):
            made = {name: partial(getattr(room, name), device=DEVICE) for name in names}
            stack.enter_context(mock.patch.multiple(room, **made))
        yield


def put(array: np.ndarray):
    """Put an array on the other device."""
    return array_api_strict.asarray(np.ascontiguousarray(array), device=DEVICE)


class StrictCard(Card):
    """A card of the strict library."""

    def __init__(self, free: int = 10**12) -> None:
        super().__init__("strict", free)
        object.__setattr__(self, "taken", [])

    def put(self, array):
        """Put an array on the other device, and note its size."""
        self.taken.append(array.nbytes)
        return put(array)

    def free_bytes(self) -> int:
        """All of it."""
        return self.total_bytes

    def memory(self):
        """Nothing to give back."""
        return nullcontext()
