"""Header values of every raw file, and the cards made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import astropy.units as u
import numpy as np
from astropy.coordinates import get_body
from astropy.time import Time

from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.headers import iso_from_mjd, mjd_from_iso, pack_dms, pack_hms
from spheredc_hpc.simulate.atmosphere import Weather
from spheredc_hpc.simulate.cards import Value, eso_cards, format_card
from spheredc_hpc.simulate.frames import endpoints
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import Target
from spheredc_hpc.simulate.setup import frame_type, setup_values, template_of
from spheredc_hpc.simulate.sky import (
    SECONDS_PER_DAY,
    SkyState,
    derotator_angle_deg,
    derotator_error_deg,
    location,
)
from spheredc_hpc.simulate.streams import stream
from spheredc_hpc.simulate.timeline import PlannedFile

CALIBRATION_PROGRAMME = "60.A-9255(A)"
DAYTIME_OB = 200313600
SECONDS_PER_RAMP_READ = 1.65
FOREIGN_OFFSET_DEG = 2.5
HALF_DAY_D = 0.5
SEEING_KEYS = ("ESO TEL AMBI FWHM START", "ESO TEL AMBI FWHM END", "ESO TEL AMBI TAU0")


@dataclass(frozen=True)
class HeaderMaker:
    """Makes the cards of the files of one night.

    Parameters
    ----------
    scenario : IrdisScenario
    files : list of PlannedFile
    weather : Weather
    derotator_fix_mjd, pitch_um, gain : float
        Date of the repaired elevation law [d], pixel pitch [um], gain [e-/ADU].
    """

    scenario: IrdisScenario
    files: list[PlannedFile]
    weather: Weather
    derotator_fix_mjd: float
    pitch_um: float
    gain: float

    arm: ClassVar[str] = "IRDIS"
    rows: ClassVar[int] = 1024

    def frame_type(self, file: PlannedFile) -> tuple[str, str, str]:
        """DPR CATG, TYPE and TECH of a file."""
        return frame_type(self.scenario, file)

    def template_of(self, file: PlannedFile) -> tuple[str, str]:
        """Give identifier and title of the template that took a file."""
        return template_of(self.scenario, file)

    def setup(self, file: PlannedFile) -> dict[str, Value]:
        """Frame class, filters, coronagraph, stage and tracking of one file."""
        return setup_values(self.scenario, file, self.pitch_um)

    def cards(self, file: PlannedFile) -> list[str]:
        """All cards of one image file but the checksums."""
        state = endpoints(self._pointing(file), file) if file.on_sky else None
        values = self._detector(file) | self._template(file)
        values |= self.setup(file)
        if state is not None:
            values |= self._telescope(file, state) | self._block(file)
        body = eso_cards(values, calibration=not file.on_sky, without=self._absent())
        archive = format_card("ARCFILE", f"{archive_id(file)}.fits", comment="Archive file name")
        return [*self._basic(file, state), *body, archive]

    def _pointing(self, file: PlannedFile) -> IrdisScenario:
        """Return the scenario of the star, or one that points elsewhere for a foreign file."""
        scenario = self.scenario.of_star(file.star)
        if not self.is_foreign(file):
            return scenario
        target: Target = scenario.target
        moved = target.model_copy(
            update={"name": "HIP_99999", "dec_deg": target.dec_deg + FOREIGN_OFFSET_DEG}
        )
        return scenario.model_copy(update={"target": moved})

    def _absent(self) -> list[str]:
        """Keywords that the headers of the night lack."""
        defects = self.scenario.defects
        keys = ["ESO DET FRAM UTC"] if defects.missing_fram_utc else []
        return [*keys, *SEEING_KEYS] if defects.missing_header_seeing else keys

    def is_foreign(self, file: PlannedFile) -> bool:
        """Whether this file claims another target."""
        last = max((f.index for f in self.files if f.kind == "OBJECT"), default=-1)
        return self.scenario.defects.foreign_target and file.index == last

    def _basic(self, file: PlannedFile, state: SkyState | None) -> list[str]:
        target = self._pointing(file).target
        _, dpr_type, _ = self.frame_type(file)
        written = iso_from_mjd(file.end_mjd)
        shape: list[tuple[str, Value, int | None, str]] = [
            ("SIMPLE", True, None, "Standard FITS"),
            ("BITPIX", -32, None, "Bits per pixel"),
            ("NAXIS", 3, None, "Number of axes"),
            ("NAXIS1", 2048, None, "Columns"),
            ("NAXIS2", self.rows, None, "Rows"),
            ("NAXIS3", file.n_planes, None, "Integrations"),
            ("EXTEND", True, None, "Extensions may be present"),
            ("BZERO", 0.0, 1, "Zero point of the pixel values"),
            ("BSCALE", 1.0, 1, "Scale of the pixel values"),
            ("ORIGIN", "ESO-PARANAL", None, "Observatory"),
            ("DATE", written, None, "File written"),
            ("TELESCOP", "ESO-VLT-U3", None, "Telescope"),
            ("INSTRUME", "SPHERE", None, "Instrument"),
            ("OBJECT", target.name if state is not None else dpr_type, None, "Target"),
        ]
        if state is not None:
            shape += [
                ("RA", target.ra_deg, 6, "[deg] Pointing, J2000"),
                ("DEC", target.dec_deg, 5, "[deg] Pointing, J2000"),
                ("EQUINOX", 2000.0, 1, "Equinox"),
                ("RADECSYS", "FK5", None, "Coordinate system"),
            ]
        shape += [
            ("EXPTIME", file.dit_s, 7, "[s] Integration time"),
            ("MJD-OBS", file.start_mjd, 8, "Start"),
            ("DATE-OBS", iso_from_mjd(file.start_mjd), None, "Start"),
        ]
        if state is not None:
            clock = (file.start_mjd % 1.0) * SECONDS_PER_DAY
            shape += [
                ("UTC", float(np.floor(clock)), 3, "[s] Time of day"),
                ("LST", float(state.lst_s[1]), 3, "[s] Sidereal time"),
            ]
        shape += [("PI-COI", "UNKNOWN", None, "Principal investigator")]
        if state is not None:
            shape += [("OBSERVER", "UNKNOWN", None, "Observer")]
        return [format_card(*card) for card in [*shape, *_pixel_axes(), *self._origin(file)]]

    def _origin(self, file: PlannedFile) -> list[tuple[str, Value, int | None, str]]:
        year = mjd_from_iso(f"{iso_from_mjd(file.start_mjd)[:4]}-01-01T00:00:00")
        day = int(file.start_mjd - year) + 1
        name = f"SPHERE_{self.arm}_{file.kind}{day:03d}_{file.index + 1:04d}.fits"
        return [
            ("ORIGFILE", name, None, "File name at the telescope"),
            ("BUNIT", "adu", None, "Unit of the pixel values"),
        ]

    def _detector(self, file: PlannedFile) -> dict[str, Value]:
        reads = max(int(file.dit_s / SECONDS_PER_RAMP_READ), 4)
        duration = file.n_planes * file.cadence_s
        return {
            "ESO DET ACQ1 QUEUE": file.ndit,
            "ESO DET CHIP1 GAIN": self.gain,
            "ESO DET CHOP TIM": file.dit_s,
            "ESO DET DITDELAY": file.delay_s,
            "ESO DET EXP ID": file.index + 1,
            "ESO DET FRAM NO": file.n_planes,
            "ESO DET FRAM UTC": iso_from_mjd(file.end_mjd),
            "ESO DET NDIT": file.ndit,
            "ESO DET NDSAMPLES": reads,
            "ESO DET SEQ UTC": iso_from_mjd(file.start_mjd),
            "ESO DET SEQ1 DIT": file.dit_s,
            "ESO DET SEQ1 EXPTIME": duration,
            "ESO DET SEQ1 MINDIT": 0.97 * file.dit_s,
            "ESO DET SEQ1 REALDIT": file.dit_s,
        }

    def _template(self, file: PlannedFile) -> dict[str, Value]:
        name, title = self.template_of(file)
        mates = [f for f in self.files if _of_one_template(f, file)]
        block = self.scenario.of_star(file.star).ob_id
        start = min(f.start_mjd for f in mates) - 35 / SECONDS_PER_DAY
        return {
            "ESO TPL ID": name,
            "ESO TPL NAME": title,
            "ESO TPL PRESEQ": f"{name}.seq",
            "ESO TPL EXPNO": file.exposure,
            "ESO TPL NEXP": len(mates),
            "ESO TPL START": iso_from_mjd(start, digits=0),
            "ESO OBS START": iso_from_mjd(start - 0.013, digits=0),
            "ESO OBS ID": block if file.on_sky else DAYTIME_OB,
            "ESO OBS NAME": "Calibration",
            "ESO OBS PROG ID": self.scenario.programme if file.on_sky else CALIBRATION_PROGRAMME,
        }

    def _block(self, file: PlannedFile) -> dict[str, Value]:
        target, hopping = self._pointing(file).target, self.scenario.hopping
        closed = "CLOSED_LOOP"
        open_loop = self.scenario.defects.open_loop and file.kind == "OBJECT" and file.number == 0
        bright = self.scenario.target.r_magnitude < 10.5
        container: dict[str, Value] = {}
        if hopping is not None:
            container["ESO OBS CONTAINER ID"] = hopping.container_id
        return container | {
            "ESO OBS TARG NAME": target.name,
            "ESO OBS NAME": f"{target.name}_{self.scenario.filter}",
            "ESO OCS OBSTYPE LIST": "C F O F C S",
            "ESO AOS HOLOOP STATE": "OPEN_LOOP" if open_loop else closed,
            "ESO AOS TTLOOP STATE": "OPEN_LOOP" if open_loop else closed,
            "ESO AOS VISWFS MODE": "GAIN_1_FREQ_1200Hz" if bright else "GAIN_1000_FREQ_300Hz",
        }

    def _telescope(self, file: PlannedFile, state: SkyState) -> dict[str, Value]:
        scenario, target = self.scenario, self._pointing(file).target
        rng = stream(scenario.seed, "ambient", file.index)
        air = state.airmass
        seen = self.weather.at([file.start_mjd, file.end_mjd])
        zenith = seen.seeing_arcsec / air[1:] ** 0.6
        quality = float(zenith[0] * 0.85)
        drot = self._derotator(target, state)
        ra, dec = pack_hms(float(state.ra_deg[1])), pack_dms(float(state.dec_deg[1]))
        moon_ra, moon_dec = _moon(file.start_mjd)
        values: dict[str, Value] = {
            "ESO TEL ALT": float(state.altitude_deg[1]),
            "ESO TEL AZ": float(state.azimuth_deg[1]),
            "ESO TEL PARANG START": float(state.parang_deg[0]),
            "ESO TEL PARANG END": float(state.parang_deg[2]),
            "ESO TEL AIRM START": float(air[1]),
            "ESO TEL AIRM END": float(air[2]),
            "ESO TEL AMBI FWHM START": float(zenith[0]),
            "ESO TEL AMBI FWHM END": float(zenith[1]),
            "ESO TEL AMBI TAU0": float(seen.tau0_ms[0] * air[1] ** 0.6 / 1000),
            "ESO TEL AMBI WINDSP": float(np.clip(rng.normal(7.0, 1.0), 0.5, 15.0)),
            "ESO TEL AMBI WINDDIR": float(rng.uniform(10.0, 30.0)),
            "ESO TEL AMBI TEMP": float(rng.normal(13.0, 0.3)),
            "ESO TEL AMBI RHUM": float(rng.uniform(10.0, 20.0)),
            "ESO TEL IA FWHM": quality,
            "ESO TEL IA FWHMLIN": quality * 1.04,
            "ESO TEL IA FWHMLINOBS": quality * 1.04 * float(air[1]) ** 0.6,
            "ESO TEL MOON RA": moon_ra,
            "ESO TEL MOON DEC": moon_dec,
            "ESO TEL GEOLAT": site.latitude_deg,
            "ESO TEL GEOLON": site.longitude_deg,
            "ESO TEL GEOELEV": site.elevation_m,
            "ESO TEL TARG ALPHA": pack_hms(target.ra_deg),
            "ESO TEL TARG DELTA": pack_dms(target.dec_deg),
            "ESO TEL TARG PMA": target.pm_ra_mas_yr / 1000,
            "ESO TEL TARG PMD": target.pm_dec_mas_yr / 1000,
            "ESO ADA GUID RA": target.ra_deg + 0.07,
            "ESO ADA GUID DEC": target.dec_deg - 0.06,
            "ESO INS4 DROT2 BEGIN": float(drot[1]),
            "ESO INS4 DROT2 END": float(drot[2]),
        }
        for device in ("ADC1", "ADC2", "ADC3", "ADC4", "DROT1", "DROT2", "DROT3"):
            values[f"ESO INS4 {device} RA"] = ra
            values[f"ESO INS4 {device} DEC"] = dec
        return values

    def _derotator(self, target: Target, state: SkyState) -> np.ndarray:
        pointing = self.scenario.pointing
        error = np.zeros(state.mjd.size)
        if state.mjd[1] < self.derotator_fix_mjd:
            error = derotator_error_deg(target, state.mjd, pointing.derotator_lag_s)
        return derotator_angle_deg(state, pointing.tracking, pointing.posang_deg, error)


def _of_one_template(one: PlannedFile, other: PlannedFile) -> bool:
    """Whether two files were taken by one template: of one star, or of one morning and kind."""
    if one.on_sky and other.on_sky:
        return one.star == other.star
    near = abs(one.start_mjd - other.start_mjd) < HALF_DAY_D
    return one.on_sky == other.on_sky and one.kind == other.kind and near


def archive_id(file: PlannedFile) -> str:
    """Name of the file in the archive, without extension."""
    return f"SPHER.{iso_from_mjd(file.start_mjd, digits=3)}"


def _pixel_axes() -> list[tuple[str, Value, int | None, str]]:
    """Return the placeholder coordinate system of raw files."""
    cards: list[tuple[str, Value, int | None, str]] = []
    for axis in (1, 2, 3):
        cards += [
            (f"CTYPE{axis}", "PIXEL", None, "Pixel coordinates"),
            (f"CRPIX{axis}", 0.5 if axis < 3 else 1.0, 1, "Reference pixel"),
            (f"CRVAL{axis}", 1.0, 1, "Value at the reference pixel"),
        ]
        for other in (1, 2, 3):
            cards.append((f"CD{axis}_{other}", float(axis == other), 1, "Transformation"))
    return cards


def _moon(mjd: float) -> tuple[float, float]:
    """Position of the moon [deg]."""
    body = get_body("moon", Time(mjd, format="mjd", scale="utc"), location(), ephemeris="builtin")
    return float(body.ra.to_value(u.deg)), float(body.dec.to_value(u.deg))
