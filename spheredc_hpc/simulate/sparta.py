"""Telemetry files of the adaptive optics (SPARTA)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from spheredc_hpc.instrument.headers import iso_from_mjd
from spheredc_hpc.simulate.atmosphere import Weather
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import Telemetry
from spheredc_hpc.simulate.sky import SECONDS_PER_DAY
from spheredc_hpc.simulate.streams import stream

Floats = NDArray[np.float64]
Tables = dict[str, dict[str, NDArray[np.float32]]]
UNIX_EPOCH_MJD = 40587.0
FILE_LENGTH_S = 900.0
RELATIVE_NOISE = 0.05
INVALID_STREHL = 0.0
DTTS_PX = 32


def write_sparta(
    scenario: IrdisScenario,
    weather: Weather,
    static_variance: float,
    span_mjd: tuple[float, float],
    folder: Path,
) -> list[Path]:
    """Write the telemetry of a night, one file per 15 minutes.

    Parameters
    ----------
    scenario : IrdisScenario
    weather : Weather
        True conditions; the tables carry 5 % of noise.
    static_variance : float
        Phase variance at 1.6 um that does not come from the atmosphere [rad2].
    span_mjd : (float, float)
        First and last instant covered [d].
    folder : Path
        Where the files go.
    """
    settings = scenario.telemetry
    paths = []
    count = int(np.ceil((span_mjd[1] - span_mjd[0]) * SECONDS_PER_DAY / FILE_LENGTH_S))
    for number in range(count):
        start = span_mjd[0] + number * FILE_LENGTH_S / SECONDS_PER_DAY
        length = min(FILE_LENGTH_S, (span_mjd[1] - start) * SECONDS_PER_DAY)
        if number in settings.missing_files:
            continue
        mjd = start + np.arange(0, length, settings.sampling_s) / SECONDS_PER_DAY
        mjd = mjd[_recorded(mjd, span_mjd, settings)]
        rng = stream(scenario.seed, "sparta", number)
        tables = _tables(weather, static_variance, mjd, rng)
        _invalidate(tables, settings.invalid_share, stream(scenario.seed, "invalid", number))
        units = [_primary(scenario, start), *(_table(name, t, mjd) for name, t in tables.items())]
        path = folder / f"SPHER.{iso_from_mjd(start, digits=3)}.fits"
        fits.HDUList(units).writeto(path, overwrite=True, checksum=True)
        paths.append(path)
    return paths


def _primary(scenario: IrdisScenario, start_mjd: float) -> fits.PrimaryHDU:
    unit = fits.PrimaryHDU()
    date = iso_from_mjd(start_mjd)
    cards = {
        "ORIGIN": "ESO-PARANAL",
        "DATE": date,
        "TELESCOP": "ESO-VLT-U3",
        "INSTRUME": "SPHERE",
        "OBJECT": scenario.target.name,
        "MJD-OBS": round(start_mjd, 8),
        "DATE-OBS": date,
        "HIERARCH ESO DPR CATG": "CALIB",
        "HIERARCH ESO DPR TYPE": "OBJECT,AO",
        "HIERARCH ESO DPR TECH": "IMAGE",
        "HIERARCH ESO DET ID": "SPARTA",
        "HIERARCH ESO SEQ ARM": "SPARTA",
        "HIERARCH ESO OBS ID": scenario.ob_id,
        "HIERARCH ESO OBS PROG ID": scenario.programme,
        "HIERARCH ESO OBS TARG NAME": scenario.target.name,
        "HIERARCH ESO AOS HOLOOP STATE": "CLOSED_LOOP",
        "ARCFILE": f"SPHER.{iso_from_mjd(start_mjd, digits=3)}.fits",
    }
    if scenario.hopping is not None:
        cards["HIERARCH ESO OBS CONTAINER ID"] = scenario.hopping.container_id
    for key, value in cards.items():
        unit.header[key] = value
    return unit


def _tables(
    weather: Weather, static_variance: float, mjd: Floats, rng: np.random.Generator
) -> Tables:
    conditions = weather.at(mjd)
    strehl = np.exp(-conditions.variance - static_variance)

    def noisy(values: Floats) -> NDArray[np.float32]:
        return (values * (1 + RELATIVE_NOISE * rng.standard_normal(mjd.size))).astype(np.float32)

    def drawn(mean: float, rms: float, *shape: int) -> NDArray[np.float32]:
        return rng.normal(mean, rms, size=(mjd.size, *shape)).astype(np.float32)

    return {
        "AtmPerfParams": {
            "R0": noisy(conditions.r0_m),
            "WindSpeed": noisy(conditions.wind_m_s),
            "StrehlRatio": np.minimum(noisy(strehl), np.float32(0.98)),
        },
        "VisLoopParams": {
            "Focus_avg": drawn(0.0, 0.01),
            "TTx_avg": drawn(0.0, 0.005),
            "TTy_avg": drawn(0.0, 0.005),
            "DMPos_avg": drawn(0.0, 0.02),
            "ITTMPos_avg": drawn(0.0, 0.02),
            "DMSatur_avg": np.abs(drawn(0.0, 0.5)),
            "DMAberr_avg": drawn(0.1, 0.01),
            "Flux_avg": noisy(500.0 * conditions.transparency),
        },
        "IRLoopParams": {
            "DTTPPos_avg": drawn(0.0, 0.02),
            "DTTPRes_avg": drawn(0.0, 0.003),
            "Flux_avg": noisy(2000.0 * conditions.transparency),
        },
        "IRPixelAvgFrame": {"Pixels": _dtts_images(conditions.transparency, rng)},
    }


def _recorded(mjd: Floats, span_mjd: tuple[float, float], settings: Telemetry) -> NDArray[np.bool_]:
    """Whether the instants lie outside of the gaps."""
    phase = (mjd - span_mjd[0]) / (span_mjd[1] - span_mjd[0])
    lost = [(phase >= first) & (phase < last) for first, last in settings.gaps]
    return ~np.any(lost, axis=0) if lost else np.ones(mjd.size, dtype=bool)


def _invalidate(tables: Tables, share: float, rng: np.random.Generator) -> None:
    """Spoil records in place: no Strehl ratio and a Fried parameter of zero."""
    table = tables["AtmPerfParams"]
    hit = rng.random(table["R0"].size) < share
    table["StrehlRatio"][hit], table["R0"][hit] = INVALID_STREHL, 0.0


def _dtts_images(transparency: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Images of the infrared tip-tilt sensor, one row of 32 x 32 pixels each."""
    axis = np.arange(DTTS_PX) - DTTS_PX / 2 + 0.5
    spot = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / (2 * 1.6**2)).ravel()
    images = 1000 * transparency[:, None] * spot[None, :]
    return (images + rng.normal(0, 5, size=images.shape)).astype(np.float32)


def _table(name: str, columns: dict[str, NDArray[np.float32]], mjd: Floats) -> fits.BinTableHDU:
    ticks = np.round((mjd - UNIX_EPOCH_MJD) * SECONDS_PER_DAY * 1e6).astype(np.int64)
    fields = [
        fits.Column("Sec", "J", array=(ticks // 1_000_000).astype(np.int32)),
        fits.Column("USec", "J", array=(ticks % 1_000_000).astype(np.int32)),
    ]
    for column, values in columns.items():
        width = values.shape[1] if values.ndim == 2 else 1
        fields.append(fits.Column(column, f"{width}E", array=values))
    return fits.BinTableHDU.from_columns(fields, name=name)
