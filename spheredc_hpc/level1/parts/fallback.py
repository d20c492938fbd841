"""Star centre when no CENTER exposure gives one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.level1.io import Floats, Image
from spheredc_hpc.level1.parts.centres import CentreModel, CentreSolution, DriftSettings
from spheredc_hpc.level1.parts.halo import HaloSettings, halo_centre, star_centre

# What one science file gives: archive id, mean MJD, dither, and per channel its mean image, the
# guess within it and the corner of the image on the field; last the level of saturation.
FileImages = tuple[
    str, float, tuple[float, float], list[tuple[Image, tuple[float, float], Floats]], float
]


def solve_halo(
    files: Sequence[FileImages], channels: int, settings: HaloSettings, why: str
) -> CentreSolution | None:
    """Centre every channel on the symmetry of its halo; None if no file allows it."""

    def measure(image: Image, guess: tuple[float, float], _: float) -> tuple[Floats, Floats]:
        return halo_centre(image, guess, settings), np.zeros(2)

    found = _measure(files, channels, measure, settings.error_px)
    if found is None:
        return None
    models = tuple(_model(points, settings.error_px) for points in found.points)
    reason = f"{why}; centre from the symmetry of the halo"
    flags = (("CENTER_ASSUMED", reason),)
    quality = {"method": "halo", **found.quality}
    return CentreSolution(models, "halo", flags, quality, found.table)


def solve_star(
    files: Sequence[FileImages],
    channels: int,
    fwhm_px: Sequence[float],
    reach_px: float,
    motion: DriftSettings,
) -> CentreSolution | None:
    """Centre every channel on a star that no mask hides, file by file; None if no file allows it.

    Between the middles of the files the star moves linearly.
    """
    width = max(fwhm_px)

    def measure(image: Image, guess: tuple[float, float], ceiling: float) -> tuple[Floats, Floats]:
        return star_centre(image, guess, width, reach_px, ceiling)

    found = _measure(files, channels, measure, 0.0)
    if found is None:
        return None
    models = tuple(
        CentreModel(
            points.mjd,
            points.xy,
            np.hypot(points.error, motion.jitter_px),
            0.0,
            motion.drift_px_per_h,
        )
        for points in found.points
    )
    quality = {"method": "star", **found.quality}
    return CentreSolution(models, "star", (), quality, found.table)


def solve_table(
    guesses: Sequence[tuple[float, float]], mjd: float, constants: Constants, arm: str, why: str
) -> CentreSolution:
    """Take the star where the table of constants expects it."""
    models = []
    for channel, guess in enumerate(guesses):
        error = [
            constants.get(f"star_position_{axis}_px", mjd=mjd, arm=arm, field=channel).error
            for axis in ("x", "y")
        ]
        models.append(CentreModel(np.array([mjd]), np.array([guess]), np.array([error]), 0.0, 0.0))
    flags = (("CENTER_ASSUMED", f"{why}; centre from the table of constants"),)
    return CentreSolution(tuple(models), "table", flags, {"method": "table"})


@dataclass(frozen=True)
class _Points:
    """Star without dither in one channel, file by file, in time order."""

    mjd: Floats
    xy: Floats
    error: Floats


@dataclass(frozen=True)
class _Found:
    points: tuple[_Points, ...]
    quality: dict[str, Any]
    table: list[dict[str, Any]]


def _measure(
    files: Sequence[FileImages],
    channels: int,
    measure: Callable[[Image, tuple[float, float], float], tuple[Floats, Floats]],
    common_error: float,
) -> _Found | None:
    rows: list[list[tuple[float, Floats, Floats]]] = [[] for _ in range(channels)]
    refused, table = [], []
    for archive_id, mjd, dither, images, ceiling in files:
        for channel, (image, guess, corner) in enumerate(images):
            try:
                xy, error = measure(image, guess, ceiling)
            except KernelInputError as problem:
                refused.append(f"{archive_id} channel {channel}: {problem}")
                continue
            on_field = xy + corner
            rows[channel].append((mjd, on_field - np.array(dither), error))
            table.append(_row(archive_id, channel, mjd, on_field, np.hypot(error, common_error)))
    if not all(rows):
        return None
    points = []
    for held in rows:
        held.sort(key=lambda row: row[0])
        mjd_of, xy_of, error_of = zip(*held, strict=True)
        points.append(_Points(np.array(mjd_of), np.stack(xy_of), np.stack(error_of)))
    quality = {
        "files_used": min(map(len, rows)),
        "frames_refused": refused,
        "scatter_px": [np.std(p.xy, axis=0).tolist() for p in points],
        "common_error_px": common_error,
    }
    return _Found(tuple(points), quality, table)


def _model(points: _Points, common: float) -> CentreModel:
    """One place for all files; its error is their scatter."""
    middle = np.median(points.xy, axis=0)
    spread = 1.4826 * np.median(np.abs(points.xy - middle), axis=0)
    error = np.hypot(spread, points.error.mean(axis=0))
    mjd = float(points.mjd.mean())
    return CentreModel(np.array([mjd]), middle[np.newaxis], error[np.newaxis], common, 0.0)


def _row(archive_id: str, channel: int, mjd: float, xy: Floats, error: Floats) -> dict[str, Any]:
    return {
        "archive_id": archive_id,
        "plane": -1,
        "channel": channel,
        "mjd": mjd,
        "x_px": float(xy[0]),
        "y_px": float(xy[1]),
        "x_err_px": float(error[0]),
        "y_err_px": float(error[1]),
        "used": True,
    }
