"""One side of one case in its own process: loads the input, then does what it is told.

    python -m anchors.worker by_vip pca20_fft INPUT_FOLDER THREADS

Orders come as lines on standard input, answers go as JSON lines to standard output: ``time``
runs the case once, ``repeat SECONDS`` runs it again and again without timing it, ``save FOLDER``
writes the arrays of the last run and, where there are any, the residuals. Whatever a package
prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from anchors.inputs import excerpt, load
from anchors.job import Arrays, Job

DISTRIBUTIONS = {
    "ours": "spheredc_hpc",
    "by_vip": "vip-hci",
    "by_pyklip": "pyklip",
    "by_pynpoint": "pynpoint",
}


def _version(side: str) -> str:
    try:
        return version(DISTRIBUTIONS[side])
    except PackageNotFoundError:
        return "unknown"


def _cpu_s() -> float:
    """CPU time of this process and of children that have ended [s]."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _timed(job: Job) -> tuple[dict[str, float], Arrays]:
    cpu, wall = _cpu_s(), time.perf_counter()
    arrays = job.run()
    wall = time.perf_counter() - wall
    return {"wall_s": wall, "cpu_s": _cpu_s() - cpu}, arrays


def _save(job: Job, arrays: Arrays, folder: Path) -> dict[str, float]:
    folder.mkdir(parents=True, exist_ok=True)
    if job.residuals is not None:
        arrays = {**arrays, "residuals": job.residuals()}
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values, np.float32))
    return {}


def _serve(job: Job, answer: Callable[[dict[str, object]], None]) -> None:
    arrays: Arrays = {}
    for line in sys.stdin:
        order, *rest = line.split(maxsplit=1)
        if order == "time":
            found, arrays = _timed(job)
        elif order == "repeat":
            end = time.perf_counter() + float(rest[0])
            while time.perf_counter() < end:
                arrays = job.run()
            found = {}
        else:
            found = _save(job, arrays, Path(rest[0].strip()))
        answer({"ok": True, **found})


def main(side: str, case: str, folder: Path, threads: int) -> None:
    """Load, warm up, say so, obey."""
    warnings.filterwarnings("ignore")
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: dict[str, object]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        cases = importlib.import_module(f"anchors.{side}").CASES
        if case not in cases:
            answer({"ok": False, "error": f"no case {case}"})
            return
        make = cases[case]
        data = load(folder)
        # Imports and compilation belong to no call; a failure here will show in the real one.
        warm = True
        try:
            make(excerpt(data), threads).run()
        except Exception as error:  # noqa: BLE001 - other packages fail in many ways
            sys.stderr.write(f"warm-up: {error!r}\n")
            warm = False
        job = make(data, threads)
        about = {"version": _version(side), "input_mb": data.frames.nbytes / 1e6}
        answer({"ok": True, "warm": warm, **about})
        _serve(job, answer)
    except Exception as error:
        answer({"ok": False, "error": repr(error)})
        raise


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
