"""Simulated nights of the spectrograph: raw files with known truth."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from spheredc_hpc.instrument.constants import Constants, default_constants
from spheredc_hpc.instrument.filters import irdis_bands
from spheredc_hpc.instrument.lenslets import (
    DETECTOR_PX,
    Dispersion,
    Placement,
    channel_wavelengths_um,
    crosstalk_kernel,
    lit_lenslets,
    spot_sigma_px,
)
from spheredc_hpc.simulate.atmosphere import Weather, make_weather
from spheredc_hpc.simulate.detector import Readout, make_maps
from spheredc_hpc.simulate.fitsfile import write_image
from spheredc_hpc.simulate.frames import SkyFile, sky_files
from spheredc_hpc.simulate.ifs.headers import IfsHeaderMaker
from spheredc_hpc.simulate.ifs.light import (
    IfsIntegration,
    IfsNight,
    densities,
    placement_at,
    plane_of,
    spectrum_of,
    spot_factors,
    star_rate_adu_s_um,
    thermal_adu_s,
)
from spheredc_hpc.simulate.ifs.optics import LensletField, LensletOptics
from spheredc_hpc.simulate.ifs.settings import IfsSettings
from spheredc_hpc.simulate.ifs.spectra import Scatter
from spheredc_hpc.simulate.ifs.timeline import IfsFile, plan_ifs_files
from spheredc_hpc.simulate.keywords import archive_id
from spheredc_hpc.simulate.optics import Telescope
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.speckles import make_phase_night
from spheredc_hpc.simulate.spells import stretches_of
from spheredc_hpc.simulate.streams import stream
from spheredc_hpc.simulate.timeline import plan_files

logger = logging.getLogger(__name__)
TRUTH_FILE = "truth_ifs.json"
MAPS_FILE = "truth_ifs_maps.npz"
MARGIN_D = 120 / 86400
SHIFT_RMS_PX, ROTATION_RMS_DEG = 0.5, 0.01
# Spectra that reach over the edge are simulated too: they light the detector.
OVERHANG_PX = -20.0
GRADIENT = 0.2


def simulate_ifs(
    scenario: IrdisScenario, settings: IfsSettings, out_dir: Path, *, threads: int = 1
) -> dict[str, Any]:
    """Write the files of the spectrograph of one night.

    Parameters
    ----------
    scenario : IrdisScenario
        The night, its star and what IRDIS takes: the spectrograph runs beside it.
    settings : IfsSettings
    out_dir : Path
        Folder, with or without the files of IRDIS. ``truth_ifs.json`` and ``truth_ifs_maps.npz``
        are written beside the frames.
    threads : int
        Files worked on at the same time. The bytes written do not depend on it.

    Returns
    -------
    dict
        Content of ``truth_ifs.json``.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        night, headers = prepare_ifs(scenario, settings)
        _write_maps(night, out_dir / MAPS_FILE)
        with ThreadPoolExecutor(max_workers=threads) as pool:
            entries = list(
                pool.map(lambda file: _make_file(night, headers, file, out_dir), night.files)
            )
    truth = _night_truth(night, entries)
    (out_dir / TRUTH_FILE).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    logger.info("simulated %d IFS files of scenario %s", len(entries), scenario.name)
    return truth


def prepare_ifs(scenario: IrdisScenario, settings: IfsSettings) -> tuple[IfsNight, IfsHeaderMaker]:
    """Draw and compute what the files of the night share."""
    constants = default_constants().with_overrides(scenario.constants)
    irdis = plan_files(scenario, constants)
    files = plan_ifs_files(irdis, settings, scenario.date, constants)
    on_sky = [file for file in files if file.on_sky]
    weather = make_weather(
        scenario,
        min(f.start_mjd for f in irdis if f.on_sky) - MARGIN_D,
        max(f.end_mjd for f in [*irdis, *on_sky] if f.on_sky) + MARGIN_D,
        stretches_of(scenario, irdis),
    )
    mjd = on_sky[0].start_mjd
    turn = -constants.value("instrument_offset_deg", arm="IFS", mjd=mjd)
    sky = {
        index: _as_ifs(found, constants, mjd)
        for index, found in sky_files(scenario, constants, list(on_sky), weather).items()
    }
    telescope = Telescope(scenario, irdis_bands(scenario.filter, constants), constants, mjd)
    instants = np.concatenate([file.mid_mjd for file in on_sky])
    starts = np.cumsum([0, *(file.n_planes for file in on_sky)])
    dispersion = Dispersion.of(settings.prism, constants)
    lenslets = lit_lenslets(dispersion, constants, OVERHANG_PX)
    low, high = dispersion.range_um
    s = settings.spectrograph
    samples = np.linspace(low - 0.01, high + 0.01, s.samples)
    rng = stream(scenario.seed, "spectrograph")
    draws = rng.standard_normal(3 + len(lenslets))
    shift = s.shift_px or (SHIFT_RMS_PX * draws[0], SHIFT_RMS_PX * draws[1])
    rotation = s.rotation_deg if s.rotation_deg is not None else ROTATION_RMS_DEG * draws[2]
    field = LensletField.around(lenslets, constants)
    readout = Readout(scenario, make_maps(scenario, constants, "IFS"), constants, "IFS")
    sigma = spot_sigma_px(samples, constants)[:, np.newaxis] * spot_factors(
        lenslets, s.spot_variation
    )
    night = IfsNight(
        scenario=scenario,
        settings=settings,
        files=files,
        sky=sky,
        first_integration={f.index: int(n) for f, n in zip(on_sky, starts[:-1], strict=True)},
        phases=make_phase_night(
            scenario.wavefront, telescope.shapes, scenario.seed, instants, (low, high)
        ),
        lenslets=lenslets,
        dispersion=dispersion,
        placement=Placement(float(shift[0]), float(shift[1]), float(rotation)),
        field=field,
        optics=LensletOptics(telescope, field, scenario.coronagraph, constants, turn),
        readout=readout,
        wave_um=np.linspace(samples[0], samples[-1], s.nodes),
        sample_um=samples,
        throughput=1 + s.throughput_rms * draws[3:],
        sigma=np.ascontiguousarray(sigma),
        scatter=Scatter(crosstalk_kernel(constants), s.crosstalk),
        gradient=_gradient(),
        constants=constants,
        reference_mjd=float(instants.mean()),
    )
    return night, _headers(night, weather)


