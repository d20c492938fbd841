"""Seeing, coherence time, wind, Strehl ratio and transparency in the course of a night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.simulate.photometry import faint_star_variance, phase_variance
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import Atmosphere
from spheredc_hpc.simulate.sky import SECONDS_PER_DAY
from spheredc_hpc.simulate.spells import Stretch, factors_at
from spheredc_hpc.simulate.streams import stream

Floats = NDArray[np.float64]
STEP_S = 10.0


@dataclass(frozen=True)
class Conditions:
    """Conditions at a list of instants, along the line of sight.

    Attributes
    ----------
    seeing_arcsec, tau0_ms, transparency : array, shape (n,)
        Seeing at 500 nm, coherence time, transmission relative to a clear sky.
    variance : array, shape (n,)
        Residual phase variance of the atmosphere at 1.6 um [rad2].
    """

    seeing_arcsec: Floats
    tau0_ms: Floats
    transparency: Floats
    variance: Floats

    @property
    def r0_m(self) -> Floats:
        """Fried parameter at 500 nm [m]."""
        return np.asarray(206265.0 * 500e-9 / self.seeing_arcsec)

    @property
    def wind_m_s(self) -> Floats:
        """Wind speed that gives this coherence time [m/s]."""
        return np.asarray(0.314 * self.r0_m / (self.tau0_ms / 1000))


@dataclass(frozen=True)
class Weather:
    """Series of one night, sampled every 10 s."""

    mjd: Floats
    seeing_arcsec: Floats
    tau0_ms: Floats
    transparency: Floats
    faint_variance: float
    stretches: tuple[Stretch, ...] = ()

    def at(self, mjd: ArrayLike) -> Conditions:
        """Interpolate to the instants `mjd`, shape (n,)."""
        instants = np.atleast_1d(np.asarray(mjd, dtype=np.float64))
        seeing = np.exp(np.interp(instants, self.mjd, np.log(self.seeing_arcsec)))
        tau0 = np.exp(np.interp(instants, self.mjd, np.log(self.tau0_ms)))
        transparency = np.interp(instants, self.mjd, self.transparency)
        worse = factors_at(self.stretches, instants)
        seeing, tau0, transparency = seeing * worse[0], tau0 * worse[1], transparency * worse[2]
        variance = phase_variance(seeing, tau0) + self.faint_variance
        return Conditions(seeing, tau0, transparency, variance)


def make_weather(
    scenario: IrdisScenario,
    start_mjd: float,
    end_mjd: float,
    stretches: tuple[Stretch, ...] = (),
) -> Weather:
    """Draw the conditions between two instants as Ornstein-Uhlenbeck processes."""
    settings: Atmosphere = scenario.atmosphere
    steps = int(np.ceil((end_mjd - start_mjd) * SECONDS_PER_DAY / STEP_S)) + 2
    rng = stream(scenario.seed, "weather")
    seeing, tau0, clear = (
        _wander(rng, steps, settings.correlation_min * 60 / STEP_S) for _ in range(3)
    )
    active = scenario.effects.speckles
    return Weather(
        mjd=np.asarray(start_mjd + np.arange(steps) * STEP_S / SECONDS_PER_DAY),
        seeing_arcsec=settings.seeing_arcsec * np.exp(settings.seeing_sigma_ln * seeing),
        tau0_ms=settings.tau0_ms * np.exp(settings.tau0_sigma_ln * tau0),
        transparency=1.0 + settings.transparency_sigma * clear,
        faint_variance=faint_star_variance(scenario.target.r_magnitude) if active else 0.0,
        stretches=stretches,
    )


def _wander(rng: np.random.Generator, steps: int, correlation_steps: float) -> Floats:
    keep = np.exp(-1.0 / correlation_steps)
    kicks = rng.standard_normal(steps)
    series = np.empty(steps)
    series[0] = kicks[0]
    for i in range(1, steps):
        series[i] = keep * series[i - 1] + np.sqrt(1 - keep**2) * kicks[i]
    return series


def mean_conditions(conditions: Conditions) -> Conditions:
    """Conditions that give the mean Strehl ratio and mean transparency of a series."""
    strehl = np.exp(-conditions.variance)
    weights = conditions.transparency
    variance = -np.log(np.average(strehl, weights=weights))
    return Conditions(
        seeing_arcsec=np.array([conditions.seeing_arcsec.mean()]),
        tau0_ms=np.array([conditions.tau0_ms.mean()]),
        transparency=np.array([conditions.transparency.mean()]),
        variance=np.array([variance]),
    )
