"""Image of a point source through an obstructed circular aperture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j1

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]
# Samples of one pixel along an axis, and of one resolution element along the radius.
PIXEL_NODES = 8
RADIAL_STEPS = 64


def airy_intensity(radius: ArrayLike, obstruction: float) -> Floats:
    """Intensity per unit area of an annular aperture whose whole light is 1.

    Parameters
    ----------
    radius : array_like
        Distance from the axis [lambda/D].
    obstruction : float
        Diameter of the central obstruction over that of the aperture, 0 to below 1.

    Returns
    -------
    array
        Per (lambda/D)^2; ``pi / 4 (1 - obstruction^2)`` on the axis.

    Raises
    ------
    KernelInputError
        If the obstruction is not in range.

    Notes
    -----
    Born & Wolf, Principles of Optics, 8.6.2: the difference of the amplitudes of two discs.
    """
    if not 0 <= obstruction < 1:
        raise KernelInputError(f"obstruction {obstruction} is not from 0 to below 1")
    x = np.pi * np.asarray(radius, dtype=np.float64)
    inner = obstruction**2 * _disc(obstruction * x)
    amplitude = (_disc(x) - inner) / (1 - obstruction**2)
    return np.asarray(np.pi / 4 * (1 - obstruction**2) * amplitude**2)


def airy_peak(resolution_px: Sequence[float], obstruction: float) -> float:
    """Share of the light in a pixel whose middle is the axis.

    Parameters
    ----------
    resolution_px : sequence of float
        lambda/D at wavelengths of equal weight [px].
    obstruction : float
    """
    nodes, weights = np.polynomial.legendre.leggauss(PIXEL_NODES)
    radius = np.hypot(nodes[:, np.newaxis], nodes) / 2
    area = np.outer(weights, weights) / 4
    shares = [np.sum(airy_intensity(radius / d, obstruction) * area) / d**2 for d in resolution_px]
    return float(np.mean(shares))


def airy_enclosed(
    radius_px: ArrayLike, resolution_px: Sequence[float], obstruction: float
) -> Floats:
    """Share of the light within radii of the axis, of wavelengths of equal weight.

    Parameters
    ----------
    radius_px : array_like
        Radii [px].
    resolution_px : sequence of float
        lambda/D at each wavelength [px].
    obstruction : float
    """
    wanted = np.asarray(radius_px, dtype=np.float64)
    shares = np.zeros(wanted.shape)
    for resolution in resolution_px:
        outer = float(np.max(wanted, initial=0.0)) / resolution
        edges = np.linspace(0.0, outer, max(int(np.ceil(outer * RADIAL_STEPS)), 1) + 1)
        middle = (edges[:-1] + edges[1:]) / 2
        rings = 2 * np.pi * middle * np.diff(edges) * airy_intensity(middle, obstruction)
        growth = np.concatenate([[0.0], np.cumsum(rings)])
        shares += np.interp(wanted / resolution, edges, growth)
    return shares / len(resolution_px)


def _disc(x: Floats) -> Floats:
    """``2 J1(x) / x``, 1 at zero."""
    safe = np.where(np.abs(x) < 1e-8, 1.0, x)
    return np.where(np.abs(x) < 1e-8, 1.0, 2 * j1(safe) / safe)
