"""One observation of the campaign: simulated, planned, reduced by the real steps, compared."""

from __future__ import annotations

import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from campaign_cases import Case

from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.config import parse
from spheredc_hpc.errors import DataError
from spheredc_hpc.model.association import Association, CalibrationJob
from spheredc_hpc.model.product import Receipt, Status
from spheredc_hpc.simulate import Truth, simulate_irdis
from spheredc_hpc.steps.calibrate import make_calibration
from spheredc_hpc.steps.level1 import reduce_level1
from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2
from spheredc_hpc.store.codec import read_record
from spheredc_hpc.store.cube import Level1Cube, read_cube
from spheredc_hpc.store.images import SOURCE_COLUMNS, Level2Images, read_images

PLAN = "campaign"
SETTINGS = {
    "level1": {"irdis_dbi": {"crop_px": 640}},
    "level2": {
        "adi": {
            "algorithm": "cadi",
            "imaging": {"inner_mas": 300.0, "outer_mas": 1500.0, "throughput_branches": 1},
        },
        # Every injected companion costs a whole reduction here, hence the narrow zone.
        "profile": {
            "algorithm": "profile",
            "strategy": "none",
            "imaging": {"inner_mas": 500.0, "outer_mas": 1300.0, "throughput_branches": 1},
        },
    },
}
# A source further from a companion than this is something else [px].
MATCH_PX = 6.0


def run_case(case: Case, work: Path, threads: int = 1, *, keep: bool = False) -> dict[str, Any]:
    """Simulate and reduce one case; give what came of every observation.

    Parameters
    ----------
    case : Case
    work : Path
        Folder for raw frames and products.
    threads : int
        Threads of each step.
    keep : bool
        Leave frames and products; otherwise they are removed.
    """
    folder = work / case.name
    shutil.rmtree(folder, ignore_errors=True)
    clock = {"start": time.process_time()}
    truth = simulate_irdis(case.scenario(), folder / "raw", threads=threads)
    clock["simulated"] = time.process_time()
    record: dict[str, Any] = {"case": case.name, "failures": []}
    try:
        record["observations"] = _reduced(case, truth, folder, threads, record["failures"])
    except Exception:  # noqa: BLE001 whatever fails is a result of the campaign
        record["failures"].append(traceback.format_exc(limit=-4))
    clock["reduced"] = time.process_time()
    record["cpu_s"] = {
        "simulate": round(clock["simulated"] - clock["start"], 1),
        "reduce": round(clock["reduced"] - clock["simulated"], 1),
    }
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return record


def _reduced(
    case: Case, truth: Truth, folder: Path, threads: int, failures: list[str]
) -> list[dict[str, Any]]:
    config = parse(SETTINGS | case.config)
    root, raw = folder / "root", folder / "raw"
    scan([raw], root, config)
    try:
        plan(root, PLAN, config, [raw])
    except DataError as error:
        return [{"target": "", "status": "nothing", "flags": [], "reasons": [str(error)]}]
    for job, path in _in_order(root):
        _tried(
            failures, make_calibration, path, root / job.product / "receipt.json", config, threads
        )
    found = []
    for path in sorted((root / "plan" / PLAN / "associations").glob("*.json")):
        association = read_record(Association, path)
        level1 = root / "observations" / association.observation.id / "level1" / "receipt.json"
        receipt = _tried(failures, reduce_level1, path, level1, config, threads)
        if receipt is None:
            found.append({"target": association.observation.target, "status": "failed"})
            continue
        one = _level1_record(association, receipt, level1.parent, truth)
        for recipe in case.recipes:
            target = level2_receipt(level1, recipe, config)
            made = _tried(failures, reduce_level2, level1, target, recipe, config, Means(threads))
            if made is not None:
                one[recipe] = _level2_record(made, target.parent, case, one)
        found.append(one)
    return found


def _tried(failures: list[str], step: Any, *arguments: Any) -> Receipt | None:
    """Run one step; what it raises is kept as text."""
    try:
        return step(*arguments)
    except Exception:  # noqa: BLE001 whatever fails is a result of the campaign
        failures.append(f"{step.__name__}: {traceback.format_exc(limit=-3)}")
        return None


