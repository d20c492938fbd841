"""Stretches of the night with conditions of their own: bursts of bad frames, changed FLUX."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import Degraded
from spheredc_hpc.simulate.sky import SECONDS_PER_DAY
from spheredc_hpc.simulate.streams import stream
from spheredc_hpc.simulate.timeline import PlannedFile

Floats = NDArray[np.float64]
MARGIN_S = 0.5


@dataclass(frozen=True)
class Stretch:
    """Factors on the conditions between two instants.

    Attributes
    ----------
    start_mjd, end_mjd : float
        Half a second more than the integrations that they cover [d].
    seeing, tau0, transmission : float
        Factors on seeing, coherence time and transparency.
    kind : str
        What makes the frames bad; empty for conditions that were set on purpose.
    """

    start_mjd: float
    end_mjd: float
    seeing: float
    tau0: float
    transmission: float
    kind: str = ""


def stretches_of(scenario: IrdisScenario, files: list[PlannedFile]) -> tuple[Stretch, ...]:
    """Spells that the scenario asks for, then the bursts of bad OBJECT frames."""
    found = []
    for spell in scenario.atmosphere.spells:
        for file in files:
            if file.kind != spell.frames or spell.file not in (None, file.number):
                continue
            last = file.n_planes - 1 if spell.last is None else min(spell.last, file.n_planes - 1)
            if spell.first <= last:
                start, end = file.integration_starts[spell.first], _end(file, last)
                values = (spell.seeing_factor, spell.tau0_factor, spell.transmission)
                found.append(_stretch(start, end, values))
    return (*found, *_bursts(scenario, files))


def factors_at(stretches: tuple[Stretch, ...], mjd: Floats) -> tuple[Floats, Floats, Floats]:
    """Factors on seeing, coherence time and transparency at instants [d]."""
    factors = np.ones((3, mjd.size))
    for stretch in stretches:
        inside = (mjd >= stretch.start_mjd) & (mjd <= stretch.end_mjd)
        values = np.array([stretch.seeing, stretch.tau0, stretch.transmission])
        factors[:, inside] *= values[:, None]
    return factors[0], factors[1], factors[2]


def kinds_at(stretches: tuple[Stretch, ...], mjd: Floats) -> list[str]:
    """Tell what makes each integration bad, by its middle [d]; empty for a good one."""
    bad = [stretch for stretch in stretches if stretch.kind]
    return [
        next((s.kind for s in bad if s.start_mjd <= instant <= s.end_mjd), "") for instant in mjd
    ]


def _stretch(
    start: float, end: float, values: tuple[float, float, float], kind: str = ""
) -> Stretch:
    margin = MARGIN_S / SECONDS_PER_DAY
    return Stretch(float(start - margin), float(end + margin), *values, kind)


def _end(file: PlannedFile, integration: int) -> float:
    return float(file.integration_starts[integration] + file.dit_s / SECONDS_PER_DAY)


def _bursts(scenario: IrdisScenario, files: list[PlannedFile]) -> list[Stretch]:
    """Place runs of bad integrations at random, of the kinds in turn."""
    settings = scenario.atmosphere.degraded
    science = [file for file in files if file.kind == "OBJECT"]
    spans = [
        (float(file.integration_starts[i]), _end(file, i))
        for file in science
        for i in range(file.n_planes)
    ]
    wanted = round(settings.share * len(spans))
    runs = [spans[i : i + settings.run] for i in range(0, len(spans), settings.run)]
    order = stream(scenario.seed, "degraded").permutation(len(runs))
    found: list[Stretch] = []
    for turn, which in enumerate(order):
        run = runs[which][:wanted]
        if not run:
            break
        wanted -= len(run)
        kind = settings.kinds[turn % len(settings.kinds)]
        found.append(_stretch(run[0][0], run[-1][1], _factors(settings, kind), kind))
    return found


def _factors(settings: Degraded, kind: str) -> tuple[float, float, float]:
    """Factors of one kind of bad frames on seeing, coherence time and transparency."""
    if kind == "seeing":
        return settings.seeing_factor, 1.0, 1.0
    if kind == "wind":
        return 1.0, settings.tau0_factor, 1.0
    return 1.0, 1.0, settings.transmission
