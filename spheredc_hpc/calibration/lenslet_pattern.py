"""Finding the pattern of spectra on a detector frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spheredc_hpc.instrument.lenslets import CENTRE_PX, DETECTOR_PX, Placement

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CoarseShift:
    """Shift of the pattern to the next pixel.

    Attributes
    ----------
    dx_px, dy_px : int
    contrast : float
        Typical light on the expected places over that beside them; 1 without a pattern.
    """

    dx_px: int
    dy_px: int
    contrast: float


def coarse_shift(
    image: Image, on: tuple[Floats, Floats], beside: tuple[Floats, Floats], reach_px: int
) -> CoarseShift:
    """Search for the shift that puts light on some places and none beside them.

    Parameters
    ----------
    image : array, shape (2048, 2048)
        Bad pixels are zero.
    on, beside : (x, y) of array
        Places that the lamp should light, and places between the spectra [px].
    reach_px : int
        Largest shift along both axes.
    """
    # The square root keeps few bright lenslets from deciding.
    light = np.sqrt(np.maximum(image, 0))
    seen, gaps = (_means(light, *places, reach_px) for places in (on, beside))
    best = int(np.argmax(seen - gaps))
    dy, dx = divmod(best, 2 * reach_px + 1)
    contrast = float(seen.ravel()[best] ** 2 / max(gaps.ravel()[best] ** 2, 1e-12))
    return CoarseShift(dx - reach_px, dy - reach_px, contrast)


def _means(light: Image, x: Floats, y: Floats, reach_px: int) -> Floats:
    """Mean at the places moved by every shift, shape (2 reach + 1,) * 2."""
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (np.minimum(column, row) >= reach_px) & (
        np.maximum(column, row) < DETECTOR_PX - reach_px
    )
    column, row = column[inside], row[inside]
    shifts = range(-reach_px, reach_px + 1)
    return np.array([[light[row + dy, column + dx].mean() for dx in shifts] for dy in shifts])


def fit_placement(
    x: Floats, y: Floats, dx: Floats, dy: Floats, weight_y: float = 1.0
) -> tuple[Placement, Floats]:
    """Fit shift, turn and stretch to displacements; give them and the residuals, shape (2, n).

    Displacements more than five robust standard deviations off are left out. `weight_y` is that of
    displacements along y over those along x.
    """
    known = np.isfinite(dx) & np.isfinite(dy)
    ox, oy = x - CENTRE_PX, y - CENTRE_PX
    one, none = np.ones_like(ox), np.zeros_like(ox)
    design = np.concatenate(
        [np.stack([one, none, -oy, ox], axis=1), np.stack([none, one, ox, oy], axis=1)]
    )
    moved = np.concatenate([dx, dy])
    weight = np.concatenate([one, weight_y * one])
    held = np.concatenate([known, known])
    for _ in range(4):
        solution, *_ = np.linalg.lstsq(
            design[held] * weight[held, np.newaxis], moved[held] * weight[held], rcond=None
        )
        rest = moved - design @ solution
        spread = 1.4826 * np.median(np.abs(rest[held]))
        held = np.isfinite(rest) & (np.abs(rest) < 5 * spread + 1e-9)
    turn, stretch = float(solution[2]), float(solution[3])
    scale = float(np.hypot(1 + stretch, turn))
    placement = Placement(
        float(solution[0]),
        float(solution[1]),
        float(np.degrees(np.arctan2(turn, 1 + stretch))),
        scale,
    )
    return placement, rest.reshape(2, -1)


def combined(first: Placement, then: Placement) -> Placement:
    """Placement that does one after the other."""
    x, y = then.apply(*(np.array([CENTRE_PX + d]) for d in (first.dx_px, first.dy_px)))
    return Placement(
        float(x[0] - CENTRE_PX),
        float(y[0] - CENTRE_PX),
        first.rotation_deg + then.rotation_deg,
        first.scale * then.scale,
    )
