"""Two processes in turns: ours, theirs, ours, theirs, so that drifts of the machine cancel."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from anchors.memory import Watch

BENCH = Path(__file__).resolve().parents[1]
SUPPORT = BENCH.parent / "support"
# Calls of an instant are watched for memory many times, as samples are 20 ms apart.
INSTANT_S, INSTANT_REPEAT_S = 0.2, 0.6


class SideError(Exception):
    """A side died, failed or took too long; the message says which."""


@dataclass(frozen=True)
class Effort:
    """How much time a comparison may take.

    Attributes
    ----------
    most : int
        Timed calls of a side at most; at least one is made.
    budget_s : float
        No further call is begun when those of a side have taken this long.
    limit_s : float
        A single call that takes longer is given up.
    """

    most: int = 7
    budget_s: float = 20.0
    limit_s: float = 1200.0


@dataclass
class Figures:
    """What was measured of one side."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = float("nan")
    input_mb: float = float("nan")
    version: str = ""
    warm: bool = True

    @property
    def median_s(self) -> float:
        """Median wall time of the timed calls."""
        return float(np.median(self.wall_s))

    def record(self) -> dict[str, object]:
        """Everything as plain numbers."""
        return {
            "median_s": self.median_s,
            "min_s": min(self.wall_s),
            "max_s": max(self.wall_s),
            "calls": len(self.wall_s),
            "cpu_s": float(np.median(self.cpu_s)),
            "peak_mb": self.peak_mb,
            "input_mb": self.input_mb,
            "version": self.version,
            "warm": self.warm,
        }


def environment(side: str, threads: int) -> dict[str, str]:
    """Environment of a worker: threads are pinned before any library is loaded.

    VIP and pyKLIP start processes and ours starts threads; each of those gets one BLAS thread.
    PynPoint has no parallelism but that of BLAS.
    """
    blas = threads if side == "by_pynpoint" else 1
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    pinned = {f"{name}_NUM_THREADS": str(blas) for name in names}
    unwanted = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    folders = {"PYTHONPATH": f"{BENCH}{os.pathsep}{SUPPORT}", "MPLBACKEND": "Agg"}
    return {**kept, **pinned, **folders, "NUMBA_NUM_THREADS": str(threads)}


class Task(NamedTuple):
    """What a worker is to do: a key of its `CASES`, on an input, with so many threads."""

    case: str
    folder: Path
    threads: int


class Side:
    """A worker process of one side; what it prints goes to `log`."""

    def __init__(self, python: str, side: str, task: Task, effort: Effort, log: Path) -> None:
        self.name = side
        self.effort = effort
        self.figures = Figures()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("w", encoding="utf-8")
        words = [task.case, str(task.folder), str(task.threads)]
        command = [python, "-m", "anchors.worker", side, *words]
        self._process = subprocess.Popen(  # noqa: S603 - an interpreter that the run chose
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(side, task.threads),
            start_new_session=True,  # so that it ends with all the processes that it started
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._log.close()

    def start(self) -> None:
        """Wait until the worker is warm; note what it says of itself."""
        ready = self._answer()
        self.figures.input_mb = float(ready["input_mb"])
        self.figures.version = str(ready["version"])
        self.figures.warm = bool(ready["warm"])

    def ask(self, order: str) -> dict[str, float]:
        """Give an order and wait for the answer."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(f"{order}\n".encode())
            pipe.flush()
        except BrokenPipeError:
            raise SideError(f"{self.name} has died; see {self._log.name}") from None
        return self._answer()

    def _answer(self) -> dict[str, float]:
        pipe = self._process.stdout
        assert pipe is not None
        if not select.select([pipe], [], [], self.effort.limit_s)[0]:
            raise SideError(f"{self.name} took more than {self.effort.limit_s:.0f} s")
        line = pipe.readline()
        if not line:
            raise SideError(f"{self.name} has died; see {self._log.name}")
        answer: dict[str, float] = json.loads(line)
        if not answer["ok"]:
            raise SideError(f"{self.name}: {answer['error']}")
        return answer

    def first(self) -> None:
        """Measure the memory by a call that is not timed: looking takes time of the call."""
        with Watch(self._process.pid) as watch:
            found = self.ask("time")
            if found["wall_s"] < INSTANT_S:
                self.ask(f"repeat {INSTANT_REPEAT_S}")
        self.figures.peak_mb = watch.rise_mb

    def another(self) -> bool:
        """Time one more call, if there is time for it."""
        done = self.figures.wall_s
        if done and (len(done) >= self.effort.most or sum(done) >= self.effort.budget_s):
            return False
        found = self.ask("time")
        self.figures.wall_s.append(found["wall_s"])
        self.figures.cpu_s.append(found["cpu_s"])
        return True


def in_turns(sides: list[Side]) -> None:
    """Measure all sides, one call each in turn."""
    for side in reversed(sides):  # the other package is the one that may fail
        side.start()
    for side in sides:
        side.first()
    calling = sides
    while calling:
        calling = [side for side in calling if side.another()]
