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

# A measured place this many robust deviations, and this far [px], from the others of its file is
# not that of the star.
FAR_SIGMA, FAR_PX = 5.0, 1.0


@dataclass(frozen=True)
class Look:
    """Images of both channels, of a plane or the median of a file, for centring without spots.

    Attributes
    ----------
    archive_id : str
    plane : int
        -1 for the median of the file.
    mjd : float
        Middle of the exposure [d].
    dither_px : (float, float)
    images : list of (image, (float, float), array)
        Per channel: counts [adu/s], the guess within, and the corner of the image on the field.
    ceiling : float
        Level of saturation [adu/s].
    """

    archive_id: str
    plane: int
    mjd: float
    dither_px: tuple[float, float]
    images: list[tuple[Image, tuple[float, float], Floats]]
    ceiling: float


def solve_halo(
    files: Sequence[Look], channels: int, settings: HaloSettings, why: str
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
    looks: Sequence[Look],
    channels: int,
    fwhm_px: Sequence[float],
    reach_px: float,
    motion: DriftSettings,
) -> CentreSolution | None:
    """Centre every channel on a star that no mask hides, plane by plane; None if none allows it.

    Within a file each plane takes the mean of its own place and that of the file, weighted by what
    the fits are uncertain by and what the star moves beyond that (see `_shrunk`).
    """
    width = max(fwhm_px)

    def measure(image: Image, guess: tuple[float, float], ceiling: float) -> tuple[Floats, Floats]:
        return star_centre(image, guess, width, reach_px, ceiling)

    found = _measure(looks, channels, measure, 0.0)
    if found is None:
        return None
    models, moves = [], []
    for points in found.points:
        steady, moved = _shrunk(points, motion.jitter_px)
        moves.append(moved)
        models.append(CentreModel(steady.mjd, steady.xy, steady.error, 0.0, motion.drift_px_per_h))
    quality = {"method": "star", **found.quality, "motion_px": moves}
    return CentreSolution(tuple(models), "star", (), quality, found.table)


def _shrunk(points: _Points, jitter_px: float) -> tuple[_Points, list[float]]:
    """Bring single places towards the mean of their file as far as their errors ask for it.

    With the variance `e2` of a fit and `m2` of the motion within the file (measured, less what
    the fits explain, and joined with the expected jitter as one more frame), the place is
    ``mean + (place - mean) m2 / (m2 + e2)`` with the variance ``m2 e2 / (m2 + e2) + e2 / n``.
    Also gives the motion of the star within files, rms along x and y [px].
    """
    mjd, xy, error, squares = [], [], [], []
    for name in dict.fromkeys(points.file):
        chosen = np.array([other == name for other in points.file])
        place, noise = points.xy[chosen], points.error[chosen] ** 2
        middle = np.median(place, axis=0)
        spread = 1.4826 * np.median(np.abs(place - middle), axis=0)
        held = np.all(np.abs(place - middle) <= FAR_SIGMA * spread + FAR_PX, axis=1)
        place, noise = place[held], noise[held]
        n = len(place)
        mean = place.mean(axis=0)
        excess = np.sum((place - mean) ** 2, axis=0) - (n - 1) * noise.mean(axis=0)
        motion = (np.maximum(excess, 0.0) + jitter_px**2) / n
        share = motion / (motion + noise)
        mjd.append(points.mjd[chosen][held])
        xy.append(mean + share * (place - mean))
        error.append(np.sqrt(share * noise + noise / n))
        squares.append(motion)
    order = np.argsort(np.concatenate(mjd), kind="stable")
    steady = _Points(
        np.concatenate(mjd)[order], np.concatenate(xy)[order], np.concatenate(error)[order], ()
    )
    return steady, [float(value) for value in np.sqrt(np.mean(squares, axis=0))]


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
    """Star without dither in one channel, look by look, in time order, and files of the looks."""

    mjd: Floats
    xy: Floats
    error: Floats
    file: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    points: tuple[_Points, ...]
    quality: dict[str, Any]
    table: list[dict[str, Any]]


def _measure(
    looks: Sequence[Look],
    channels: int,
    measure: Callable[[Image, tuple[float, float], float], tuple[Floats, Floats]],
    common_error: float,
) -> _Found | None:
    rows: list[list[tuple[float, Floats, Floats, str]]] = [[] for _ in range(channels)]
    refused, table = [], []
    for look in looks:
        for channel, (image, guess, corner) in enumerate(look.images):
            try:
                xy, error = measure(image, guess, look.ceiling)
            except KernelInputError as problem:
                plane = "" if look.plane < 0 else f" plane {look.plane}"
                refused.append(f"{look.archive_id}{plane} channel {channel}: {problem}")
                continue
            on_field = xy + corner
            place = on_field - np.array(look.dither_px)
            rows[channel].append((look.mjd, place, error, look.archive_id))
            table.append(_row(look, channel, on_field, np.hypot(error, common_error)))
    if not all(rows):
        return None
    points = []
    for held in rows:
        held.sort(key=lambda row: row[0])
        mjd_of, xy_of, error_of, file_of = zip(*held, strict=True)
        points.append(_Points(np.array(mjd_of), np.stack(xy_of), np.stack(error_of), file_of))
    quality = {
        "files_used": min(len(set(p.file)) for p in points),
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


def _row(look: Look, channel: int, xy: Floats, error: Floats) -> dict[str, Any]:
    return {
        "archive_id": look.archive_id,
        "plane": look.plane,
        "channel": channel,
        "mjd": look.mjd,
        "x_px": float(xy[0]),
        "y_px": float(xy[1]),
        "x_err_px": float(error[0]),
        "y_err_px": float(error[1]),
        "used": True,
    }
