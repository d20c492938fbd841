"""Light that reaches the detector in one integration."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.filters import Band, nd_transmission
from spheredc_hpc.simulate.detector import Readout
from spheredc_hpc.simulate.frames import SkyFile, companion_offsets_px, pupil_zero_deg
from spheredc_hpc.simulate.keywords import HeaderMaker
from spheredc_hpc.simulate.optics import (
    Aberrations,
    StarImages,
    Telescope,
    add_stamp,
    shifted,
)
from spheredc_hpc.simulate.pupil import Grid
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import CompanionSpec
from spheredc_hpc.simulate.speckles import PhaseNight
from spheredc_hpc.simulate.streams import stream
from spheredc_hpc.simulate.thermal import thermal_level
from spheredc_hpc.simulate.timeline import PlannedFile

Floats = NDArray[np.float32]
FIELD_PX = 1024
HALO_HALF_PX = 660
HALO_GRAIN = 0.08
GRAIN_SIGMA_PX = 1.4


@dataclass(frozen=True)
class Night:
    """Everything that the files of one night share.

    Attributes
    ----------
    first_integration : dict
        Number of the first integration of each file on the sky, in `phases`.
    star_rates : tuple of (float, float)
        Counts of each star without neutral density, for the left and right field [ADU/s].
    background : (float, float)
        Thermal background per pixel, for the left and right field [ADU/s].
    thermal : array, shape (1024, 1024), or None
        Relative thermal light of the right field; None where it is flat.
    far_halo : tuple of array, shape (1321, 1321)
        Smooth halo of flux 1 around the star, for the parts outside of the computed images.
    """

    scenario: IrdisScenario
    bands: tuple[Band, Band]
    files: list[PlannedFile]
    sky: dict[int, SkyFile]
    first_integration: dict[int, int]
    phases: PhaseNight
    telescope: Telescope
    readout: Readout
    headers: HeaderMaker
    star_rates: tuple[tuple[float, float], ...]
    background: tuple[float, float]
    thermal: Floats | None
    far_halo: tuple[Floats, Floats]
    constants: Constants


@dataclass
class Integration:
    """Truth of one integration that only its computation tells.

    Attributes
    ----------
    strehl : list of float
        Per field.
    companions : dict of list
        By name: mean position on each field, (x, y) [px].
    transmissions : dict of float
        By name: transmission of the coronagraph.
    """

    strehl: list[float] = field(default_factory=list)
    companions: dict[str, list[list[float]]] = field(default_factory=dict)
    transmissions: dict[str, float] = field(default_factory=dict)


def far_halo(telescope: Telescope, seed: int, which: int) -> Floats:
    """Smooth halo of flux 1 with a static grain that scales with the wavelength."""
    size = 2 * HALO_HALF_PX + 1
    star = (float(HALO_HALF_PX), float(HALO_HALF_PX))
    grid = Grid(0, 0, size, *star, telescope.scale_mas[which], telescope.anamorphism)
    flat = np.zeros((1, 1), dtype=np.float32)
    calm = Aberrations((flat, flat), 0.0, 1e3, 1e3)
    halo = telescope.halo(which, grid, calm)
    grain = stream(seed, "grain").standard_normal((size, size), dtype=np.float32)
    grain = scipy.ndimage.gaussian_filter(grain, GRAIN_SIGMA_PX)
    grain *= HALO_GRAIN / grain.std()
    zoom = telescope.bands[0].wavelength_um / telescope.bands[which].wavelength_um
    if zoom != 1.0:
        offset = HALO_HALF_PX * (1 - zoom)
        grain = scipy.ndimage.affine_transform(
            grain, np.array([zoom, zoom]), offset, order=1, mode="nearest"
        )
    if telescope.speckles:
        halo = halo * (1 + grain)
    return np.asarray(halo, dtype=np.float32)


def light_of(night: Night, file: PlannedFile, plane: int) -> tuple[Floats, Integration]:
    """Light of one integration before the detector.

    Returns
    -------
    light : array, shape (1024, 2048)
        Rate per pixel of response 1 [ADU/s].
    integration : Integration
    """
    light = np.zeros((FIELD_PX, 2 * FIELD_PX), dtype=np.float32)
    integration = Integration()
    if file.kind == "FLAT":
        light += np.float32(night.scenario.calibrations.flat_rate_adu_s)
    if file.kind != "DARK" and night.scenario.effects.detector:
        _add_background(night, file, float(file.mid_mjd[plane]), light)
    if file.on_sky and file.kind != "SKY":
        _add_sources(night, file, plane, light, integration)
    return light, integration


def _add_background(night: Night, file: PlannedFile, mjd: float, light: Floats) -> None:
    """Thermal light of the instrument, and the sky through its neutral density."""
    level = thermal_level(night.scenario, mjd)
    for which in (0, 1):
        nd = nd_transmission(file.nd, night.bands[which].name, night.constants)
        sky = night.scenario.detector.sky_adu_s * nd if file.on_sky else 0.0
        thermal = night.background[which] * level
        if which == 1 and night.thermal is not None:
            _half(light, which)[:] += np.float32(thermal) * night.thermal + np.float32(sky)
        else:
            _half(light, which)[:] += np.float32(thermal + sky)


def _half(light: Floats, which: int) -> Floats:
    return light[:, which * FIELD_PX : (which + 1) * FIELD_PX]


def _add_sources(
    night: Night, file: PlannedFile, plane: int, light: Floats, integration: Integration
) -> None:
    sky, telescope, scenario = night.sky[file.index], night.telescope, night.scenario
    number = night.first_integration[file.index] + plane
    conditions = sky.conditions
    zero = np.zeros_like(night.phases.common[0])
    bright = scenario.effects.speckles
    path = (
        night.phases.path_nm(number, 0) if bright else zero,
        night.phases.path_nm(number, 1) if bright else zero,
    )
    aberrations = Aberrations(
        path_nm=path,
        variance=float(conditions.variance[plane]) if bright else 0.0,
        tau0_ms=float(conditions.tau0_ms[plane]),
        wind_m_s=float(conditions.wind_m_s[plane]),
        waffle=scenario.wavefront.waffle_orientation if file.kind == "CENTER" else "",
    )
    rng = stream(scenario.seed, "states", file.index, plane)
    states = telescope.path_differences(aberrations, file.dit_s, rng)
    spiders = _spider_turn_deg(night, sky, plane)
    for which in (0, 1):
        x, y = (float(v) for v in sky.star_px[plane, which])
        grid = telescope.grid(which, (x, y))
        images = telescope.images(which, grid, aberrations, states, spiders)
        rate = night.star_rates[file.star][which] * float(conditions.transparency[plane])
        rate *= nd_transmission(file.nd, night.bands[which].name, night.constants)
        half = _half(light, which)
        if scenario.effects.star:
            star = images.beside if file.kind == "FLUX" else images.behind
            _add_star(half, star, grid, np.float32(rate), images.smooth * night.far_halo[which])
        for companion in scenario.of_star(file.star).companions:
            place = (which, plane)
            _add_companion(night, file, place, companion, images, rate, half, integration)
        integration.strehl.append(images.strehl)


def _spider_turn_deg(night: Night, sky: SkyFile, plane: int) -> float:
    """Turn of the spiders on the detector since pupil tracking, counter-clockwise.

    A spider keeps its direction on the sky whatever the derotator does, so that it turns by
    the derotation of pupil tracking less that of field tracking.
    """
    pointing = night.scenario.pointing
    if pointing.tracking == "PUPIL":
        return 0.0
    zero = pupil_zero_deg(night.constants, night.files[0].start_mjd)
    return float(sky.parang_deg[plane].mean() + zero - pointing.posang_deg)


def _add_star(half: Floats, star: Floats, grid: Grid, rate: np.float32, far: Floats) -> None:
    """Add computed image around the star, smooth halo elsewhere."""
    cx, cy = grid.x0 + grid.size // 2, grid.y0 + grid.size // 2
    top, left = HALO_HALF_PX - cy, HALO_HALF_PX - cx
    inside = half[grid.y0 : grid.y0 + grid.size, grid.x0 : grid.x0 + grid.size].copy()
    half += rate * far[top : top + FIELD_PX, left : left + FIELD_PX]
    half[grid.y0 : grid.y0 + grid.size, grid.x0 : grid.x0 + grid.size] = inside + rate * star


def _add_companion(
    night: Night,
    file: PlannedFile,
    place: tuple[int, int],
    companion: CompanionSpec,
    images: StarImages,
    rate: float,
    half: Floats,
    integration: Integration,
) -> None:
    """Add one companion, smeared over the integration."""
    which, plane = place
    sky, telescope, grid = night.sky[file.index], night.telescope, images.grid
    dx, dy = companion_offsets_px(
        companion.separation_mas,
        companion.position_angle_deg,
        sky.derotation_deg[plane],
        telescope.scale_mas[which],
        telescope.anamorphism,
    )
    from_mask = sky.star_px[plane, which] - sky.mask_px[plane, which]
    distance = np.hypot(dx + from_mask[0], (dy + from_mask[1]) * telescope.anamorphism)
    passed = 1.0
    if telescope.has_mask:
        passed = float(telescope.transmission(distance * telescope.scale_mas[which]).mean())
    base_x, base_y = round(float(dx.mean())), round(float(dy.mean()))
    stamp = shifted(images.beside, dx - base_x, dy - base_y)
    stamp *= np.float32(rate * companion.contrast[which] * passed)
    add_stamp(half, stamp, grid.x0 + base_x, grid.y0 + base_y)
    places = integration.companions.setdefault(companion.name, [])
    places.append([grid.star_x + float(dx.mean()), grid.star_y + float(dy.mean())])
    integration.transmissions[companion.name] = passed
