"""Predicted and measured memory of Level 2 jobs: the table of docs/memory.md.

Run from the project root (about ten minutes):

    python tests/bench/memory_prediction.py --work /tmp/memory

Every case is a reduction in a process of its own, of a cube on disk with two companions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import memory_job
import synthetic_ifs

from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.level2.memory import Shape, predicted_mb
from spheredc_hpc.store.cube import open_cube, write_cube


class Case(NamedTuple):
    """Channels, frames and side of a cube, and how it is reduced."""

    shape: tuple[int, int, int]
    recipe: dict
    outer_mas: float = 1800
    scratch: bool = False
    threads: int = 1


COUNTS = {"also_modes": [2, 5]}
CASES = (
    Case((2, 60, 300), {"algorithm": "pca"}),
    Case((2, 60, 300), {"algorithm": "pca"}, scratch=True),
    Case((2, 60, 300), {"algorithm": "pca"}, threads=2),
    Case((2, 60, 300), {"algorithm": "pca", "imaging": {"combination": "median"}}),
    Case((2, 150, 520), {"algorithm": "pca"}),
    Case((2, 150, 520), {"algorithm": "pca"}, scratch=True),
    Case((2, 48, 800), {"algorithm": "pca"}, outer_mas=2450),
    Case((2, 40, 500), {"algorithm": "klip"}),
    Case((8, 24, 181), {"algorithm": "klip", "strategy": "asdi"}, 600),
    Case((8, 24, 181), {"algorithm": "klip", "strategy": "asdi"}, 600, threads=2),
    Case((8, 24, 181), {"algorithm": "pca", "strategy": "asdi-two-step"}, 600),
    Case((1, 200, 201), {"algorithm": "klip", "settings": COUNTS}),
    Case((1, 200, 201), {"algorithm": "loci"}),
    Case((1, 200, 201), {"algorithm": "tloci"}),
    Case((1, 150, 301), {"algorithm": "klip", "settings": {"also_modes": [5]}}),
)


def ifs(channels: int, frames: int, side: int):
    """Level 1 cube of speckles that scale with wavelength."""
    return synthetic_ifs.sequence(
        wavelength_um=synthetic_ifs.wavelengths(channels),
        n_time=frames,
        side=side,
        rotation_deg=50.0,
        companions=[(230.0, 40.0, 5e-5), (480.0, 150.0, 3e-5)],
    )


def measured(case: Case, work: Path) -> tuple[float, float]:
    """Predicted and measured peak [MB]."""
    path = work / "_".join(["cube", *map(str, case.shape)])
    if not path.is_dir():
        if case.shape[0] > 2:
            write_cube(ifs(*case.shape), path)
        else:
            memory_job.cube_on_disk(path, *case.shape)
    imaging = {**case.recipe.get("imaging", {}), "throughput_branches": 1}
    values = {**case.recipe, "imaging": {**imaging, "outer_mas": case.outer_mas}}
    peak = memory_job.peak_mb(path, values, work if case.scratch else None, case.threads)
    shape = Shape.of(open_cube(path))
    return predicted_mb(shape, Recipe(**values), case.threads, scratch=case.scratch), peak


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of cubes and scratch.")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    sys.stdout.write("| cube | recipe | predicted | measured | ratio |\n|---|---|---|---|---|\n")
    for case in CASES:
        predicted, peak = measured(case, options.work)
        how = json.dumps(case.recipe) + (", scratch files" if case.scratch else "")
        how += f", {case.threads} threads" if case.threads > 1 else ""
        sys.stdout.write(
            f"| {case.shape} | {how} | {predicted:.0f} | {peak:.0f} | {predicted / peak:.2f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
