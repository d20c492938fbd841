"""Bias and stated errors of companions over many noise seeds of the built-in night.

Run from the project root (two nights at a time, about a minute and a half each):

    python tests/bench/companion_bias.py --seeds 30 --work /tmp/bias

Every seed is a full night: new speckles, photons, readout and detector. It is simulated, reduced by
``spheredc reduce`` and thrown away; what is kept is one JSON line per seed, so the run can be
interrupted and continued. The last lines printed are the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import records

RECIPE = "level2:\n  pca-adi:\n    algorithm: pca\n"
CLAIMED_SNR = 8.0


def night(seed: int, work: Path) -> dict:
    """Measurements of the night of one seed, made now or read back."""
    return records.kept(work / f"seed-{seed}.json", lambda: made(seed, work / f"seed-{seed}"))


def made(seed: int, folder: Path) -> dict:
    """Simulate and reduce the night of one seed in a folder that is removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scenario = folder / "scenario.yaml"
    scenario.write_text(f"base: first-light\nname: seed-{seed}\nseed: {seed}\n")
    (folder / "config.yaml").write_text(RECIPE)
    run("simulate", scenario, "--output", folder / "raw")
    run(
        *("reduce", folder / "raw", "--root", folder / "root", "--quiet"),
        *("--cores", "1", "--threads", "1", "--config", folder / "config.yaml"),
    )
    values = measure(folder)
    shutil.rmtree(folder)
    return values


def run(*arguments: str | Path) -> None:
    """Run the command of the project with one thread."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "spheredc_hpc.cli", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 own command
        command, env=os.environ | single, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-3000:]}")


def measure(folder: Path) -> dict:
    """Compare sources and star centres with the truth."""
    from spheredc_hpc.store.cube import read_cube
    from spheredc_hpc.store.images import SOURCE_COLUMNS, read_images

    truth = json.loads((folder / "raw" / "truth.json").read_text())
    (observation,) = (folder / "root" / "observations").iterdir()
    (recipe,) = (observation / "level2").glob("pca-adi-*")
    images = read_images(recipe / "level2.zarr")
    cube = read_cube(observation / "level1" / "cube.zarr")
    middle = images.image.shape[0] // 2
    rows = [dict(zip(SOURCE_COLUMNS, row, strict=True)) for row in images.sources]
    companions, taken = [], set()
    for companion in truth["companions"]:
        radius = companion["separation_mas"] / images.pixel_scale_mas[0]
        angle = np.deg2rad(companion["position_angle_deg"])
        x, y = middle - radius * np.sin(angle), middle + radius * np.cos(angle)
        for i, row in enumerate(rows):
            if np.hypot(row["x_px"] - x, row["y_px"] - y) > images.fwhm_px[0]:
                continue
            taken.add(i)
            unit = np.array([x - middle, y - middle]) / radius
            offset = np.array([row["x_px"] - x, row["y_px"] - y])
            companions.append(
                {
                    "name": companion["name"],
                    "snr": row["snr"],
                    "dx_px": offset[0],
                    "dy_px": offset[1],
                    "radial_px": float(offset @ unit),
                    "x_err_px": row["x_err_px"],
                    "y_err_px": row["y_err_px"],
                    "flux_ratio": (images.source_contrast[i] / companion["contrast"]).tolist(),
                    "flux_ratio_err": (
                        images.source_contrast_err[i] / companion["contrast"]
                    ).tolist(),
                }
            )
            break
    false = [row["snr"] for i, row in enumerate(rows) if i not in taken]
    return {
        "companions": companions,
        "false": false,
        "centres": centre_offsets(cube, truth),
        "parang_error_deg": parang_error(cube, truth),
    }


def integrations(truth: dict) -> list[dict]:
    """Integrations of the OBJECT files in the order of time."""
    files = sorted(
        (f for f in truth["files"] if f["kind"] == "OBJECT"), key=lambda f: f["start_mjd"]
    )
    return [integration for file in files for integration in file["integrations"]]


def centre_offsets(cube, truth: dict) -> list[list[float]]:
    """Centres of the OBJECT frames less the truth, over their stated errors: pulls in x and y."""
    true = np.array([i["star_px"] for i in integrations(truth)]).transpose(1, 0, 2)
    pulls = (cube.centre_px - true) / cube.centre_err_px
    return [np.abs(cube.centre_px - true).max(axis=(0, 1)).tolist(), *pulls.mean(axis=1).tolist()]


def parang_error(cube, truth: dict) -> float:
    """Largest difference to the mean parallactic angle of each integration [deg]."""
    true = np.array([i["parang_mean_deg"] for i in integrations(truth)])
    return float(np.abs(cube.parang_deg - true).max())


def summary(nights: list[dict]) -> dict:
    """Figures over all seeds."""
    found = [c for one in nights for c in one["companions"]]
    result: dict = {"seeds": len(nights), "false_peaks": sum(len(n["false"]) for n in nights)}
    for name in sorted({c["name"] for c in found}):
        result[name] = figures([c for c in found if c["name"] == name])
    bright = {n for n in result if isinstance(result[n], dict) and result[n]["snr"] >= CLAIMED_SNR}
    result["all with S/N >= 8"] = figures([c for c in found if c["name"] in bright])
    centres = np.array([n["centres"] for n in nights])
    result["centre_largest_error_px"] = float(centres[:, 0].max())
    result["centre_pull_rms"] = float(np.sqrt(np.mean(centres[:, 1:] ** 2)))
    result["parang_largest_error_deg"] = max(n["parang_error_deg"] for n in nights)
    return result


def figures(group: list[dict]) -> dict:
    """Mean biases, with their errors, and rms pulls of one set of measurements."""
    dx, dy = (np.array([c[k] for c in group]) for k in ("dx_px", "dy_px"))
    ex, ey = (np.array([c[k] for c in group]) for k in ("x_err_px", "y_err_px"))
    ratio = np.array([c["flux_ratio"] for c in group])
    error = np.array([c["flux_ratio_err"] for c in group])
    root = np.sqrt(len(group))
    return {
        "found": len(group),
        "snr": float(np.mean([c["snr"] for c in group])),
        "bias_x_px": [float(dx.mean()), float(dx.std() / root)],
        "bias_y_px": [float(dy.mean()), float(dy.std() / root)],
        "bias_radial_px": float(np.mean([c["radial_px"] for c in group])),
        "flux_bias": [float(ratio.mean() - 1), float(ratio.mean(axis=1).std() / root)],
        "position_pull_rms": float(np.sqrt(np.mean(np.r_[dx / ex, dy / ey] ** 2))),
        "flux_pull_rms": float(np.sqrt(np.mean(((ratio - 1) / error) ** 2))),
    }


def main() -> None:
    """Run the seeds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first, options.first + options.seeds)
    with ThreadPoolExecutor(options.jobs) as pool:
        nights = list(pool.map(lambda seed: night(seed, options.work), seeds))
    sys.stdout.write(json.dumps(summary(nights), indent=1) + "\n")


if __name__ == "__main__":
    main()
