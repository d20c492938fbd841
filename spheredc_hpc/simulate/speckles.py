"""Phase screens: static, quasi-static and atmospheric, shaped after the coronagraphic halo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spheredc_hpc.simulate.photometry import (
    SLOW_SHARE,
    STATIC_SHARE,
    halo_level,
    halo_share,
)
from spheredc_hpc.simulate.pupil import PUPIL_PX, pupil_axis
from spheredc_hpc.simulate.sections import Wavefront
from spheredc_hpc.simulate.streams import stream

Floats = NDArray[np.float32]
REFERENCE_UM = 1.6
LOWEST_CYCLES = 0.8
_GRID_PX = 2 * PUPIL_PX
_CHROMATIC_UNIT = 0.1


@dataclass(frozen=True)
class Shapes:
    """How the residual phase is distributed over spatial frequency.

    Attributes
    ----------
    static, slow : array, shape (320, 320)
        Square root of the power per cell of the screen grid, unit variance.
    slow_share : float
        Variance in `slow` over that in the whole atmospheric residual.
    smooth_cycles, smooth_density : array, shape (n,)
        Density of the smooth halo per (lambda/D)^2 against distance [lambda/D]; its
        integral over the plane is 1.
    """

    static: Floats
    slow: Floats
    slow_share: float
    smooth_cycles: NDArray[np.float64]
    smooth_density: NDArray[np.float64]


def make_shapes(settings: Wavefront, reference_mas: float) -> Shapes:
    """Distribute the phase so that the halo has the wanted radial profile.

    Parameters
    ----------
    settings : Wavefront
    reference_mas : float
        lambda/D at 1.6 um [mas].
    """
    step = 0.5  # the screen grid is twice the pupil
    axis = scipy.fft.fftfreq(_GRID_PX, d=1 / (_GRID_PX * step))
    arcsec = np.hypot(axis[None, :], axis[:, None]) * reference_mas / 1000
    allowed = arcsec * 1000 / reference_mas >= LOWEST_CYCLES
    level = halo_level(arcsec) * allowed
    static = level * halo_share(arcsec, STATIC_SHARE)
    slow = level * halo_share(arcsec, SLOW_SHARE)

    cycles = np.linspace(0.0, 400.0, 8001)
    radius = cycles * reference_mas / 1000
    rest = halo_share(radius, STATIC_SHARE) + halo_share(radius, SLOW_SHARE)
    smooth = halo_level(radius) * (1 - rest) * (cycles >= LOWEST_CYCLES)
    smooth_sum = np.trapezoid(2 * np.pi * cycles * smooth, cycles)
    return Shapes(
        static=_unit_variance(static),
        slow=_unit_variance(slow),
        slow_share=settings.slow_share,
        smooth_cycles=cycles,
        smooth_density=smooth / smooth_sum,
    )


def _unit_variance(power: NDArray[np.float64]) -> Floats:
    return np.asarray(np.sqrt(power / power.sum()), dtype=np.float32)


def draw_screens(rng: np.random.Generator, shape: Floats, count: int) -> Floats:
    """Draw independent screens of unit variance, shape (count, 160, 160).

    Tip and tilt over the pupil are taken out, so that the star stays where it is said to be;
    what the star does move is drawn as jitter.
    """
    pairs = (count + 1) // 2
    noise = rng.standard_normal((2, pairs, _GRID_PX, _GRID_PX), dtype=np.float32)
    spectrum = (noise[0] + 1j * noise[1]) * shape
    wave = scipy.fft.fft2(spectrum, axes=(-2, -1), overwrite_x=True)
    cut = wave[:, :PUPIL_PX, :PUPIL_PX]
    screens = np.concatenate([cut.real, cut.imag])[:count].astype(np.float32)
    return screens - _tilts(screens)


def _tilts(screens: Floats) -> Floats:
    """Plane without offset that fits each screen best within the pupil."""
    axis = pupil_axis().astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) <= 0.5
    basis = np.stack([x, y]) * inside
    slopes = np.einsum("cyx,kyx->ck", screens, basis) / np.sum(basis[0] ** 2)
    return np.asarray(np.einsum("ck,kyx->cyx", slopes, np.stack([x, y])), dtype=np.float32)


@dataclass(frozen=True)
class PhaseNight:
    """Screens of one night that are known before the integrations are computed.

    Attributes
    ----------
    common : array, shape (n, 160, 160)
        Static plus quasi-static path difference at each integration [nm].
    chromatic : tuple of array, shape (160, 160)
        Path difference that each band sees in place of a part of `common` [nm].
    chromatic_weight : tuple of float
        Amplitude of that part for each band.
    """

    common: Floats
    chromatic: tuple[Floats, Floats]
    chromatic_weight: tuple[float, float]

    def path_nm(self, integration: int, band: int) -> Floats:
        """Path difference in one band at one integration [nm]."""
        weight = self.chromatic_weight[band]
        kept = np.float32(np.sqrt(1 - weight**2))
        return np.asarray(kept * self.common[integration] + self.chromatic[band])


def make_phase_night(
    settings: Wavefront,
    shapes: Shapes,
    seed: int,
    mjd: NDArray[np.float64],
    wavelengths_um: tuple[float, float],
) -> PhaseNight:
    """Draw the lasting aberrations at the instants `mjd` (increasing).

    The quasi-static part is an Ornstein-Uhlenbeck process, whose correlation falls
    linearly at first.
    """
    rng = stream(seed, "static")
    static = draw_screens(rng, shapes.static, 1)[0] * np.float32(settings.static_nm)
    drifting = draw_screens(rng, shapes.static, 1)[0]
    common = np.empty((mjd.size, PUPIL_PX, PUPIL_PX), dtype=np.float32)
    for i, instant in enumerate(mjd):
        if i:
            elapsed = max(instant - mjd[i - 1], 0.0) * 86400
            keep = np.exp(-settings.quasi_static_rate * elapsed)
            fresh = draw_screens(stream(seed, "quasi-static", i), shapes.static, 1)[0]
            drifting = np.float32(keep) * drifting + np.float32(np.sqrt(1 - keep**2)) * fresh
        common[i] = static + np.float32(settings.quasi_static_nm) * drifting

    rms = float(np.hypot(settings.static_nm, settings.quasi_static_nm))
    span = abs(wavelengths_um[1] / wavelengths_um[0] - 1) / _CHROMATIC_UNIT
    weight = float(np.sqrt(min(settings.chromatic_loss * span, 1.0)))
    own = draw_screens(stream(seed, "chromatic"), shapes.static, 1)[0]
    return PhaseNight(
        common=common,
        chromatic=(np.zeros_like(own), np.asarray(np.float32(weight * rms) * own)),
        chromatic_weight=(0.0, weight),
    )
