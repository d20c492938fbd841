"""Header values and cards of the files of a simulated archive."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import erfa
import numpy as np

from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.headers import iso_from_mjd, pack_dms, pack_hms
from spheredc_hpc.simulate.archive.defects import DEROTATOR_START_UNTIL
from spheredc_hpc.simulate.archive.frames import N_CAMERAS, SECONDS_PER_DAY, ArchiveFile, Star
from spheredc_hpc.simulate.archive.nights import pseudo_datasum
from spheredc_hpc.simulate.cards import NOT_IN_CALIBRATIONS, Value, card_table, format_card
from spheredc_hpc.simulate.cards import TELESCOPE_FAMILIES as TELESCOPE

Values = dict[str, Value]
MJD_ZERO = 2400000.5
DEROTATOR_LAG_S = 30.0
TYPES = {
    "OBJECT": ("SCIENCE", "OBJECT"),
    "CENTER": ("SCIENCE", "OBJECT,CENTER"),
    "FLUX": ("SCIENCE", "OBJECT,FLUX"),
    "SKY": ("SCIENCE", "SKY"),
    "ACQUISITION": ("ACQUISITION", "OBJECT"),
    "SPARTA": ("CALIB", "OBJECT,AO"),
    "DARK": ("CALIB", "DARK"),
    "BACKGROUND": ("CALIB", "DARK,BACKGROUND"),
    "FLAT": ("CALIB", "FLAT,LAMP"),
    "WAVE": ("CALIB", "LAMP,WAVE"),
    "WAVE_CORO": ("CALIB", "LAMP,WAVE"),
    "DISTORTION": ("CALIB", "LAMP,DISTORT"),
    "GAIN": ("CALIB", "FLAT,LAMP,RONGAIN"),
    "SPECPOS": ("CALIB", "SPECPOS,LAMP"),
    "IFU_FLAT": ("CALIB", "FLAT,LAMP"),
    "DET_FLAT": ("CALIB", "FLAT,LAMP"),
    "BIAS": ("CALIB", "BIAS"),
    "MODEM": ("CALIB", "FLAT,POL,LAMP"),
}
TECHNIQUES = {"DBI": "IMAGE,DUAL", "CBI": "IMAGE", "DPI": "POLARIMETRY", "LSS": "SPECTRUM"}
NOT_OF_ZIMPOL = ("ESO DET", "ESO INS1", "ESO INS2")
TELEMETRY_FAMILIES = ("ESO DPR", "ESO OBS", "ESO TPL", "ESO AOS", "ESO SEQ ARM")
TABLES = {"AtmPerfParams": 24, "VisLoopParams": 44, "IRLoopParams": 20, "IRPixelAvgFrame": 4104}
# Headers are filled up to this number of ESO cards: real ones have more than the table lists.
N_CARDS = 1010


def header_values(file: ArchiveFile) -> Values:
    """Give all values of the primary header as a reader finds them.

    Telescope values that no catalogue column is made of are left at those of the table;
    `primary_cards` has them.
    """
    merged = {**_table(*_kind(file)), **_basic(file), **_own(file), **file.changes}
    return {key: value for key, value in merged.items() if value is not None}


def primary_cards(file: ArchiveFile) -> list[str]:
    """All cards of the primary header but END."""
    own: dict[str, Value | None] = {**_own(file), **_telescope(file), **file.changes}
    plain = {key: value for key, value in file.changes.items() if not key.startswith("ESO ")}
    basic = {**_basic(file), **plain}
    lines = dict(_lines(*_kind(file)))
    decimals = _decimals()
    for key, value in own.items():
        if not key.startswith("ESO "):
            continue
        if value is None:
            lines.pop(key, None)
        else:
            # A word where a number belongs has no decimals.
            places = decimals.get(key) if isinstance(value, float) else None
            lines[key] = format_card(key, value, places)
    if not file.is_telemetry:
        for number in range(len(lines), N_CARDS):
            key = f"ESO INS4 SENS{number} VAL"
            lines[key] = format_card(key, number / 7, 3, "[C] Reading of the sensor")
    first = [format_card(key, value) for key, value in basic.items() if value is not None]
    return first + [lines[key] for key in sorted(lines)]


def extension_cards(file: ArchiveFile) -> Iterator[list[str]]:
    """Cards of each extension: one image per camera of ZIMPOL, the tables of telemetry."""
    if file.is_telemetry:
        for name, width in TABLES.items():
            yield _extension("BINTABLE", name, 8, (width, file.n_planes))
    elif file.setup.arm == "ZIMPOL":
        for camera in range(1, N_CAMERAS + 1):
            yield _extension("IMAGE", f"CAM{camera}", 16, file.axes)


def extension_axes(file: ArchiveFile) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Kind, name, axes and bytes a value of each extension."""
    if file.is_telemetry:
        return [("BINTABLE", name, (width, file.n_planes), 1) for name, width in TABLES.items()]
    if file.setup.arm == "ZIMPOL":
        return [("IMAGE", f"CAM{n}", file.axes, 2) for n in range(1, N_CAMERAS + 1)]
    return []


