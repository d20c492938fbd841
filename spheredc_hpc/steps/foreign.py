"""Arithmetic on a cube made elsewhere: axes, missing pixels, place of the star, noise."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.kernels.badpixels import fill_from_neighbours, find_neighbours
from spheredc_hpc.kernels.resample import recentring_grid, resample
from spheredc_hpc.kernels.symmetry import centre_of_symmetry

Images = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

METRICS = ("median", "scatter")
MIN_SIDE_PX = 16
# Parts of a sequence whose fitted centres give the error of their mean.
_PARTS = 4
# Least noise, of the largest: rings that do not vary at all get no infinite weight.
_LEAST_SIGMA = 1e-6
# Shifts below this are no reason to interpolate [px].
_ON_PIXEL_PX = 1e-6


@dataclass(frozen=True)
class Location:
    """The star on the frames of a cube.

    Attributes
    ----------
    centre_px, error_px : ndarray, shape (wavelength, 2)
        Star (x, y) on the frames as they were given, and its error, NaN if unknown [px].
    """

    centre_px: Floats
    error_px: Floats

    def largest_shift_px(self, size: int) -> float:
        """Longest way from a star to the middle pixel [px]."""
        return float(np.hypot(*(self.centre_px - size // 2).T).max())


def arranged(cube: Images, axes: str, n_angles: int, path: Path, angles_path: Path) -> Images:
    """Bring a cube to (wavelength, time, y, x).

    Raises
    ------
    DataError
        If its frames are not square or too small, or their number is not that of the angles.
    """
    if cube.ndim == 3:
        cube = cube[np.newaxis]
    elif axes == "twyx":
        cube = cube.swapaxes(0, 1)
    _, n_time, n_y, n_x = cube.shape
    if n_time != n_angles:
        hint = ""
        if cube.shape[0] == n_angles:
            other = "wtyx" if axes == "twyx" else "twyx"
            hint = f"; with --axes {other} they would fit"
        raise DataError(f"{angles_path} has {n_angles} angles, {path} has {n_time} frames{hint}")
    if n_y != n_x:
        raise DataError(f"{path}: frames of {n_y} x {n_x} pixels, expected square ones")
    if n_y < MIN_SIDE_PX:
        raise DataError(f"{path}: frames of {n_y} pixels, at least {MIN_SIDE_PX} expected")
    return np.array(cube, dtype=np.float32, order="C")


def usable_pixels(science: Images, path: Path) -> tuple[npt.NDArray[np.bool_], int]:
    """Find pixels with data and count the frames without any; infinite values become NaN.

    Raises
    ------
    DataError
        If no frame has data.
    """
    good = np.isfinite(science)
    science[~good] = np.nan
    empty = ~good.any(axis=(0, 2, 3))
    if empty.all():
        raise DataError(f"{path}: every pixel of every frame is NaN")
    return good, int(empty.sum())


def locate(science: Images, centre: str | tuple[float, float]) -> Location:
    """Say where the star is on the frames.

    Parameters
    ----------
    science : array, shape (wavelength, time, n, n)
        Frames; NaN where no data.
    centre : str or (float, float)
        ``pixel``: on ``(n // 2, n // 2)``; ``middle``: on ``(n - 1) / 2``; ``fit``: centre of
        symmetry of the mean frame of each channel; or the star's (x, y) [px].

    Raises
    ------
    DataError
        If the star is not on the frames or cannot be found.
    """
    n_wave, _, _, size = science.shape
    unknown = np.full((n_wave, 2), np.nan)
    if centre == "fit":
        return _fitted(science)
    if centre == "pixel":
        return Location(np.full((n_wave, 2), float(size // 2)), unknown)
    if centre == "middle":
        return Location(np.full((n_wave, 2), (size - 1) / 2), unknown)
    place = np.array(centre, dtype=np.float64)
    if not ((place >= 0) & (place <= size - 1)).all():
        raise DataError(f"centre {tuple(place.tolist())} is not on frames of {size} pixels")
    return Location(np.tile(place, (n_wave, 1)), unknown)


def _fitted(science: Images) -> Location:
    n_wave, n_time = science.shape[:2]
    parts = np.array_split(np.arange(n_time), min(_PARTS, n_time))
    centres, errors = np.empty((n_wave, 2)), np.full((n_wave, 2), np.nan)
    for k in range(n_wave):
        try:
            fits = np.array([centre_of_symmetry(_mean(science[k, part])) for part in parts])
        except KernelInputError as error:
            raise DataError(f"channel {k}: the star cannot be found: {error}") from error
        centres[k] = fits.mean(axis=0)
        if len(parts) > 1:
            errors[k] = fits.std(axis=0, ddof=1) / np.sqrt(len(parts))
    return Location(centres, errors)


def _mean(frames: Images) -> Floats:
    good = np.isfinite(frames)
    total = np.where(good, frames, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(total / np.maximum(good.sum(axis=0), 1))


def recentred(
    science: Images, good: npt.NDArray[np.bool_], centre_px: Floats
) -> tuple[Images, Images]:
    """Bring the star of every channel to pixel ``(n // 2, n // 2)`` and weight the pixels.

    Frames whose star is there already are not interpolated. Otherwise holes are filled from
    their neighbours before, so that nothing rings about them.

    Parameters
    ----------
    science : array, shape (wavelength, time, n, n)
        Frames, NaN where no data.
    good : array of bool, shape of `science`
        Pixels with data.
    centre_px : array, shape (wavelength, 2)
        Star (x, y) [px].

    Returns
    -------
    science, weight : array of float32, shape of the input
        Weight is the inverse variance of the pixel over time, smoothed in rings about the
        star; 0 and NaN where no data.
    """
    n_wave, n_time, size, _ = science.shape
    for k in range(n_wave):
        if np.abs(centre_px[k] - size // 2).max() < _ON_PIXEL_PX:
            continue
        place = (float(centre_px[k, 0]), float(centre_px[k, 1]))
        grid = recentring_grid(place, (1.0, 1.0), size, (size, size))
        holes, fill = np.zeros((size, size), bool), None
        for i in range(n_time):
            if not good[k, i].any():
                continue
            if fill is None or not np.array_equal(holes, ~good[k, i]):
                holes = ~good[k, i]
                fill = find_neighbours(holes)
            fill_from_neighbours(science[k, i], fill)
            moved = resample(science[k, i], grid)
            kept = resample(good[k, i].astype(np.float32), grid)
            good[k, i] = np.isfinite(moved) & (np.abs(kept - 1) < 0.1)
            science[k, i] = np.where(good[k, i], moved, np.nan)
    weight = np.zeros_like(science)
    for k in range(n_wave):
        variance = _ring_variance(science[k])
        weight[k] = np.where(good[k], 1 / variance, 0)
    return science, weight


def _ring_variance(frames: Images) -> Floats:
    """Variance over time, median in rings of one pixel; that of all pixels for a short cube."""
    size = frames.shape[-1]
    y, x = np.mgrid[:size, :size] - size // 2
    ring = np.rint(np.hypot(x, y)).astype(int).ravel()
    axis = 0 if frames.shape[0] > 2 else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        spread = np.nanmedian(np.abs(frames - np.nanmedian(frames, axis=axis)), axis=axis)
    values = np.broadcast_to(spread, (size, size)).ravel()
    rings = np.full(ring.max() + 1, np.nan)
    for number in range(rings.size):
        inside = values[ring == number]
        inside = inside[np.isfinite(inside) & (inside > 0)]
        if inside.size:
            rings[number] = np.median(inside)
    known = np.isfinite(rings)
    if not known.any():
        return np.ones((size, size))
    floor = _LEAST_SIGMA * rings[known].max()
    filled = np.interp(np.arange(rings.size), np.flatnonzero(known), rings[known]).clip(floor)
    sigma = 1.4826 * filled[ring].reshape(size, size)
    return np.asarray(sigma**2)


def frame_quality(science: Images) -> Floats:
    """Median and robust scatter of every frame, over all channels, shape (time, 2)."""
    rows = science.swapaxes(0, 1).reshape(science.shape[1], -1)
    out = np.full((rows.shape[0], 2), np.nan)
    for i, row in enumerate(rows):
        values = row[np.isfinite(row)]
        if values.size:
            middle = np.median(values)
            out[i] = middle, 1.4826 * np.median(np.abs(values - middle))
    return out
