"""Sorting networks: many pixels sorted along time at once, one per lane of the vector unit.

A network is a fixed list of compare-and-exchange steps, so neighbouring pixels follow the same
steps and each step is one vector minimum and one vector maximum.
"""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

# Pixels sorted together. A compile-time constant, so that the inner loop is unrolled; with more,
# the tile of a usual sequence (120 frames) leaves the first cache.
LANES = 32


@lru_cache(maxsize=64)
def comparators(n: int, low: int, high: int) -> NDArray[np.int32]:
    """List the steps of a sorting network, as far as some ranks need them.

    Parameters
    ----------
    n : int
        Values to sort, at least 1.
    low, high : int
        First and last rank wanted, ``0 <= low <= high < n``.

    Returns
    -------
    array of int32, shape (n_steps, 2)
        Pairs of places, to be gone through in order: the smaller value goes to the first.
        Then ranks `low` to `high` are in place; the others need not be.

    Notes
    -----
    Batcher (1968), AFIPS Spring Joint Computer Conf. 32, 307: odd-even merge sort, about
    ``n log2(n)**2 / 4`` steps. Steps that no wanted rank depends on are left out.
    """
    return np.asarray(_network(n, low, high))


@numba.njit(cache=True, nogil=True)
def _network(n, low, high):  # type: ignore[no-untyped-def]
    rounds = 0
    while 2**rounds < n:
        rounds += 1
    steps = np.empty((max(1, n * rounds * (rounds + 1) // 4 + 1), 2), np.int32)
    used = 0
    run = 1
    while run < n:
        reach = run
        while reach >= 1:
            for first in range(reach % run, n - reach, 2 * reach):
                for i in range(first, min(first + reach, n - reach)):
                    if i // (2 * run) == (i + reach) // (2 * run):
                        steps[used, 0] = i
                        steps[used, 1] = i + reach
                        used += 1
            reach //= 2
        run *= 2
    needed = np.zeros(n, np.bool_)
    needed[low : high + 1] = True
    kept = np.zeros(used, np.bool_)
    for k in range(used - 1, -1, -1):
        a, b = steps[k, 0], steps[k, 1]
        if needed[a] or needed[b]:
            needed[a] = needed[b] = kept[k] = True
    return steps[:used][kept]


@numba.njit(cache=True, nogil=True)
def sort_lanes(tile, steps):  # type: ignore[no-untyped-def]
    """Sort every column of a tile of shape (n, LANES) in place, by the steps of `comparators`.

    Values must not be NaN; infinities are sorted as numbers.
    """
    for k in range(steps.shape[0]):
        one, two = tile[steps[k, 0]], tile[steps[k, 1]]
        for lane in range(LANES):
            a, b = one[lane], two[lane]
            ordered = a < b
            one[lane] = a if ordered else b
            two[lane] = b if ordered else a
