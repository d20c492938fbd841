"""The built-in night and its companion-free twin, reduced; expected S/N from the pair alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spheredc_hpc.simulate import load_scenario, simulate_irdis
from spheredc_hpc.store.images import Level2Images, read_images


def spheredc(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "spheredc_hpc.cli", *map(str, arguments)]
    return subprocess.run(command, check=check, capture_output=True, text=True)  # noqa: S603 own command


@dataclass(frozen=True)
class ReducedNight:
    """A simulated night and its products."""

    root: Path
    truth: dict

    @property
    def observation(self) -> Path:
        """Folder of the only observation."""
        (folder,) = sorted((self.root / "observations").iterdir())
        return folder

    def images(self, recipe: str) -> Level2Images:
        """Level 2 images of the recipe whose name begins with `recipe`."""
        (folder,) = (self.observation / "level2").glob(f"{recipe}-*")
        return read_images(folder / "level2.zarr")


def reduced_night(root: Path, scenario: str = "first-light", **changes: object) -> ReducedNight:
    """Simulate a night with changed scenario fields and reduce it by the command."""
    raw = root / "raw"
    if not (raw / "truth.json").is_file():
        wanted = load_scenario(scenario).model_copy(update=changes)
        simulate_irdis(wanted, raw, threads=2)
    spheredc("reduce", raw, "--root", root, "--quiet")
    return ReducedNight(root, json.loads((raw / "truth.json").read_text()))


def aperture_sum(image: np.ndarray, x: float, y: float, diameter: float) -> float:
    """Sum in a circle whose edge pixels are split 10 x 10."""
    radius = diameter / 2
    x0, y0 = int(np.floor(x - radius)) - 1, int(np.floor(y - radius)) - 1
    size = int(np.ceil(diameter)) + 4
    fine = (np.arange(10 * size) + 0.5) / 10 - 0.5
    inside = np.hypot(fine[None, :] + x0 - x, fine[:, None] + y0 - y) <= radius
    share = inside.reshape(size, 10, size, 10).mean(axis=(1, 3))
    return float(np.nansum(share * image[y0 : y0 + size, x0 : x0 + size]))


def ring_sums(image: np.ndarray, radius: float, diameter: float, offset: float) -> np.ndarray:
    """Sums of touching apertures around the centre pixel."""
    number = int(np.floor(np.pi / np.arcsin(diameter / 2 / radius)))
    angles = offset + 2 * np.pi * np.arange(number) / number
    cy, cx = image.shape[0] // 2, image.shape[1] // 2
    return np.array(
        [
            aperture_sum(image, cx + radius * np.cos(a), cy + radius * np.sin(a), diameter)
            for a in angles
        ]
    )


def place(companion: dict, images: Level2Images) -> tuple[float, float]:
    """Pixel (x, y) on which a companion of the truth belongs: north up, east left."""
    radius = companion["separation_mas"] / images.pixel_scale_mas.mean()
    angle = np.deg2rad(companion["position_angle_deg"])
    middle = images.image.shape[0] // 2
    return middle - radius * np.sin(angle), middle + radius * np.cos(angle)


def expected_snr(companion: dict, night: Level2Images, twin: Level2Images) -> float:
    """Signal that a companion adds to the stack over the ring noise of the twin.

    Night and twin share every random number, so their difference is truth times the exact
    throughput of the algorithm.
    """
    x, y = place(companion, night)
    diameter = float(night.fwhm_px.mean())
    signal = aperture_sum(night.image - twin.image, x, y, diameter)
    middle = night.image.shape[0] // 2
    radius = float(np.hypot(x - middle, y - middle))
    sums = np.concatenate([ring_sums(twin.image, radius, diameter, o) for o in (0.0, 0.1, 0.2)])
    return signal / float(np.std(sums, ddof=1))