def primary_axes(file: ArchiveFile) -> tuple[int, ...]:
    """Axes of the primary unit; none if the data are in extensions."""
    return () if file.is_telemetry or file.setup.arm == "ZIMPOL" else file.axes


def _extension(kind: str, name: str, bits: int, axes: tuple[int, ...]) -> list[str]:
    values: Values = {"XTENSION": kind, "BITPIX": bits, "NAXIS": len(axes)}
    values |= {f"NAXIS{i}": length for i, length in enumerate(axes, start=1)}
    values |= {"PCOUNT": 0, "GCOUNT": 1}
    if kind == "BINTABLE":
        values |= {"TFIELDS": 1, "TFORM1": f"{axes[0]}B", "TTYPE1": "Record"}
    return [format_card(key, value) for key, value in {**values, "EXTNAME": name}.items()]


def _kind(file: ArchiveFile) -> tuple[str, bool]:
    return "SPARTA" if file.is_telemetry else file.setup.arm, file.on_sky


@cache
def _table(arm: str, on_sky: bool) -> dict[str, Value]:
    """Values of the table of cards that files of an arm have."""
    found = {}
    for card in card_table():
        if arm == "ZIMPOL" and card.key.startswith(NOT_OF_ZIMPOL):
            continue
        if arm == "SPARTA" and not card.key.startswith(TELEMETRY_FAMILIES):
            continue
        daytime = card.key in NOT_IN_CALIBRATIONS or card.key.startswith(TELESCOPE)
        if on_sky or arm == "SPARTA" or not daytime:
            found[card.key] = card.value
    return found


@cache
def _lines(arm: str, on_sky: bool) -> dict[str, str]:
    decimals = _decimals()
    return {k: format_card(k, v, decimals.get(k)) for k, v in _table(arm, on_sky).items()}


@cache
def _decimals() -> dict[str, int | None]:
    return {card.key: card.decimals for card in card_table()}


def _basic(file: ArchiveFile) -> dict[str, Value | None]:
    """Cards before those of ESO."""
    axes = primary_axes(file)
    bits = -32 if axes else 8
    category, dpr_type = TYPES[file.kind]
    values: dict[str, Value | None] = {"SIMPLE": True, "BITPIX": bits, "NAXIS": len(axes)}
    values |= {f"NAXIS{i}": length for i, length in enumerate(axes, start=1)}
    values |= {
        "EXTEND": True,
        "ORIGIN": "ESO-PARANAL",
        "DATE": iso_from_mjd(file.end_mjd),
        "TELESCOP": "ESO-VLT-U3",
        "INSTRUME": "SPHERE",
        "OBJECT": file.star.name if file.star is not None else dpr_type,
        "EXPTIME": round(file.dit_s, 7),
        "MJD-OBS": round(file.start_mjd, 8),
        "DATE-OBS": iso_from_mjd(file.start_mjd),
        "ORIGFILE": f"SPHERE_{file.setup.arm}_{category}_{iso_from_mjd(file.start_mjd, 0)}.fits",
        "ARCFILE": f"{file.archive_id}.fits",
        "DATASUM": pseudo_datasum(file),
    }
    if file.star is not None and not file.is_telemetry:
        values |= {"RA": file.star.ra_deg, "DEC": file.star.dec_deg, "EQUINOX": 2000.0}
    return values


