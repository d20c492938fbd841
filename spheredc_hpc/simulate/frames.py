"""Geometry and conditions of every integration on the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.detectors import dither_offset_px
from spheredc_hpc.simulate.atmosphere import Conditions, Weather, mean_conditions
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sky import (
    SECONDS_PER_DAY,
    SkyState,
    derotator_error_deg,
    observe,
)
from spheredc_hpc.simulate.spells import kinds_at
from spheredc_hpc.simulate.streams import stream
from spheredc_hpc.simulate.timeline import PlannedFile, science_of

Floats = NDArray[np.float64]
CLOUD_TRANSMISSION = 0.5
OPEN_LOOP_VARIANCE = 3.0
UNSTABLE_TRANSMISSION = 0.7
UNSTABLE_VARIANCE = 0.3
UNSTABLE_PX = (2.0, -1.5)
JITTER_LIFETIME_S = 1.0


@dataclass(frozen=True)
class SkyFile:
    """What the sky does during one file; n integrations of s sub-steps.

    Attributes
    ----------
    parang_deg, derotation_deg : array, shape (n, s)
        Unwrapped within the file [deg].
    error_deg : array, shape (n,)
        Error of the derotator law at mid-integration [deg].
    altitude_deg : array, shape (n,)
    star_px, mask_px : array, shape (n, 2, 2)
        Star and coronagraph mask per integration, field, (x, y) [px].
    conditions : Conditions
    bad : list of str
        What makes each integration a bad one; empty for a good one.
    """

    parang_deg: Floats
    derotation_deg: Floats
    error_deg: Floats
    altitude_deg: Floats
    star_px: Floats
    mask_px: Floats
    conditions: Conditions
    bad: list[str]


def substep_mjd(file: PlannedFile, steps: int) -> Floats:
    """Middles of the sub-steps of each integration [d], shape (n, steps)."""
    inside = (np.arange(steps) + 0.5) / steps * file.dit_s / SECONDS_PER_DAY
    return np.asarray(file.integration_starts[:, None] + inside[None, :])


def sky_files(
    scenario: IrdisScenario, constants: Constants, files: list[PlannedFile], weather: Weather
) -> dict[int, SkyFile]:
    """Work out geometry and conditions of all files taken on the sky, by file index."""
    on_sky = [file for file in files if file.on_sky]
    if not on_sky:
        return {}
    science = science_of(on_sky)
    reference = float(np.mean([f.mid_mjd.mean() for f in science or on_sky]))
    shared = _flux_conditions(scenario, science, weather)
    result: dict[int, SkyFile] = {}
    for star in range(scenario.n_stars):
        mine = [file for file in on_sky if file.star == star]
        result |= _star_files(
            scenario.of_star(star), constants, mine, (weather, science, shared, reference)
        )
    return result


def _star_files(
    scenario: IrdisScenario,
    constants: Constants,
    files: list[PlannedFile],
    night: tuple[Weather, list[PlannedFile], Conditions | None, float],
) -> dict[int, SkyFile]:
    """Files of one star; `night` is what it shares with the other."""
    if not files:
        return {}
    weather, science, shared, reference = night
    steps = scenario.pointing.smear_steps
    instants = np.concatenate([substep_mjd(file, steps).ravel() for file in files])
    state = observe(scenario.target, instants)
    error = _derotator_error(scenario, constants, instants)
    parts = np.cumsum([file.n_planes * steps for file in files])[:-1]
    pieces = zip(
        files,
        np.split(state.parang_deg, parts),
        np.split(state.altitude_deg, parts),
        np.split(error, parts),
        strict=True,
    )
    result = {}
    for file, parang, altitude, eps in pieces:
        parang = np.degrees(np.unwrap(np.radians(parang))).reshape(-1, steps)
        eps = eps.reshape(-1, steps)
        mask = _mask_px(scenario, constants, file, reference)
        result[file.index] = SkyFile(
            parang_deg=parang,
            derotation_deg=_derotation(scenario, constants, parang, eps, file.start_mjd),
            error_deg=eps.mean(axis=1),
            altitude_deg=altitude.reshape(-1, steps).mean(axis=1),
            star_px=_star_px(scenario, constants, file, mask),
            mask_px=mask,
            conditions=_conditions(scenario, file, science, weather, shared),
            bad=kinds_at(weather.stretches, file.mid_mjd),
        )
    return result


def _derotator_error(scenario: IrdisScenario, constants: Constants, mjd: Floats) -> Floats:
    old = mjd < constants.value("derotator_fix_mjd")
    error = np.zeros_like(mjd)
    if old.any() and scenario.pointing.tracking == "PUPIL":
        error[old] = derotator_error_deg(
            scenario.target, mjd[old], scenario.pointing.derotator_lag_s
        )
    return error


def _derotation(
    scenario: IrdisScenario, constants: Constants, parang: Floats, error: Floats, mjd: float
) -> Floats:
    north = constants.value("true_north_deg", arm="IRDIS", mjd=mjd)
    if scenario.pointing.tracking == "FIELD":
        return np.full_like(parang, scenario.pointing.posang_deg + north)
    return np.asarray(parang + error + pupil_zero_deg(constants, mjd) + north)


def pupil_zero_deg(constants: Constants, mjd: float) -> float:
    """Angle between detector and pupil in pupil tracking [deg]."""
    zero = constants.value("pupil_offset_deg", mjd=mjd)
    return zero + constants.value("instrument_offset_deg", arm="IRDIS", mjd=mjd)


def _mask_px(
    scenario: IrdisScenario, constants: Constants, file: PlannedFile, reference_mjd: float
) -> Floats:
    """Position of the coronagraph mask, shape (n, 2, 2): guess, stage, drift, jitter."""
    pointing, moving = scenario.pointing, scenario.effects.motion
    home = np.array([pointing.star_left_px, pointing.star_right_px])
    pitch = constants.value("pixel_pitch_um", arm="IRDIS", mjd=file.start_mjd)
    stage = dither_offset_px(
        file.dither_px[0] * pitch, file.dither_px[1] * pitch, "IRDIS", constants
    )
    position = np.repeat(home[None] + np.array(stage), file.n_planes, axis=0)
    if moving:
        hours = (file.mid_mjd - reference_mjd) * 24
        position = position + hours[:, None, None] * np.array(pointing.drift_px_per_h)
        rng = stream(scenario.seed, "jitter", file.index)
        rms = scenario.wavefront.jitter_mas * np.sqrt(JITTER_LIFETIME_S / file.dit_s)
        scale = constants.value("pixel_scale_mas", arm="IRDIS", mjd=file.start_mjd)
        kicks = rng.standard_normal((file.n_planes, 2)) * rms / np.sqrt(2) / scale
        position = position + kicks[:, None, :]
    return np.asarray(position)


def _star_px(
    scenario: IrdisScenario, constants: Constants, file: PlannedFile, mask: Floats
) -> Floats:
    """Star on the detector: on the mask, but beside it in FLUX files."""
    if file.kind != "FLUX":
        return mask
    angle = np.radians(scenario.sequence.flux_offset_angle_deg)
    mjd = file.start_mjd
    scale = constants.value("pixel_scale_mas", arm="IRDIS", mjd=mjd)
    size = scenario.sequence.flux_offset_mas / scale
    stretch = constants.value("anamorphism_y", arm="IRDIS", mjd=mjd)
    star = np.asarray(mask + np.array([-np.sin(angle), np.cos(angle) / stretch]) * size)
    if scenario.defects.unstable_flux:
        star[0] += UNSTABLE_PX
    return star


def _flux_conditions(
    scenario: IrdisScenario, science: list[PlannedFile], weather: Weather
) -> Conditions | None:
    if not (scenario.atmosphere.flux_at_science_mean and science):
        return None
    return mean_conditions(weather.at(np.concatenate([file.mid_mjd for file in science])))


def _conditions(
    scenario: IrdisScenario,
    file: PlannedFile,
    science: list[PlannedFile],
    weather: Weather,
    shared: Conditions | None,
) -> Conditions:
    now = weather.at(file.mid_mjd)
    if file.kind == "FLUX" and shared is not None:
        now = Conditions(*(np.full(file.n_planes, values[0]) for values in _series(shared)))
    variance, transparency = now.variance.copy(), now.transparency.copy()
    if scenario.defects.unstable_flux and file.kind == "FLUX":
        variance[0] += UNSTABLE_VARIANCE
        transparency[0] *= UNSTABLE_TRANSMISSION
    if scenario.defects.open_loop and file.kind == "OBJECT" and file.number == 0:
        variance = np.full_like(variance, OPEN_LOOP_VARIANCE)
    if scenario.defects.clouds and file in science:
        first, last = science[0].start_mjd, science[-1].end_mjd
        phase = (file.mid_mjd - first) / (last - first)
        transparency = np.where(
            (phase > 1 / 3) & (phase < 2 / 3), CLOUD_TRANSMISSION * transparency, transparency
        )
    return Conditions(now.seeing_arcsec, now.tau0_ms, transparency, variance)


def _series(conditions: Conditions) -> tuple[Floats, Floats, Floats, Floats]:
    c = conditions
    return c.seeing_arcsec, c.tau0_ms, c.transparency, c.variance


def companion_offsets_px(
    separation_mas: float,
    position_angle_deg: float,
    derotation_deg: Floats,
    scale_mas: float,
    anamorphism: float,
) -> tuple[Floats, Floats]:
    """Offset of a companion from the star on the detector.

    North is up and east left after the image is turned counter-clockwise by the derotation,
    so the companion stands at its position angle minus the derotation, counted
    counter-clockwise from +y; rows are `anamorphism` times coarser than columns.
    """
    angle = np.radians(position_angle_deg - derotation_deg)
    radius = separation_mas / scale_mas
    return np.asarray(-radius * np.sin(angle)), np.asarray(radius * np.cos(angle) / anamorphism)


def endpoints(scenario: IrdisScenario, file: PlannedFile) -> SkyState:
    """Follow the star to 1 s before DATE-OBS, to DATE-OBS, and to the end of the file."""
    second = 1.0 / SECONDS_PER_DAY
    return observe(scenario.target, [file.start_mjd - second, file.start_mjd, file.end_mjd])
