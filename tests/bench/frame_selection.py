"""Policies of frame selection on a night with bad frames: what goes, and what contrast gains.

Run from the project root (three minutes):

    python tests/bench/frame_selection.py --work /tmp/frame-selection

A night of 48 integrations of which 30 % are bad by seeing, wind or clouds, in bursts, is simulated
and reduced to Level 1 once; Level 2 is then made with each policy. Printed are the share of bad
frames that go, the share of good ones that go with them, and 5-sigma contrast relative to that
of all frames.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import campaign_run
from campaign_verdict import CASES

from spheredc_hpc.config import parse
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.selection import POLICIES
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.store.cube import Level1Cube, read_cube

SEPARATIONS_MAS = (300.0, 500.0, 800.0, 1100.0)
NIGHT = {
    "sequence": {"object": {"files": 6, "ndit": 8, "dit_s": 32.0}},
    "atmosphere": {"degraded": {"share": 0.3, "run": 2}},
    "companions": [],
}
ZONE = {"inner_mas": 200.0, "outer_mas": 1400.0}


def level1(work: Path) -> tuple[Level1Cube, np.ndarray]:
    """Make the night and its cube, and tell which of its frames are bad."""
    base = CASES["degraded"]
    changes = {**base.changes, **NIGHT}
    case = dataclasses.replace(base, name="frame-selection", changes=changes, recipes=())
    folder = work / case.name
    if not folder.is_dir():
        record = campaign_run.run_case(case, work, threads=2, keep=True)
        assert not record["failures"], record["failures"]
    (path,) = (folder / "root" / "observations").glob("*/level1/cube.zarr")
    truth = json.loads((folder / "raw" / "truth.json").read_text(encoding="utf-8"))
    bad = {
        f"{entry['archive_id']} plane {k}"
        for entry in truth["files"]
        for k, shot in enumerate(entry.get("integrations", ()))
        if shot.get("degraded")
    }
    cube = read_cube(path)
    return cube, np.array([name in bad for name in cube.attrs["frames"]])


def main() -> None:
    """Measure and print the table of each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--algorithms", nargs="+", default=["cadi", "pca"])
    options = parser.parse_args()
    cube, bad = level1(options.work)
    say = sys.stdout.write
    say(f"{len(bad)} frames in the cube, {bad.sum()} of them bad\n\n")
    head = " | ".join(f"{s:.0f} mas" for s in SEPARATIONS_MAS)
    say(f"| algorithm | policy | bad left out | good left out | {head} |\n" + 8 * "|---" + "|\n")
    for algorithm in options.algorithms:
        curves = {}
        for policy in POLICIES:
            imaging = {**ZONE, "selection": policy}
            recipe = parse({"level2": {"r": {"algorithm": algorithm, "imaging": imaging}}})
            result = reduce(cube, recipe.level2["r"], threads=2)
            used = prepare(cube, recipe.level2["r"].imaging).selection.keep
            curves[policy] = _curve(result)
            gains = curves["all"] / curves[policy]
            cells = " | ".join(f"{gain:.2f}" for gain in gains)
            say(
                f"| {algorithm} | {policy} | {(~used)[bad].sum()} of {bad.sum()} | "
                f"{(~used)[~bad].sum()} of {(~bad).sum()} | {cells} |\n"
            )
            sys.stdout.flush()


def _curve(result) -> np.ndarray:
    """Contrast of the first channel, Gaussian, at the separations of the table."""
    images = result.images
    return np.interp(SEPARATIONS_MAS, images.separation_mas, images.contrast[0, 0])


if __name__ == "__main__":
    main()