def _own(file: ArchiveFile) -> Values:
    """ESO values that catalogue columns are made of."""
    setup = file.setup
    category, dpr_type = TYPES[file.kind]
    name, start, number, count = file.template
    values: Values = {
        "ESO DPR CATG": category,
        "ESO DPR TYPE": dpr_type,
        "ESO DPR TECH": _technique(file),
        "ESO SEQ ARM": "SPARTA" if file.is_telemetry else setup.arm,
        "ESO OBS ID": file.block.obs_id,
        "ESO OBS PROG ID": file.block.programme,
        "ESO TPL ID": name,
        "ESO TPL START": iso_from_mjd(start, digits=0),
        "ESO TPL EXPNO": number,
        "ESO TPL NEXP": count,
    }
    if file.star is not None:
        values |= {"ESO OBS TARG NAME": file.star.name}
        values |= {"ESO OBS CONTAINER ID": file.block.container_id or -999}
    if file.is_telemetry:
        return {**values, "ESO DET ID": "SPARTA"}
    values |= _detector(file)
    tracking = {"PUPIL": "ELEV", "FIELD": "SKY"}.get(setup.tracking, "STAT")
    values |= {
        "ESO INS COMB ICOR": setup.coronagraph if setup.arm != "ZIMPOL" else "N_NS_OPAQUE",
        "ESO INS4 FILT2 NAME": setup.nd,
        "ESO INS4 FILT2 ID": setup.nd,
        "ESO INS4 SHUT ST": file.on_sky,
        "ESO INS4 COMB ROT": setup.tracking if file.on_sky else "CAL_ZENITH",
        "ESO INS4 DROT2 MODE": tracking if file.on_sky else "STAT",
    }
    if setup.arm == "ZIMPOL":
        return values | _zimpol(setup.filter, setup.coronagraph)
    values |= {"ESO INS COMB IFLT": setup.filter, "ESO INS1 OPTI1 NAME": _lyot_stop(file)}
    if setup.ifs:
        prism = "PRI_YJH" if setup.ifs == "OBS_H" or setup.ifs.endswith("YJH") else "PRI_YJ"
        values |= {"ESO INS2 COMB IFS": setup.ifs, "ESO INS2 OPTI2 NAME": prism}
    return values


def _technique(file: ArchiveFile) -> str:
    if file.is_telemetry:
        return "IMAGE"
    if file.setup.arm == "IFS":
        return "IFU" if file.on_sky else "IMAGE"
    if file.setup.arm == "ZIMPOL":
        return "POLARIMETRY" if file.setup.mode == "POLARIMETRY" else "IMAGE"
    if file.kind in ("DARK", "BACKGROUND", "DISTORTION", "GAIN"):
        return "IMAGE"
    technique = TECHNIQUES[file.setup.mode]
    masked = file.on_sky and file.setup.coronagraph != "N_NS_CLEAR"
    return f"{technique},CORONOGRAPHY" if masked or file.kind == "WAVE_CORO" else technique


def _lyot_stop(file: ArchiveFile) -> str:
    if file.setup.arm == "IRDIS" and file.kind == "DARK":
        return "CLOSED"
    if file.setup.mode == "LSS":
        return "PRI_LRS" if file.setup.filter == "S_LR" else "GRI_MRS"
    return "ST_ALC2"


def _detector(file: ArchiveFile) -> Values:
    values: Values = {
        "ESO DET FRAM UTC": iso_from_mjd(file.end_mjd),
        "ESO DET NDIT": file.ndit,
        "ESO DET SEQ UTC": iso_from_mjd(file.start_mjd),
        "ESO DET READ CURNAME": file.setup.readmode,
    }
    if file.setup.arm == "ZIMPOL":
        return values | {"ESO DET DIT1": round(file.dit_s, 7), "ESO DET DEV1 ID": "ZIMPOL"}
    return values | {
        "ESO DET SEQ1 DIT": round(file.dit_s, 7),
        "ESO DET SEQ1 REALDIT": round(file.dit_s, 7),
        "ESO DET ID": file.setup.arm,
        "ESO DET NAME": file.setup.arm,
        "ESO DET CHIP1 NY": 2048,
        "ESO DET SEQ1 WIN NY": 1024 if file.setup.arm == "IRDIS" else 2048,
        "ESO DET EXP ID": file.template[2],
    }


