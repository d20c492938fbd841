"""A Level 2 reduction in a process of its own, whose peak memory is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import synthetic_sequence

from spheredc_hpc.store.cube import write_cube

# Its own process: the peak is that of everything since its start.
JOB = """
import json, sys
from pathlib import Path
from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.kernels.buffers import scratch_arrays
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.store.cube import open_cube
from spheredc_hpc.store.runinfo import peak_rss_bytes
path, recipe, scratch, threads = sys.argv[1:]
with scratch_arrays(Path(scratch) if scratch else None):
    result = reduce(open_cube(Path(path)), Recipe(**json.loads(recipe)), int(threads))
assert len(result.images.sources) >= 1, result.reasons
print(peak_rss_bytes() / 1e6)
"""


def cube_on_disk(path, channels, frames, side):
    """A halo, noise and two companions; sources make the reductions that count."""
    rng = np.random.default_rng(0)
    offset = np.arange(side) - side // 2
    radius = np.hypot(offset[:, None], offset[None, :])
    halo = 200 / (1 + (radius / 25) ** 1.5)
    angles = np.linspace(0, 50, frames)
    science = np.empty((channels, frames, side, side), np.float32)
    for k in range(channels):
        for t, angle in enumerate(angles):
            science[k, t] = halo * (2 + 0.3 * rng.standard_normal(halo.shape))
            for r, at in ((25, 40), (50, 150)):
                turn = np.deg2rad(at - angle)
                place = side // 2 - r * np.sin(turn), side // 2 + r * np.cos(turn)
                synthetic_sequence.add_gaussian(science[k, t], *place, 4.0, 300 / (r / 25) ** 1.5)
    psf = synthetic_sequence.gaussian((63, 63), 31, 31, 4.0).astype(np.float32)
    stars = np.broadcast_to(1e6 * psf, (channels, 1, 63, 63)).copy()
    write_cube(synthetic_sequence.level1_cube(science, stars, angles, 0.6), path)


def peak_mb(path: Path, recipe: dict, scratch: Path | None = None, threads: int = 1) -> float:
    """Reduce a cube on disk; peak resident memory of the job [MB]."""
    words = [str(path), json.dumps(recipe), str(scratch or ""), str(threads)]
    run = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", JOB, *words], capture_output=True, text=True, check=True
    )
    return float(run.stdout.split()[-1])
