"""Independent random streams, one per purpose, so that threads and companions change nothing."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator of one purpose.

    Parameters
    ----------
    seed : int
        Seed of the scenario.
    purpose : str
        What the numbers are for, for example ``"noise"``.
    indices : int
        Non-negative numbers of file, plane and so on.

    Notes
    -----
    The stream depends on its arguments only, never on the order of the calls.
    """
    key = (zlib.crc32(purpose.encode()), *indices)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))