def _in_order(root: Path) -> list[tuple[CalibrationJob, Path]]:
    """Jobs of the plan, each after those that it needs."""
    paths = sorted((root / "plan" / PLAN / "calibrations").glob("*.json"))
    waiting = [(read_record(CalibrationJob, path), path) for path in paths]
    ordered: list[tuple[CalibrationJob, Path]] = []
    while waiting:
        products = {job.product for job, _ in waiting}
        ready = [item for item in waiting if not products & set(item[0].upstream.values())]
        assert ready, "calibrations need each other"
        ordered += ready
        waiting = [item for item in waiting if item not in ready]
    return ordered


def _level1_record(
    association: Association, receipt: Receipt, product: Path, truth: Truth
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "observation": association.observation.id,
        "target": association.observation.target,
        "status": str(receipt.status),
        "flags": list(receipt.flags),
        "reasons": list(receipt.reasons),
        "calibrations": {
            use.role: [use.source_class, use.tier, round(use.age_h, 1)]
            for use in association.calibrations
        },
    }
    if receipt.status is Status.REJECTED:
        return record
    cube = read_cube(product / "cube.zarr")
    shots = {
        f"{entry['archive_id']} plane {k}": item
        for entry in truth.files
        for k, item in enumerate(entry.get("integrations", ()))
    }
    return record | _against_truth(cube, [shots[name] for name in cube.attrs["frames"]], shots)


def _against_truth(
    cube: Level1Cube, used: list[dict[str, Any]], shots: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    stars = np.moveaxis(np.array([shot["star_px"] for shot in used]), 1, 0)
    off = cube.centre_px - stars
    turn = np.array([shot["derotation_mean_deg"] for shot in used])
    bad = [shot for shot in shots.values() if shot.get("degraded")]
    return {
        "frames": len(used),
        "centre_method": cube.attrs["centre_method"],
        "centre_off_px": float(np.hypot(off[..., 0], off[..., 1]).max()),
        "centre_err_px": float(np.nanmax(cube.centre_err_px)),
        "angle_off_deg": float(np.abs((cube.derotation_deg - turn + 180) % 360 - 180).max()),
        "rotation_deg": float(np.ptp(cube.derotation_deg)),
        "degraded": [len(bad), sum(bool(shot["degraded"]) for shot in used)],
    }


def _level2_record(
    receipt: Receipt, product: Path, case: Case, level1: dict[str, Any]
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "status": str(receipt.status),
        "flags": list(receipt.flags),
        "reasons": list(receipt.reasons[:3]),
    }
    if receipt.status is Status.REJECTED:
        return record
    images = read_images(product / "level2.zarr")
    scenario = case.scenario()
    stars = map(scenario.of_star, range(scenario.n_stars))
    record["companions"] = [
        _measured(images, companion.plain(), level1["centre_err_px"])
        for star in stars
        if star.target.name == level1["target"]
        for companion in star.companions
    ]
    record["sources"] = len(images.sources)
    return record


def _measured(images: Level2Images, companion: dict[str, Any], centre_err: float) -> dict[str, Any]:
    """Offset of the nearest source from where a companion was put, and its flux."""
    radius = companion["separation_mas"] / images.pixel_scale_mas.mean()
    angle = np.deg2rad(companion["position_angle_deg"])
    middle = images.image.shape[0] // 2
    place = np.array([middle - radius * np.sin(angle), middle + radius * np.cos(angle)])
    record: dict[str, Any] = {"name": companion["name"], "found": False}
    if not len(images.sources):
        return record
    rows = [dict(zip(SOURCE_COLUMNS, row, strict=True)) for row in images.sources]
    offsets = np.array([[row["x_px"], row["y_px"]] for row in rows]) - place
    nearest = int(np.argmin(np.hypot(*offsets.T)))
    row, offset = rows[nearest], offsets[nearest]
    if np.hypot(*offset) > MATCH_PX:
        return record
    error = np.hypot([row["x_err_px"], row["y_err_px"]], centre_err)
    ratio = images.source_contrast[nearest] / companion["contrast"]
    return record | {
        "found": True,
        "snr": float(row["snr"]),
        "offset_px": offset.tolist(),
        "error_px": error.tolist(),
        "flux": [float(v) for v in ratio],
        "flux_err": (images.source_contrast_err[nearest] / companion["contrast"]).tolist(),
    }
