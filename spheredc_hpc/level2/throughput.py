"""Throughput: what of a companion's flux arrives, at many radii and azimuths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from spheredc_hpc.level2.engine import Frames, Reduction
from spheredc_hpc.level2.injecting import Plan, injected, pushed
from spheredc_hpc.level2.pushing import Way

Floats = NDArray[np.float64]
Asked = Literal["auto", "resolved", "first-order", "frozen", "injection"]

# Distance between radii: this many FWHM near the star, this share of the radius further out.
_STEP_FWHM = 0.5
_STEP_SHARE = 0.2
# Room between an aperture and the edges of the zone, beyond its own radius [px].
_ROOM_PX = 0.75


@dataclass(frozen=True)
class Injection:
    """What is injected, and how what arrives is found.

    Attributes
    ----------
    how : {"auto", "resolved", "first-order", "frozen", "injection"}
        "resolved" solves the zones about each companion again; "first-order" and "frozen" change
        the coefficients to first order or not at all; "injection" repeats the whole reduction.
        "auto" is "resolved". A method that has no coefficients is measured exactly whatever is
        asked for: by "resolved" if it treats every pixel by itself, else by "injection".
    branches : int
        Azimuths at each radius.
    level : float
        Brightness: S/N of a companion, at the throughput measured, in the noise of the images.
    spectrum : array of float64, shape (n_channel,), optional
        Contrast in each channel, in any unit; equal ones (the colour of the star) if absent.
    """

    how: Asked = "auto"
    branches: int = 3
    level: float = 5.0
    spectrum: Floats | None = None


@dataclass(frozen=True)
class Throughput:
    """Surviving fraction of a companion's flux against radius.

    Attributes
    ----------
    radius_px : array of float64, shape (n_branch, n)
        Radii of the companions [image px].
    values : array of float64, shape (n_channel, n_branch, n)
        Fraction measured; NaN where the aperture was not valid or the spectrum is zero.
    contrast : array of float64, shape (n_branch, n)
        Brightness of the companions, in units of their spectrum.
    method : str
        How it was measured: one of `Injection.how`, less "auto".
    """

    radius_px: Floats
    values: Floats
    contrast: Floats
    method: str

    def at(self, radius_px: Floats) -> Floats:
        """Throughput at radii, shape (n_channel, n).

        Mean over the branches, each interpolated monotonically; constant beyond the ends.
        """
        wanted = np.asarray(radius_px, np.float64)
        return np.stack([_mean_curve(self.radius_px, each, wanted) for each in self.values])


def _mean_curve(radius_px: Floats, values: Floats, wanted: Floats) -> Floats:
    curves = []
    for radius, branch in zip(radius_px, values, strict=True):
        good = np.isfinite(branch)
        if not good.any():
            continue
        known, measured = radius[good], branch[good]
        if known.size == 1:
            curves.append(np.full(wanted.shape, measured[0]))
        else:
            inside = np.clip(wanted, known[0], known[-1])
            curves.append(PchipInterpolator(known, measured)(inside))
    return np.mean(curves, axis=0) if curves else np.full(wanted.shape, np.nan)


def injection_radii(first_px: float, last_px: float, fwhm_px: float, shift: float = 0.0) -> Floats:
    """Radii of companions, half a FWHM apart near the star, 0.2 radii further out.

    Parameters
    ----------
    first_px, last_px : float
        Ends, both among the radii [px].
    fwhm_px : float
        Width of the PSF [px].
    shift : float
        Share of a step by which the radii between the ends are moved outwards, 0 to 1, so that
        several branches do not meet zones at the same places.

    Returns
    -------
    array of float64
        Empty if there is no room.
    """
    if last_px < first_px:
        return np.array([])
    radii, radius = [first_px], first_px + shift * _step(first_px, fwhm_px)
    if shift == 0:
        radius += _step(first_px, fwhm_px)
    while radius < last_px:
        if radius - first_px > 0.5 * _STEP_FWHM * fwhm_px:
            radii.append(radius)
        radius += _step(radius, fwhm_px)
    while len(radii) > 1 and last_px - radii[-1] < 0.5 * _STEP_FWHM * fwhm_px:
        radii.pop()
    return np.array([*radii, last_px] if last_px > first_px else radii)


def _step(radius_px: float, fwhm_px: float) -> float:
    return max(_STEP_FWHM * fwhm_px, _STEP_SHARE * radius_px)


def measure_throughput(
    reduction: Reduction, images: Frames, injection: Injection | None = None
) -> Throughput:
    """Measure which fraction of a companion's flux arrives.

    Parameters
    ----------
    reduction : Reduction
        Rows and method, sources already removed.
    images : array, shape (n_channel, side, side)
        Its final images.
    injection : Injection, optional
        What is injected and how.

    Returns
    -------
    Throughput
        Of companions smeared over each integration, relative to the star's aperture flux: a
        loss by smearing counts. The coronagraph's transmission is not part of it.

    Raises
    ------
    DataError
        If the spectrum does not fit the channels.

    Notes
    -----
    One companion at a time for "resolved", "first-order" and "frozen". The brightness is
    iterated until the S/N of all channels together, at the throughput measured, is the
    level within a factor of 1.2: throughput falls slowly with brightness.
    """
    asked = injection or Injection()
    how = _way(reduction, asked.how)
    radii = _radii(reduction, images.shape[-1], asked.branches)
    channels = len(reduction.rows.channels)
    if not np.isfinite(radii).any():
        nothing = np.full((asked.branches, 1), np.nan)
        return Throughput(nothing, np.full((channels, *nothing.shape), np.nan), nothing, how)
    plan = Plan.of(reduction, images, radii, asked.level, asked.spectrum)
    values, contrast = injected(plan) if how == "injection" else pushed(plan, how)
    shares = values.T.reshape(channels, *radii.shape)
    return Throughput(radii, shares, contrast.reshape(radii.shape), how)


def _radii(reduction: Reduction, side: int, branches: int) -> Floats:
    """Radii of each branch, shape (branches, n), padded with NaN."""
    channel, pixels = reduction.channel, reduction.rows.image_pixels(0)
    fwhm = channel.star.fwhm_px * pixels
    room = fwhm / 2 + _ROOM_PX
    first = max(channel.inner_px * pixels + room, fwhm)
    last = min(channel.outer_px * pixels, side // 2 + 0.5) - room
    grids = [injection_radii(first, last, fwhm, branch / branches) for branch in range(branches)]
    radii = np.full((branches, max(grid.size for grid in grids)), np.nan)
    for branch, grid in enumerate(grids):
        radii[branch, : grid.size] = grid
    return radii


def _way(reduction: Reduction, how: Asked) -> Way | Literal["injection"]:
    """Choose the way to measure: the one asked for or, where the method lacks it, an exact one."""
    if how == "injection":
        return how
    if reduction.linear:
        return "resolved" if how == "auto" else how
    return "resolved" if reduction.traits.pixelwise else "injection"
