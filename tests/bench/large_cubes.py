"""Whole Level 2 products of the largest cubes: time, memory and what they hold.

Run from the project root (a quarter of an hour and 10 GB for the first, an hour and 45 GB of disk
for the second):

    python tests/bench/large_cubes.py ifs --work /tmp/large --threads 2
    python tests/bench/large_cubes.py disk --work /tmp/large --threads 2

``ifs`` is ASDI KLIP of 39 channels, 40 frames and 290 x 290 pixels with at most 150 references a
frame: images of three mode counts, sources, throughput and contrast. ``disk`` is PCA of four
channels, 400 frames and 1024 x 1024 pixels (6.7 GB) in 2 GB, through scratch files; its image is
compared with that of one channel in memory. The cube is made once, the job is a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import synthetic_ifs
import synthetic_sequence

from spheredc_hpc.store.cube import Level1Cube, write_cube

ALL = {
    "ifs": {
        "algorithm": "klip",
        "strategy": "asdi",
        "imaging": {"inner_mas": 100, "outer_mas": 870},
        "settings": {
            "n_modes": 20,
            "also_modes": [5, 50],
            "references": {"exclusion_fwhm": 0.5, "max_references": 150},
        },
    },
    "disk": {"algorithm": "pca", "imaging": {"outer_mas": 6200}, "settings": {"n_modes": 20}},
}
COMPANIONS = {
    "ifs": [(220.0, 35.0, 2e-5), (500.0, 170.0, 8e-6), (780.0, 290.0, 4e-6)],
    "disk": [(900.0, 35.0, 3e-4), (2600.0, 170.0, 1e-4)],
}
JOB = """
import json, sys, time
from pathlib import Path
import numpy as np
from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.kernels.buffers import scratch_arrays
from spheredc_hpc.level2.memory import Shape, predicted_mb
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.store.cube import open_cube
from spheredc_hpc.store.runinfo import Run
path, recipe, threads, scratch, out = sys.argv[1:]
recipe, threads, cube = Recipe(**json.loads(recipe)), int(threads), open_cube(Path(path))
scratch = Path(scratch) if scratch else None
run = Run(threads)
with scratch_arrays(scratch):
    result = reduce(cube, recipe, threads)
record = run.finish()
record["predicted_mb"] = predicted_mb(Shape.of(cube), recipe, threads, scratch=scratch is not None)
record["status"], record["reasons"] = str(result.status), result.reasons
record["quality"] = result.quality
record["sources"] = result.images.sources.tolist()
np.savez(out, image=result.images.image, cube=result.images.cube)
print(json.dumps(record, default=str))
"""


def ifs() -> Level1Cube:
    """Sequence at the real size of the integral-field spectrograph."""
    return synthetic_ifs.sequence(
        seed=3,
        wavelength_um=synthetic_ifs.wavelengths(39),
        n_time=40,
        side=290,
        rotation_deg=45.0,
        companions=COMPANIONS["ifs"],
        noise=1e-6,
    )


def disk(channels: int = 4, frames: int = 400, side: int = 1024) -> Level1Cube:
    """Sequence of frames that do not fit into the memory that the job gets."""
    few = synthetic_sequence.sequence(
        seed=3, n_wave=channels, n_time=8, side=side, rotation_deg=0.0, fwhm=(4.0,) * channels
    )
    rng = np.random.default_rng(4)
    turn = np.linspace(-20.0, 40.0, frames)
    walks = np.cumsum(rng.standard_normal((frames, 8)), axis=0) / np.sqrt(frames)
    science = np.empty((channels, frames, side, side), np.float32)
    middle = few.science.mean(axis=1)
    patterns = few.science - middle[:, None]
    for t in range(frames):
        noise = rng.standard_normal((side, side), np.float32)
        for k in range(channels):
            mixed = np.tensordot(walks[t].astype(np.float32), patterns[k], 1)
            science[k, t] = middle[k] + mixed + 0.02 * np.roll(noise, 31 * k, axis=0)
            for separation, angle, contrast in COMPANIONS["disk"]:
                r = separation / synthetic_sequence.SCALE_MAS
                place = np.deg2rad(angle - turn[t])
                x, y = side // 2 - r * np.sin(place), side // 2 + r * np.cos(place)
                peak = contrast * synthetic_sequence.STAR_PEAK
                synthetic_sequence.add_gaussian(science[k, t], x, y, 4.0, peak)
    return synthetic_sequence.level1_cube(science, few.psf, turn, 0.0)


def reduced(path: Path, name: str, threads: int, scratch: Path | None, out: Path) -> dict:
    """Run one job and read what it says."""
    words = [str(path), json.dumps(ALL[name]), str(threads), str(scratch or ""), str(out)]
    started = time.perf_counter()
    run = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", JOB, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return {**json.loads(run.stdout), "process_s": time.perf_counter() - started}


def main() -> None:
    """Make the cube, reduce it, print the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=ALL)
    parser.add_argument("--work", type=Path, required=True, help="Folder of cubes and scratch.")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    make = {"ifs": ifs, "disk": disk}[options.case]
    path = made(work / f"{options.case}.zarr", make)
    scratch = work if options.case == "disk" else None
    record = reduced(path, options.case, options.threads, scratch, work / f"{options.case}.npz")
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
    if options.case == "disk":
        one = made(work / "one.zarr", lambda: disk(channels=1))
        record = reduced(one, "disk", options.threads, None, work / "one.npz")
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        found, expected = (np.load(work / f"{name}.npz")["cube"][0] for name in ("disk", "one"))
        apart = np.nanmax(np.abs(found - expected)) / np.nanstd(expected)
        same = np.array_equal(np.isnan(found), np.isnan(expected))
        sys.stdout.write(f"largest difference over scatter {apart:.2e}; same pixels: {same}\n")


def made(path: Path, make: Callable[[], Level1Cube]) -> Path:
    """Make a cube that is not there yet."""
    if not path.is_dir():
        write_cube(make(), path)
    return path


if __name__ == "__main__":
    main()
