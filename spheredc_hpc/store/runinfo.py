"""What varies from run to run: host, times, threads, memory; kept apart from the receipt."""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil


@dataclass
class Run:
    """Clock and memory of one job."""

    threads: int = 1
    device: str = "cpu"
    stages_s: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)
    _utc: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def finish(self) -> dict[str, Any]:
        """Give the values for ``run.json``."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "host": platform.node(),
            "cpu": cpu_class(),
            "cores": psutil.cpu_count() or 0,
            "pid": os.getpid(),
            "started": self._utc,
            "wall_s": round(time.perf_counter() - self._started, 3),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_rss_mb": round(peak_rss_bytes() / 1e6, 1),
            "threads": self.threads,
            "device": self.device,
            "executor": os.environ.get("SPHEREDC_EXECUTOR", "shell"),
            "stages_s": {name: round(value, 3) for name, value in self.stages_s.items()},
        }


def peak_rss_bytes() -> int:
    """Peak resident memory of this process since its program was started.

    Notes
    -----
    The kernel's high-water mark of the address space. The figure of ``getrusage`` is at least
    the memory that the parent had when it started this program: of a small job below a large
    scheduler it tells about the scheduler. It serves where there is no other.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 a kernel file
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_local = threading.local()


@contextmanager
def run_info() -> Iterator[Run]:
    """Open the record of the current job; stages timed inside are added to it."""
    run = getattr(_local, "run", None)
    if run is not None:
        yield run
        return
    run = _local.run = Run()
    try:
        yield run
    finally:
        _local.run = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the wall time of the block to the current job's record."""
    started = time.perf_counter()
    try:
        yield
    finally:
        run = getattr(_local, "run", None)
        if run is not None:
            run.stages_s[name] = run.stages_s.get(name, 0.0) + time.perf_counter() - started


def cpu_class() -> str:
    """Name the processor model, for comparisons of bits and of speed."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 a kernel file
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
