"""Polar geometry about the centre pixel ``(n // 2, n // 2)``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def radius_map(shape: tuple[int, int]) -> Floats:
    """Distance of every pixel from the centre pixel [px]."""
    y = np.arange(shape[0], dtype=np.float64) - shape[0] // 2
    x = np.arange(shape[1], dtype=np.float64) - shape[1] // 2
    return np.hypot(y[:, None], x[None, :])


def offset_from_sky(
    separation_px: ArrayLike, position_angle_deg: ArrayLike
) -> tuple[Floats, Floats]:
    """Offset ``(dx, dy)`` of a sky position on a derotated image.

    Parameters
    ----------
    separation_px : array_like
        Distance from the star [px].
    position_angle_deg : array_like
        Angle east of north [deg]; north is up (+y), east is left (-x).

    Returns
    -------
    dx, dy : array of float64
        Offsets from the centre pixel [px].
    """
    angle = np.deg2rad(np.asarray(position_angle_deg, dtype=np.float64))
    separation = np.asarray(separation_px, dtype=np.float64)
    return -separation * np.sin(angle), separation * np.cos(angle)


def sky_from_offset(dx_px: ArrayLike, dy_px: ArrayLike) -> tuple[Floats, Floats]:
    """Separation [px] and position angle [deg, 0 to 360] of an offset; inverse of the above."""
    dx = np.asarray(dx_px, dtype=np.float64)
    dy = np.asarray(dy_px, dtype=np.float64)
    return np.hypot(dx, dy), np.rad2deg(np.arctan2(-dx, dy)) % 360.0


def touching_apertures(radius_px: float, diameter_px: float) -> tuple[int, float]:
    """How many circles of a diameter fit side by side on a ring.

    Parameters
    ----------
    radius_px, diameter_px : float
        Radius of the ring and diameter of the circles [px].

    Returns
    -------
    number : int
        Circles on the ring; 1 where the ring is too small for a second one.
    step_rad : float
        Angle between neighbours that touch [rad].

    Notes
    -----
    Mawet et al. (2014), ApJ 792, 97, section 3: the independent elements of a ring.
    """
    if 2.0 * radius_px <= diameter_px:
        return 1, 2.0 * np.pi
    step = 2.0 * np.arcsin(0.5 * diameter_px / radius_px)
    return int(np.floor(2.0 * np.pi / step + 1e-9)), float(step)
