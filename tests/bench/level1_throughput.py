"""Level 1 of a 64-DIT dual-band sequence against reading it and writing the product.

Run from the project root (two minutes):

    python tests/bench/level1_throughput.py --work /tmp/throughput

The sequence is simulated once: four files of 16 planes, 0.54 GB raw. `plain` reads the planes and
writes the cube of the same product by the same functions (compression, digests of all files,
receipt, sync to disk); `level1` is the step that the command runs. Both run in processes of their
own, in turns, after a first `level1` that fills the caches. Wall and CPU times are medians; the
ratio is that of the medians, and of the fastest runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.config import AssociationSettings, Config, parse
from spheredc_hpc.ingest.scan import scan
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.model.association import Association
from spheredc_hpc.simulate import load_scenario, simulate_irdis
from spheredc_hpc.steps.calibrate import make_calibration
from spheredc_hpc.steps.level1 import reduce_level1
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import read_record, write_record
from spheredc_hpc.store.cube import read_cube, write_cube
from spheredc_hpc.store.raw import read_planes
from spheredc_hpc.store.runinfo import peak_rss_bytes

FILES, NDIT = 4, 16
KINDS = ("background", "flat", "bad_pixels")


def config(crop_px: int) -> Config:
    """Settings of all runs."""
    return parse({"level1": {"irdis_dbi": {"crop_px": crop_px}}})


def prepare(work: Path, crop_px: int) -> Path:
    """Simulate the sequence and make its calibrations, once; gives the plan."""
    plan = work / "plan" / "observation.json"
    if plan.is_file():
        return plan
    sequence = {"object": {"files": FILES, "ndit": NDIT}, "sky": {"ndit": 4}}
    scenario = load_scenario("first-light-small").revise(
        {"sequence": sequence, "calibrations": {"background_ndit": 4}}
    )
    simulate_irdis(scenario, work / "raw", threads=2)
    frames = scan([work / "raw"]).frames
    versions = Versions(dict.fromkeys(KINDS, ""), "")
    associator = Associator(FrameIndex(frames), AssociationSettings(), versions)
    (group,) = group_frames(frames).groups
    association = associator.associate(group)
    for kind in KINDS:
        for product, job in associator.jobs.items():
            if job.kind == kind:
                path = work / "plan" / f"{kind}-{job.key}.json"
                write_record(job, path)
                make_calibration(path, work / product / "receipt.json", config(crop_px), 2)
    write_record(association, plan)
    return plan


def job(name: str, work: Path, crop_px: int, threads: int) -> None:
    """Do one run in this process and print its figures as JSON."""
    plan = prepare(work, crop_px)
    target = work / "observations" / f"{name}-{crop_px}"
    started, before = time.perf_counter(), _cpu_s()
    figures: dict[str, Any] = {}
    if name == "level1":
        reduce_level1(plan, target / "receipt.json", config(crop_px), threads)
        run = json.loads((target / receipts.RUN).read_text())
        figures["stages_s"] = run["stages_s"]
    else:
        figures |= plain(plan, work / "observations" / f"level1-{crop_px}", target, threads)
    wall = time.perf_counter() - started - figures.get("set_up_s", 0.0)
    cpu = _cpu_s() - before - figures.pop("set_up_cpu_s", 0.0)
    figures |= {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_rss_bytes() / 1e6}
    sys.stdout.write(json.dumps(figures) + "\n")


def plain(plan: Path, made: Path, target: Path, threads: int) -> dict[str, Any]:
    """Read the raw planes, write the cube that an earlier run made; nothing else counts."""
    started, before = time.perf_counter(), _cpu_s()
    cube = read_cube(made / "cube.zarr")
    set_up = {"set_up_s": time.perf_counter() - started, "set_up_cpu_s": _cpu_s() - before}
    started = time.perf_counter()
    raw_bytes = 0
    for ref in read_record(Association, plan).frames["OBJECT"]:
        raw_bytes += read_planes(Path(ref.path))[1].nbytes
    read_s = time.perf_counter() - started
    started = time.perf_counter()
    draft = receipts.Draft("level1", f"observations/{target.name}", (), {}, "")
    with worker_threads(threads), receipts.writing(target, draft) as writer:
        write_cube(cube, writer.path / "cube.zarr")
    write_s = time.perf_counter() - started
    bytes_written = cube.science.nbytes + cube.weight.nbytes
    sizes = {"raw_gb": raw_bytes / 1e9, "product_gb": bytes_written / 1e9}
    return {**set_up, **sizes, "stages_s": {"read": read_s, "write": write_s}}


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime + children.ru_utime + children.ru_stime


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Do one run in a process of its own."""
    command = [sys.executable, __file__, "--work", str(options.work), "--job", name]
    command += ["--crop", str(options.crop), "--threads", str(options.threads)]
    target = options.work / "observations" / f"{name}-{options.crop}"
    for old in (target / receipts.RECEIPT, target / receipts.KEPT):
        old.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603 own command
        command, check=True, capture_output=True, text=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of sequence and products.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--crop", type=int, default=1024, help="Side of the frames [px].")
    parser.add_argument("--job", choices=("plain", "level1"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.job:
        job(options.job, options.work, options.crop, options.threads)
        return
    prepare(options.work, options.crop)
    run("level1", options)
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "level1": []}
    for _ in range(options.repeats):
        for name, done in runs.items():
            done.append(run(name, options))
    first = runs["plain"][0]
    load = os.getloadavg()[0]
    sys.stdout.write(
        f"raw {first['raw_gb']:.2f} GB, product {first['product_gb']:.2f} GB, "
        f"{options.threads} threads, load {load:.1f}\n"
        "| run | wall [s] | fastest [s] | CPU [s] | peak [MB] | stages [s] |\n" + 6 * "|---" + "|\n"
    )
    for name, done in runs.items():
        stages = done[-1]["stages_s"]
        text = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
        sys.stdout.write(
            f"| {name} | {_middle(done, 'wall_s'):.2f} | {_least(done, 'wall_s'):.2f} "
            f"| {_middle(done, 'cpu_s'):.2f} | {max(d['peak_mb'] for d in done):.0f} | {text} |\n"
        )
    ratios = [
        how(runs["level1"], "wall_s") / how(runs["plain"], "wall_s") for how in (_middle, _least)
    ]
    sys.stdout.write(f"ratio {ratios[0]:.2f} of medians, {ratios[1]:.2f} of fastest\n")


def _middle(done: list[dict[str, Any]], name: str) -> float:
    return median(figures[name] for figures in done)


def _least(done: list[dict[str, Any]], name: str) -> float:
    return min(figures[name] for figures in done)


if __name__ == "__main__":
    main()
