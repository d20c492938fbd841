"""Memory of a process and its children, watched from outside."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

import psutil


def proportional_mb(process: psutil.Process) -> float:
    """Proportional set size of a process and its descendants [MB]: shared pages count once."""
    total = 0
    for one in [process, *_children(process)]:
        with contextlib.suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


class Watch:
    """Largest proportional set size while a block runs, over that before it.

    Sampling misses what comes and goes between two samples; calls of a few milliseconds are
    therefore repeated while they are watched.
    """

    def __init__(self, pid: int, interval_s: float = 0.02) -> None:
        self._process = psutil.Process(pid)
        self._interval_s = interval_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before_mb = self._peak_mb = 0.0

    @property
    def rise_mb(self) -> float:
        """Peak less what there was at the beginning [MB]."""
        return self._peak_mb - self._before_mb

    def _look(self) -> None:
        while True:
            self._peak_mb = max(self._peak_mb, proportional_mb(self._process))
            if self._done.wait(self._interval_s):
                return

    def __enter__(self) -> Watch:
        self._before_mb = self._peak_mb = proportional_mb(self._process)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