def _headers(night: IfsNight, weather: Weather) -> IfsHeaderMaker:
    constants = night.constants
    return IfsHeaderMaker(
        night.scenario,
        list(night.files),
        weather,
        constants.value("derotator_fix_mjd"),
        constants.value("pixel_pitch_um", arm="IFS"),
        night.readout.gain,
        night.settings,
    )


def _as_ifs(found: SkyFile, constants: Constants, mjd: float) -> SkyFile:
    """Turn the angles of IRDIS into those of the lenslets."""
    added = 0.0
    for name in ("instrument_offset_deg", "true_north_deg"):
        added += constants.value(name, arm="IFS", mjd=mjd)
        added -= constants.value(name, arm="IRDIS", mjd=mjd)
    return replace(found, derotation_deg=found.derotation_deg + added)


def _gradient() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Thermal light over its mean: smooth, 20 % from side to side."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, DETECTOR_PX),) * 2, indexing="ij")
    return np.asarray(1 + GRADIENT / 2 * (0.8 * x - 0.6 * y), dtype=np.float32)


def _make_file(
    night: IfsNight, headers: IfsHeaderMaker, file: IfsFile, out_dir: Path
) -> dict[str, Any]:
    planes = np.empty((file.n_planes, DETECTOR_PX, DETECTOR_PX), dtype=np.float32)
    integrations = []
    light = None
    for plane in range(file.n_planes):
        if light is None or file.on_sky:
            light, truth = plane_of(night, file, plane)
        planes[plane] = night.readout.expose(light.copy(), file.dit_s, (file.index, plane))
        integrations.append(truth)
    write_image(out_dir / f"{archive_id(file)}.fits", headers.cards(file), planes)
    return _file_truth(night, file, integrations)


def _write_maps(night: IfsNight, path: Path) -> None:
    maps = night.readout.maps
    np.savez(
        path,
        response=maps.response,
        dark_adu_s=maps.dark_adu_s,
        bad=maps.bad,
        lenslet_i=night.lenslets.i,
        lenslet_j=night.lenslets.j,
        throughput=night.throughput,
        sigma=night.sigma.astype(np.float32),
        sample_um=night.sample_um,
        spot_factor=spot_factors(night.lenslets, night.settings.spectrograph.spot_variation),
    )


def _file_truth(
    night: IfsNight, file: IfsFile, integrations: list[IfsIntegration]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "archive_id": archive_id(file),
        "file": f"{archive_id(file)}.fits",
        "kind": file.kind,
        "setup": file.setup,
        "number": file.number,
        "start_mjd": file.start_mjd,
        "end_mjd": file.end_mjd,
        "dit_s": file.dit_s,
        "ndit": file.ndit,
        "n_planes": file.n_planes,
        "nd": file.nd,
        "thermal_adu_s": [thermal_adu_s(night, file, k) for k in range(file.n_planes)],
        "placement": [vars(placement_at(night, file, k)) for k in range(file.n_planes)],
    }
    if file.on_sky:
        entry["integrations"] = [
            _integration(night, file, plane, truth) for plane, truth in enumerate(integrations)
        ]
    return entry


def _integration(
    night: IfsNight, file: IfsFile, plane: int, truth: IfsIntegration
) -> dict[str, Any]:
    sky = night.sky[file.index]
    turn = sky.derotation_deg[plane]
    entry = {
        "mjd_mid": float(file.mid_mjd[plane]),
        "parang_mean_deg": float(sky.parang_deg[plane].mean()),
        "derotation_mean_deg": float(turn.mean()),
        "derotation_first_deg": float(turn[0]),
        "derotation_last_deg": float(turn[-1]),
        "transparency": float(sky.conditions.transparency[plane]),
        "seeing_arcsec": float(sky.conditions.seeing_arcsec[plane]),
        "tau0_ms": float(sky.conditions.tau0_ms[plane]),
        "degraded": sky.bad[plane],
    }
    if file.kind == "SKY":
        return entry
    return entry | {
        "star_mas": truth.star_mas,
        "strehl": truth.strehl,
        "companions": truth.companions,
    }


def _night_truth(night: IfsNight, entries: list[dict[str, Any]]) -> dict[str, Any]:
    channels = channel_wavelengths_um(night.settings.prism, night.constants)
    return {
        "scenario": night.scenario.plain(),
        "ifs": night.settings.plain(),
        "constants": {"version": night.constants.version, "digest": night.constants.digest},
        "prism": night.settings.prism,
        "lenslets": len(night.lenslets),
        "placement": vars(night.placement),
        "reference_mjd": night.reference_mjd,
        "node_um": night.wave_um.tolist(),
        "channel_um": channels.tolist(),
        "star_adu_s_um": star_rate_adu_s_um(night, channels).tolist(),
        "densities": {
            nd: densities(nd, channels).tolist() for nd in ("OPEN", "ND_1.0", "ND_2.0", "ND_3.5")
        },
        "companions": {
            c.name: {**c.plain(), "contrast": spectrum_of(night.settings, c, channels).tolist()}
            for c in night.scenario.companions
        },
        "maps": MAPS_FILE,
        "files": entries,
    }
