"""Light of every lenslet in one integration, and what it makes on the detector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.filters import nd_transmission_at
from spheredc_hpc.instrument.lenslets import (
    DETECTOR_PX,
    Dispersion,
    Lenslets,
    Placement,
    spot_sigma_px,
)
from spheredc_hpc.simulate.detector import Readout
from spheredc_hpc.simulate.frames import SkyFile
from spheredc_hpc.simulate.ifs.optics import (
    LensletField,
    LensletOptics,
    smeared,
)
from spheredc_hpc.simulate.ifs.settings import IfsSettings
from spheredc_hpc.simulate.ifs.spectra import Scatter, deposit
from spheredc_hpc.simulate.ifs.timeline import IfsFile
from spheredc_hpc.simulate.optics import Aberrations
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import CompanionSpec
from spheredc_hpc.simulate.speckles import PhaseNight
from spheredc_hpc.simulate.streams import stream

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

# Photons of magnitude zero at the middle of the bands Y, J and H.
ZERO_BANDS = (("BB_Y", 1.043), ("BB_J", 1.245), ("BB_H", 1.625))
# Bands of water vapour: centre and width [um], depth in an average night.
WATER = ((1.135, 0.022, 0.35), (1.400, 0.045, 0.85))
EDGE_UM = 0.006
LAMP_PEAK_UM = 1.25
LAMP_WIDTH_UM = 0.55
DETECTOR_GRADIENT = 0.10


@dataclass(frozen=True)
class IfsNight:
    """Everything that the files of the spectrograph share.

    Attributes
    ----------
    wave_um : array, shape (nodes,)
        Wavelengths at which images are computed.
    sample_um : array, shape (samples,)
        Wavelengths of the spots of a continuous spectrum.
    throughput : array, shape (n,)
        Of each lenslet.
    sigma : array, shape (samples, n)
        Width of its spots [px].
    first_integration : dict
        Number of the first integration of each file on the sky, in `phases`.
    gradient : array, shape (2048, 2048)
        Thermal light over its mean.
    """

    scenario: IrdisScenario
    settings: IfsSettings
    files: list[IfsFile]
    sky: dict[int, SkyFile]
    first_integration: dict[int, int]
    phases: PhaseNight
    lenslets: Lenslets
    dispersion: Dispersion
    placement: Placement
    field: LensletField
    optics: LensletOptics
    readout: Readout
    wave_um: Floats
    sample_um: Floats
    throughput: Floats
    sigma: Floats
    scatter: Scatter
    gradient: Image
    constants: Constants
    reference_mjd: float


@dataclass
class IfsIntegration:
    """Truth of one integration.

    Attributes
    ----------
    star_mas : list
        Star on the lenslets at the first and last node [mas].
    strehl : list of float
        At each node.
    companions : dict
        By name: mean offset from the star [mas], transmission, and light at each node [ADU/s].
    """

    star_mas: list[list[float]] = field(default_factory=list)
    strehl: list[float] = field(default_factory=list)
    companions: dict[str, dict[str, Any]] = field(default_factory=dict)


def placement_at(night: IfsNight, file: IfsFile, plane: int) -> Placement:
    """Where the pattern of spectra lies in one integration."""
    settings = night.settings.spectrograph
    hours = (float(file.mid_mjd[plane]) - night.reference_mjd) * 24
    dx, dy = (rate * hours for rate in settings.drift_px_per_h)
    if not file.on_sky:
        # In the morning the drift of the night is over.
        dx = dy = 0.0
    if file.on_sky and night.settings.defects.shifted_spectra:
        dx, dy = dx + 3.0, dy - 3.0
    base = night.placement
    return Placement(base.dx_px + dx, base.dy_px + dy, base.rotation_deg, base.scale)


def star_rate_adu_s_um(night: IfsNight, wave_um: Floats) -> Floats:
    """Give the counts of the star over all pixels per micrometre, without density [ADU/s/um]."""
    constants = night.constants
    nodes = [
        (wave, constants.value("photon_rate_zero_mag", band=band)) for band, wave in ZERO_BANDS
    ]
    at, rates = np.array(nodes).T
    photons = np.exp(np.interp(wave_um, at, np.log(rates)))
    magnitude = night.scenario.target.magnitude
    electrons = (
        photons
        * 10 ** (-0.4 * magnitude)
        * constants.value("telescope_area_m2")
        * constants.value("system_throughput", arm="IFS")
        * transmission(night.settings, wave_um, constants)
    )
    return np.asarray(electrons / constants.value("detector_gain_e_per_adu", arm="IFS"))


def transmission(settings: IfsSettings, wave_um: Floats, constants: Constants) -> Floats:
    """Air and disperser, relative."""
    air = np.ones_like(wave_um)
    for centre, width, depth in WATER:
        air *= 1 - depth * np.exp(-0.5 * ((wave_um - centre) / width) ** 2)
    low = constants.value("lenslet_light_min_um", prism=settings.prism)
    high = constants.value("lenslet_light_max_um", prism=settings.prism)
    edges = [1 / (1 + np.exp(-side / EDGE_UM)) for side in (wave_um - low, high - wave_um)]
    return np.asarray(air * edges[0] * edges[1])


def spectrum_of(settings: IfsSettings, companion: CompanionSpec, wave_um: Floats) -> Floats:
    """Contrast of a companion against wavelength."""
    own = settings.companions.get(companion.name)
    if own is None:
        return np.full_like(wave_um, companion.contrast[0])
    return np.interp(wave_um, own.wavelength_um, own.contrast)


def plane_of(night: IfsNight, file: IfsFile, plane: int) -> tuple[Image, IfsIntegration]:
    """Light of one integration before the detector [ADU/s], and its truth."""
    light = np.zeros((DETECTOR_PX, DETECTOR_PX), np.float32)
    truth = IfsIntegration()
    if file.kind == "DET_FLAT":
        _detector_flat(night, file, light)
    elif file.kind in ("SPECPOS", "IFU_FLAT"):
        _spectra(night, file, plane, light, _lamp(night))
    elif file.kind == "WAVE":
        _lasers(night, file, plane, light)
    elif file.on_sky and file.kind != "SKY":
        _spectra(night, file, plane, light, sky_light(night, file, plane, truth))
    if light.any() and file.kind != "DET_FLAT":
        night.scatter.add_to(light)
    if night.scenario.effects.detector:
        light += np.float32(thermal_adu_s(night, file, plane)) * night.gradient
    return light, truth


def thermal_adu_s(night: IfsNight, file: IfsFile, plane: int) -> float:
    """Thermal light of one integration; it changes with the temperature of the instrument."""
    settings = night.settings.spectrograph
    hours = (float(file.mid_mjd[plane]) - night.reference_mjd) * 24
    return settings.background_adu_s * (
        1 + settings.background_drift * float(np.tanh(hours / 6)) * (1 if file.on_sky else -1)
    )


def _spectra(
    night: IfsNight, file: IfsFile, plane: int, light: Image, per_um: tuple[Floats, Floats]
) -> None:
    """Put continuous spectra on the detector: light per micrometre at nodes, shape (nodes, n)."""
    nodes, rates = per_um
    waves = night.sample_um
    step = waves[1] - waves[0]
    place = np.clip(np.searchsorted(nodes, waves) - 1, 0, len(nodes) - 2)
    share = ((waves - nodes[place]) / (nodes[place + 1] - nodes[place]))[:, np.newaxis]
    flux = ((1 - share) * rates[place] + share * rates[place + 1]) * night.throughput * step
    if file.on_sky:
        # Nodes hold no air, whose bands are narrower than their distance.
        flux = flux * transmission(night.settings, waves, night.constants)[:, np.newaxis]
    x, y = night.dispersion.at(night.lenslets, waves, placement_at(night, file, plane))
    deposit(light, x, y, flux, night.sigma)


def _lamp(night: IfsNight) -> tuple[Floats, Floats]:
    """Smooth spectrum of the calibration lamp, the same for all lenslets."""
    waves = night.sample_um
    form = np.exp(-0.5 * ((waves - LAMP_PEAK_UM) / LAMP_WIDTH_UM) ** 2)
    low, high = night.dispersion.range_um
    form *= 1 / (1 + np.exp(-(waves - low) / EDGE_UM)) / (1 + np.exp(-(high - waves) / EDGE_UM))
    form *= night.settings.calibrations.lamp_adu_s / (form.sum() * (waves[1] - waves[0]))
    return waves, np.repeat(form[:, np.newaxis], len(night.lenslets), axis=1)


def _lasers(night: IfsNight, file: IfsFile, plane: int, light: Image) -> None:
    lasers = night.dispersion.laser_um
    x, y = night.dispersion.at(night.lenslets, lasers, placement_at(night, file, plane))
    rate = night.settings.calibrations.laser_adu / file.dit_s
    power = rate * (1 - 0.15 * np.arange(len(lasers)) / len(lasers))
    if night.settings.defects.dead_laser is not None:
        power[night.settings.defects.dead_laser - 1] = 0.0
    wide = 1 + 0.2 * (night.lenslets.u * 0.6 + night.lenslets.v * 0.8) / 75
    flux = power[:, np.newaxis] * (night.throughput * wide)
    sigma = spot_sigma_px(lasers, night.constants)[:, np.newaxis] * spot_factor(night)
    deposit(light, x, y, flux, np.ascontiguousarray(np.broadcast_to(sigma, x.shape)))


def spot_factor(night: IfsNight) -> Floats:
    """Width of the spots of each lenslet over the mean."""
    return spot_factors(night.lenslets, night.settings.spectrograph.spot_variation)


def spot_factors(lenslets: Lenslets, variation: float) -> Floats:
    """Smooth change of the spots over the field."""
    radius2 = (lenslets.u**2 + lenslets.v**2) / 75.0**2
    return np.asarray(1 + variation * (radius2 - 0.5 + 0.4 * lenslets.u / 75))


def _detector_flat(night: IfsNight, file: IfsFile, light: Image) -> None:
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, DETECTOR_PX),) * 2, indexing="ij")
    rate = night.settings.calibrations.det_flat_adu_s
    light += (rate * (1 + DETECTOR_GRADIENT * (0.7 * x + 0.7 * y))).astype(np.float32)


def sky_light(
    night: IfsNight, file: IfsFile, plane: int, truth: IfsIntegration
) -> tuple[Floats, Floats]:
    """Star and companions on the lenslets, per micrometre at the nodes, without air."""
    scenario, sky, optics = night.scenario, night.sky[file.index], night.optics
    number = night.first_integration[file.index] + plane
    conditions = sky.conditions
    bright = scenario.effects.speckles
    aberrations = Aberrations(
        path_nm=(night.phases.common[0] * 0, night.phases.common[0] * 0),
        variance=float(conditions.variance[plane]) if bright else 0.0,
        tau0_ms=float(conditions.tau0_ms[plane]),
        wind_m_s=float(conditions.wind_m_s[plane]),
    )
    rng = stream(scenario.seed, "states", file.index, plane)
    states = optics.telescope.path_differences(aberrations, file.dit_s, rng)
    if bright:
        states = states + night.phases.path_nm(number, 0)
    if file.kind == "CENTER":
        states = states + optics.telescope.waffle_nm(scenario.wavefront.waffle_orientation)
    states = optics.turned(states)
    rates = star_rate_adu_s_um(night, night.wave_um) / transmission(
        night.settings, night.wave_um, night.constants
    )
    rates = rates * float(conditions.transparency[plane]) * densities(file.nd, night.wave_um)
    shares = np.empty((len(night.wave_um), len(night.lenslets)))
    companions = scenario.of_star(file.star).companions
    for i, wave in enumerate(night.wave_um):
        star = star_mas(night, file, plane, float(wave))
        found = optics.star(float(wave), star, aberrations, states, 0.0)
        image = found.beside if file.kind == "FLUX" else found.behind
        image = image * float(scenario.effects.star)
        for companion in companions:
            contrast = float(spectrum_of(night.settings, companion, np.array([wave]))[0])
            image = image + _companion(
                night, (file, plane), companion, found.beside, contrast * rates[i], truth
            ) / max(rates[i], 1e-30)
        shares[i] = night.field.collect(image) * rates[i]
        truth.strehl.append(found.strehl)
        if i in (0, len(night.wave_um) - 1):
            truth.star_mas.append(list(star))
    return night.wave_um, shares


def densities(nd: str, wave_um: Floats) -> Floats:
    """Transmission of a neutral density, taken at the ends of its curve beyond them."""
    return np.array([nd_transmission_at(nd, float(np.clip(w, 0.951, 1.649))) for w in wave_um])


def star_mas(night: IfsNight, file: IfsFile, plane: int, wave_um: float) -> tuple[float, float]:
    """Star on the lenslets, from the middle of the field along the images [mas]."""
    settings, scenario = night.settings.spectrograph, night.scenario
    scale = night.constants.value("lenslet_pitch_mas", arm="IFS") / np.sqrt(3.0)
    middle = night.constants.value("ifs_image_px") / 2
    hours = (float(file.mid_mjd[plane]) - night.reference_mjd) * 24
    moving = float(scenario.effects.motion)
    x, y = (
        (star - middle + moving * hours * rate) * scale
        for star, rate in zip(settings.star_px, settings.drift_star_px_per_h, strict=True)
    )
    if moving:
        rng = stream(scenario.seed, "ifs jitter", file.index, plane)
        rms = scenario.wavefront.jitter_mas * np.sqrt(1.0 / file.dit_s / 2)
        kick = rng.standard_normal(2) * rms
        x, y = x + kick[0], y + kick[1]
    # Refraction that the correctors leave, as its refractivity goes with the wavelength.
    low, high = night.wave_um[0], night.wave_um[-1]
    colour = (wave_um**-2 - low**-2) / (high**-2 - low**-2) - 0.5
    x, y = x + colour * settings.dispersion_mas[0], y + colour * settings.dispersion_mas[1]
    if file.kind == "FLUX":
        angle = np.radians(scenario.sequence.flux_offset_angle_deg + night.optics.turn_deg)
        size = scenario.sequence.flux_offset_mas
        x, y = x - size * np.sin(angle), y + size * np.cos(angle)
    stretch = [night.constants.value(f"anamorphism_{axis}", arm="IFS") for axis in "xy"]
    return float(x * stretch[0]), float(y * stretch[1])


def _companion(
    night: IfsNight,
    place: tuple[IfsFile, int],
    companion: CompanionSpec,
    star: Floats,
    rate: float,
    truth: IfsIntegration,
) -> Floats:
    """Image of one companion, smeared over the integration [ADU/s/um]."""
    file, plane = place
    turn = night.sky[file.index].derotation_deg[plane]
    angle = np.radians(companion.position_angle_deg - turn)
    dx, dy = -companion.separation_mas * np.sin(angle), companion.separation_mas * np.cos(angle)
    passed = 1.0
    if night.scenario.has_mask and file.kind != "FLUX":
        passed = float(night.optics.transmission(np.hypot(dx, dy)).mean())
    field_ = night.field
    columns = dx / (field_.dx_mas[1] - field_.dx_mas[0])
    rows = dy / (field_.dy_mas[1] - field_.dy_mas[0])
    entry = truth.companions.setdefault(
        companion.name,
        {"offset_mas": [float(dx.mean()), float(dy.mean())], "transmission": passed, "light": []},
    )
    entry["light"].append(rate * passed)
    return smeared(star, rows, columns) * (rate * passed)
