"""Cubes as other pipelines leave them: FITS files with a star, a companion and known angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

FWHM_PX = 3.6


def gaussian(size: int, x: float, y: float, fwhm: float = FWHM_PX) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size].astype(float)
    square = (columns - x) ** 2 + (rows - y) ** 2
    return np.exp(-4 * np.log(2) * square / fwhm**2)


def companion_offset(separation_px: float, pa_deg: float, derotation_deg: float) -> Any:
    """Offset (x, y) on a frame: counter-clockwise from +y by PA - derotation."""
    angle = np.deg2rad(pa_deg - derotation_deg)
    return -separation_px * np.sin(angle), separation_px * np.cos(angle)


def write_sequence(
    folder: Path,
    size: int = 41,
    n_time: int = 12,
    star: tuple[float, float] | None = None,
    companion: tuple[float, float, float] = (9.0, 40.0, 20.0),
    turn_deg: float = 70.0,
    seed: int = 1,
) -> dict[str, Path]:
    """Write cube, angles and PSF; the companion is (separation [px], PA [deg], peak)."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    x, y = star or (float(size // 2), float(size // 2))
    angles = np.linspace(-10.0, -10.0 + turn_deg, n_time)
    frames = np.empty((n_time, size, size))
    for i, angle in enumerate(angles):
        dx, dy = companion_offset(companion[0], companion[1], angle)
        halo = 400 * gaussian(size, x, y, 9.0)
        frames[i] = halo + companion[2] * gaussian(size, x + dx, y + dy)
    frames += rng.normal(size=frames.shape)
    paths = {name: folder / f"{name}.fits" for name in ("cube", "angles", "psf")}
    fits.writeto(paths["cube"], frames.astype(np.float32), overwrite=True)
    fits.writeto(paths["angles"], angles.astype(np.float32), overwrite=True)
    psf = 1e4 * gaussian(21, 10.0, 10.0)
    fits.writeto(paths["psf"], psf.astype(np.float32), overwrite=True)
    return paths
