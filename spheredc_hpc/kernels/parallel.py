"""Ordered parallel maps whose results do not depend on the number of threads.

The number of threads is set once, by the caller that owns the job, with `worker_threads`;
kernels and algorithms only cut their work into fixed pieces and hand it to `map_ordered`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from spheredc_hpc.errors import KernelInputError

T = TypeVar("T")
R = TypeVar("R")

_pool: ContextVar[ThreadPoolExecutor | None] = ContextVar("spheredc_hpc_pool", default=None)


@contextmanager
def worker_threads(threads: int) -> Iterator[None]:
    """Let `map_ordered` use `threads` threads inside the block, each with one BLAS thread.

    Parameters
    ----------
    threads : int
        Threads, at least 1.

    Raises
    ------
    KernelInputError
        If `threads` is below 1.
    """
    if threads < 1:
        raise KernelInputError(f"threads={threads}, at least 1 wanted")
    with _libraries(len(sys.modules)).limit(limits=1):
        if threads == 1:
            token = _pool.set(None)
            try:
                yield
            finally:
                _pool.reset(token)
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="spheredc") as pool:
            token = _pool.set(pool)
            try:
                yield
            finally:
                _pool.reset(token)


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Find the libraries with threads of their own; looked for again when `modules` changes."""
    return ThreadpoolController()


def map_ordered(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply `function` to every item and return the results in the order of the items.

    Threads of a surrounding `worker_threads` share the items. A call from inside one of them
    runs serially, so pools never nest (the pool is known to the thread that opened it only).
    """
    pool = _pool.get()
    if pool is None:
        return [function(item) for item in items]
    return list(pool.map(function, items))


def blocks(length: int, size: int) -> list[slice]:
    """Cut ``range(length)`` into slices of `size`; the last one may be shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
