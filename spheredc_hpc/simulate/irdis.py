"""Simulated IRDIS nights of imaging: raw files with known truth."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from spheredc_hpc.errors import ConfigError, ResourceError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.filters import irdis_bands
from spheredc_hpc.simulate.atmosphere import make_weather
from spheredc_hpc.simulate.defects import has_wrong_checksum, spoil_file, spoil_planes
from spheredc_hpc.simulate.detector import Readout, make_maps
from spheredc_hpc.simulate.fitsfile import write_image
from spheredc_hpc.simulate.frames import sky_files
from spheredc_hpc.simulate.keywords import HeaderMaker, archive_id
from spheredc_hpc.simulate.light import Integration, Night, far_halo, light_of
from spheredc_hpc.simulate.optics import Telescope
from spheredc_hpc.simulate.photometry import (
    background_rate_adu_s,
    filter_density,
    star_rate_adu_s,
)
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sparta import write_sparta
from spheredc_hpc.simulate.speckles import REFERENCE_UM, make_phase_night
from spheredc_hpc.simulate.spells import stretches_of
from spheredc_hpc.simulate.thermal import thermal_map
from spheredc_hpc.simulate.timeline import PlannedFile, plan_files
from spheredc_hpc.simulate.truth import Truth, file_truth, night_truth, write_maps

logger = logging.getLogger(__name__)
MARGIN_D = 120 / 86400


def simulate_irdis(scenario: IrdisScenario, out_dir: Path, *, threads: int = 1) -> Truth:
    """Write one simulated night.

    Parameters
    ----------
    scenario : IrdisScenario
        What to simulate; see `spheredc_hpc.simulate.load_scenario`.
    out_dir : Path
        Folder for the raw files, ``truth.json`` and ``truth_maps.npz``; made if absent.
    threads : int
        Files worked on at the same time. The bytes written do not depend on it.

    Returns
    -------
    Truth
        Content of ``truth.json``.

    Raises
    ------
    ConfigError
        If the folder already holds raw files.
    ResourceError
        If the folder cannot be written.
    """
    _ensure_writable(out_dir)
    if any(out_dir.glob("SPHER.*.fits")):
        raise ConfigError(f"{out_dir} already holds raw files; expected an empty folder")
    with threadpool_limits(1):
        night = prepare(scenario)
        write_maps(out_dir, night.readout.maps)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            entries = list(pool.map(lambda file: _make_file(night, file, out_dir), night.files))
    telemetry = _write_telemetry(night, out_dir)
    truth = Truth(out_dir, night_truth(night, entries, telemetry))
    truth.write()
    logger.info("simulated %d files of scenario %s", len(entries), scenario.name)
    return truth


def _ensure_writable(folder: Path) -> None:
    """Make a folder, and a file in it that is gone at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResourceError(f"cannot write the raw folder {folder}: {error.strerror}") from error


def prepare(scenario: IrdisScenario) -> Night:
    """Draw and compute what the files of the night share."""
    constants = default_constants().with_overrides(scenario.constants)
    bands = irdis_bands(scenario.filter, constants)
    files = plan_files(scenario, constants)
    on_sky = [file for file in files if file.on_sky]
    weather = make_weather(
        scenario,
        on_sky[0].start_mjd - MARGIN_D,
        on_sky[-1].end_mjd + MARGIN_D,
        stretches_of(scenario, files),
    )
    sky = sky_files(scenario, constants, files, weather)
    starts, instants = _number_integrations(on_sky)
    telescope = Telescope(scenario, bands, constants, on_sky[0].start_mjd)
    phases = make_phase_night(
        scenario.wavefront,
        telescope.shapes,
        scenario.seed,
        instants,
        (bands[0].wavelength_um, bands[1].wavelength_um),
    )
    readout = Readout(scenario, make_maps(scenario, constants), constants)
    background = scenario.detector.background_adu_s
    return Night(
        scenario=scenario,
        bands=bands,
        files=files,
        sky=sky,
        first_integration=starts,
        phases=phases,
        telescope=telescope,
        readout=readout,
        headers=HeaderMaker(
            scenario,
            files,
            weather,
            constants.value("derotator_fix_mjd"),
            constants.value("pixel_pitch_um", arm="IRDIS"),
            readout.gain,
        ),
        star_rates=tuple(
            _pair(
                star_rate_adu_s(band, star.target.magnitude, constants)
                * filter_density(scenario.filter, band, constants)
                for band in bands
            )
            for star in map(scenario.of_star, range(scenario.n_stars))
        ),
        background=_pair(
            background_rate_adu_s(band, constants) if background is None else background
            for band in bands
        ),
        thermal=thermal_map(scenario),
        far_halo=(far_halo(telescope, scenario.seed, 0), far_halo(telescope, scenario.seed, 1)),
        constants=constants,
    )


def _pair(values: Iterable[float]) -> tuple[float, float]:
    left, right = values
    return left, right


def _number_integrations(
    on_sky: list[PlannedFile],
) -> tuple[dict[int, int], np.ndarray[Any, np.dtype[np.float64]]]:
    """Count integrations: the first of each file, and the middle of every one [d]."""
    starts: dict[int, int] = {}
    total = 0
    for file in on_sky:
        starts[file.index] = total
        total += file.n_planes
    return starts, np.concatenate([file.mid_mjd for file in on_sky])


def _make_file(night: Night, file: PlannedFile, out_dir: Path) -> dict[str, Any]:
    """Write one image file and return its truth."""
    shape = (file.n_planes, *night.readout.maps.response.shape)
    planes = np.empty(shape, dtype=np.float32)
    integrations: list[Integration] = []
    for plane in range(file.n_planes):
        light, integration = light_of(night, file, plane)
        planes[plane] = night.readout.expose(light, file.dit_s, (file.index, plane))
        integrations.append(integration)
    spoil_planes(night.scenario, file, planes)
    path = out_dir / f"{archive_id(file)}.fits"
    damage = has_wrong_checksum(night.scenario, file)
    write_image(path, night.headers.cards(file), planes, damage=damage)
    spoil_file(night.scenario, file, path)
    return file_truth(night, file, integrations)


def _write_telemetry(night: Night, out_dir: Path) -> list[str]:
    if not night.scenario.sequence.sparta:
        return []
    on_sky = [file for file in night.files if file.on_sky]
    wavefront = night.scenario.wavefront
    rms = np.hypot(wavefront.static_nm, wavefront.quasi_static_nm)
    static = (2 * np.pi * rms / (REFERENCE_UM * 1000)) ** 2
    span = (on_sky[0].start_mjd - MARGIN_D / 2, on_sky[-1].end_mjd + MARGIN_D / 2)
    paths = write_sparta(night.scenario, night.headers.weather, float(static), span, out_dir)
    return [path.name for path in paths]
