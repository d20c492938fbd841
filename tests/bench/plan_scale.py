"""Time and memory of a plan of the whole archive, and its answers against plain loops.

Run from the project root:

    python tests/bench/plan_scale.py --work /tmp/plan-scale --nights 1100

The catalogue is filled with the rows of a simulated archive, no file is written. The plan is then
made as `spheredc plan` makes it, in a process of its own. Printed are seconds and peak memory,
observations by status, and how many of `--sample` observations have the calibrations that a search
through all frames by plain loops gives.

Measured on two cores that others used too, one process: 377 000 rows in 83 s of CPU; 10 531
observations planned in 110 s the first time and 80 s the second, peak 1.83 GB; 500 of 500 sampled
observations, 5612 answers, agree with plain loops (148 s).
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from spheredc_hpc.catalog.setup import setup
from spheredc_hpc.config import Config
from spheredc_hpc.simulate.archive import Archive, ArchiveSettings

PLAN = "scale"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def peak_mb() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def fill(root: Path, nights: int, seed: int) -> None:
    """Write the rows of an archive."""
    import archive_rows

    began = time.perf_counter()
    setup(root)
    archive = Archive(ArchiveSettings(nights=nights, seed=seed))
    count = archive_rows.store(archive_rows.frames_of(archive.files(), root / "raw"))
    say(f"{count} rows of {nights} nights in {time.perf_counter() - began:.0f} s")


def plan(root: Path) -> None:
    """Make the plan, and once more with nothing new."""
    from spheredc_hpc.catalog.plan import plan as make_plan

    for name in ("first", "second"):
        began = time.perf_counter()
        made = make_plan(root, PLAN, Config())
        took = time.perf_counter() - began
        say(
            f"{name} plan: {made.n_planned} planned, {made.n_rejected} rejected, "
            f"{sum(made.calibrations.values())} calibrations, {made.n_written} files written, "
            f"{took:.1f} s, peak {peak_mb():.0f} MB"
        )
    reasons = Counter(reason for why in made.rejected.values() for reason in why)
    for reason, count in reasons.most_common(8):
        say(f"  rejected {count}: {reason}")
    for flag, count in sorted(made.flags.items()):
        say(f"  flag {flag}: {count}")


def compare(root: Path, size: int, seed: int) -> None:
    """Check sampled observations of the plan against plain loops."""
    import brute_force

    setup(root, create=False)
    began = time.perf_counter()
    found = brute_force.compare_plan(root, PLAN, Config(), random.Random(seed), size)  # noqa: S311
    say(
        f"plain loops: {found.n_equal} of {found.n_observations} observations agree in all of "
        f"{found.n_answers} answers, {time.perf_counter() - began:.0f} s"
    )
    for difference in found.differences[:10]:
        say(f"  {difference}")


def main() -> None:
    """Fill, plan and compare, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--nights", type=int, default=1100)
    parser.add_argument("--seed", type=int, default=2014)
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--keep-rows", action="store_true", help="plan the rows of a former run")
    parser.add_argument("--only", choices=("fill", "plan", "compare"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    root = given.work / "root"
    if given.only == "fill":
        fill(root, given.nights, given.seed)
    elif given.only == "plan":
        plan(root)
    elif given.only == "compare":
        compare(root, given.sample, given.seed)
    else:
        if not given.keep_rows:
            shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root / "plan", ignore_errors=True)
        numbers = ["--nights", given.nights, "--seed", given.seed, "--sample", given.sample]
        for part in ("plan", "compare") if given.keep_rows else ("fill", "plan", "compare"):
            words = ["--work", given.work, *numbers, "--only", part]
            subprocess.run(  # noqa: S603 - our own interpreter and program
                [sys.executable, __file__, *map(str, words)], check=True
            )


if __name__ == "__main__":
    main()