def _zimpol(combination: str, coronagraph: str) -> Values:
    first, _, second = combination.partition("+")
    return {
        "ESO INS COMB VCOR": coronagraph,
        "ESO INS3 OPTI2 NAME": "OPEN",
        "ESO INS3 OPTI5 NAME": first,
        "ESO INS3 OPTI6 NAME": second or first,
    }


def _telescope(file: ArchiveFile) -> dict[str, Value | None]:
    """Where telescope and derotator stand at start and end."""
    star = file.star
    if star is None or file.is_telemetry:
        return {}
    ra, dec = _apparent(star, file.start_mjd)
    times = np.array([file.start_mjd - 1.5 / 86400, file.start_mjd, file.end_mjd])
    hour = np.radians(site.apparent_sidereal_time_deg(times) - ra)
    place, north = math.radians(dec), math.radians(site.latitude_deg)
    sine = math.sin(north) * math.sin(place) + math.cos(north) * math.cos(place) * np.cos(hour)
    altitude = np.degrees(np.arcsin(sine))
    towards = np.cos(hour) * math.sin(north) - math.tan(place) * math.cos(north)
    azimuth = np.degrees(np.arctan2(np.sin(hour), towards)) % 360
    below = math.cos(place) * math.tan(north) - math.sin(place) * np.cos(hour)
    parang = np.degrees(np.arctan2(np.sin(hour), below))
    airmass = 1 / np.maximum(np.sin(np.radians(altitude)), 0.1)
    pupil = file.setup.tracking == "PUPIL"
    if pupil and file.start_mjd < default_constants().value("derotator_fix_mjd"):
        rate = (altitude[2] - altitude[1]) / max(times[2] - times[1], 1e-6) / SECONDS_PER_DAY
        turn = (altitude - DEROTATOR_LAG_S * rate) / 2 % 360
    else:
        turn = (altitude / 2 if pupil else (altitude + parang) / 2) % 360
    late = file.start_mjd > DEROTATOR_START_UNTIL
    seeing = 0.6 + int(pseudo_datasum(file)) % 1000 / 1000
    return {
        "ESO TEL ALT": float(altitude[0]),
        "ESO TEL AZ": float(azimuth[0]),
        "ESO TEL PARANG START": float(parang[0]),
        "ESO TEL PARANG END": float(parang[2]),
        "ESO TEL AIRM START": float(airmass[1]),
        "ESO TEL AIRM END": float(airmass[2]),
        "ESO TEL AMBI FWHM START": seeing,
        "ESO TEL AMBI FWHM END": seeing * 1.05,
        "ESO TEL AMBI TAU0": 0.004 / seeing,
        "ESO TEL GEOLAT": site.latitude_deg,
        "ESO TEL GEOLON": site.longitude_deg,
        "ESO TEL TARG ALPHA": pack_hms(star.ra_deg),
        "ESO TEL TARG DELTA": pack_dms(star.dec_deg),
        "ESO TEL TARG PMA": star.pm_ra_mas_yr / 1000,
        "ESO TEL TARG PMD": star.pm_dec_mas_yr / 1000,
        "ESO INS4 DROT2 BEGIN": float(turn[1]) if late else None,
        "ESO INS4 DROT2 START": None if late else float(turn[1]),
        "ESO INS4 DROT2 END": float(turn[2]),
        "ESO INS4 DROT2 RA": pack_hms(ra),
        "ESO INS4 DROT2 DEC": pack_dms(dec),
    }


def _apparent(star: Star, mjd: float) -> tuple[float, float]:
    """Apparent place of date [deg]."""
    tt = erfa.taitt(*erfa.utctai(MJD_ZERO, mjd))
    ra, dec = math.radians(star.ra_deg), math.radians(star.dec_deg)
    motion = np.radians(np.array([star.pm_ra_mas_yr, star.pm_dec_mas_yr]) / 3.6e6)
    place = erfa.atci13(ra, dec, motion[0] / math.cos(dec), motion[1], 0.0, 0.0, *tt)
    return float(np.degrees(place[0] - place[2]) % 360), float(np.degrees(place[1]))
