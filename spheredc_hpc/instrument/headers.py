"""Header dictionary: what a value is called here and in the raw files."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spheredc_hpc.errors import DataError


@dataclass(frozen=True)
class Keyword:
    """Keywords that hold one value, the preferred one first.

    `kind` is ``str``, ``int``, ``float`` or ``bool``. Names are without ``HIERARCH``.
    """

    names: tuple[str, ...]
    kind: type
    description: str


def _eso(kind: type, description: str, *names: str) -> Keyword:
    return Keyword(tuple(f"ESO {name}" for name in names), kind, description)


def _plain(kind: type, description: str, *names: str) -> Keyword:
    return Keyword(names, kind, description)


KEYWORDS: dict[str, Keyword] = {
    "instrument": _plain(str, "always SPHERE", "INSTRUME"),
    "arcfile": _plain(str, "archive file name", "ARCFILE", "ESO DP ID"),
    "origfile": _plain(str, "file name at the telescope", "ORIGFILE"),
    "datasum": _plain(str, "FITS data checksum", "DATASUM"),
    "date_obs": _plain(str, "start of the first integration [UTC]", "DATE-OBS"),
    "mjd_obs": _plain(float, "start of the first integration [d, UTC]", "MJD-OBS"),
    "date_written": _plain(str, "file written [UTC]", "DATE"),
    "frame_end": _eso(str, "end of the sequence [UTC]", "DET FRAM UTC"),
    "dit_s": _eso(float, "integration time [s]", "DET SEQ1 DIT", "DET DIT1", "DET DIT"),
    "real_dit_s": _eso(float, "true integration time [s]", "DET SEQ1 REALDIT"),
    "dit_delay_s": _eso(float, "delay before each integration [s]", "DET DITDELAY"),
    "ndit": _eso(int, "planned integrations", "DET NDIT"),
    "exptime_s": _plain(float, "equals the DIT [s]", "EXPTIME"),
    "detector_id": _eso(str, "detector", "DET ID", "DET NAME", "DET DEV1 ID"),
    "readmode": _eso(str, "read mode", "DET READ CURNAME"),
    "arm": _eso(str, "arm", "SEQ ARM"),
    "category": _eso(str, "DPR CATG", "DPR CATG"),
    "dpr_type": _eso(str, "DPR TYPE", "DPR TYPE"),
    "technique": _eso(str, "DPR TECH", "DPR TECH"),
    "target": Keyword(("ESO OBS TARG NAME", "OBJECT"), str, "target"),
    "ra_deg": _plain(float, "telescope pointing J2000 [deg]", "RA"),
    "dec_deg": _plain(float, "telescope pointing J2000 [deg]", "DEC"),
    "target_ra_packed": _eso(float, "target J2000, HHMMSS.sss", "TEL TARG ALPHA"),
    "target_dec_packed": _eso(float, "target J2000, DDMMSS.sss", "TEL TARG DELTA"),
    "target_pm_ra_arcsec": _eso(float, "proper motion [arcsec/yr]", "TEL TARG PMA"),
    "target_pm_dec_arcsec": _eso(float, "proper motion [arcsec/yr]", "TEL TARG PMD"),
    "altitude_deg": _eso(float, "altitude at start [deg]", "TEL ALT"),
    "azimuth_deg": _eso(float, "azimuth at start, south 0, west 90 [deg]", "TEL AZ"),
    "parang_start_deg": _eso(float, "parallactic angle [deg]", "TEL PARANG START"),
    "parang_end_deg": _eso(float, "parallactic angle [deg]", "TEL PARANG END"),
    "airmass_start": _eso(float, "airmass", "TEL AIRM START"),
    "airmass_end": _eso(float, "airmass", "TEL AIRM END"),
    "seeing_start_arcsec": _eso(float, "seeing monitor [arcsec]", "TEL AMBI FWHM START"),
    "seeing_end_arcsec": _eso(float, "seeing monitor [arcsec]", "TEL AMBI FWHM END"),
    "tau0_s": _eso(float, "coherence time [s]", "TEL AMBI TAU0"),
    "obs_id": _eso(str, "observing block", "OBS ID"),
    "obs_name": _eso(str, "name of the observing block", "OBS NAME"),
    "container_id": _eso(str, "concatenation of observing blocks", "OBS CONTAINER ID"),
    "programme": _eso(str, "observing programme", "OBS PROG ID"),
    "template_id": _eso(str, "template", "TPL ID"),
    "template_start": _eso(str, "start of the template [UTC]", "TPL START"),
    "template_expno": _eso(int, "exposure of the template", "TPL EXPNO"),
    "coronagraph": _eso(str, "infrared coronagraph", "INS COMB ICOR"),
    "visible_coronagraph": _eso(str, "visible coronagraph", "INS COMB VCOR"),
    "filter": _eso(str, "IRDIS filter combination", "INS COMB IFLT"),
    "common_filter": _eso(str, "IRDIS common filter", "INS1 FILT NAME", "INS1 FILT ID"),
    "dual_filter": _eso(str, "IRDIS dual filter wheel", "INS1 OPTI2 NAME"),
    "lyot_stop": _eso(str, "IRDIS Lyot stop wheel", "INS1 OPTI1 NAME"),
    "ifs_setup": _eso(str, "IFS setup", "INS2 COMB IFS"),
    "prism": _eso(str, "IFS prism", "INS2 OPTI2 NAME", "INS2 OPTI2 ID"),
    "zimpol_filter": _eso(str, "ZIMPOL common filter", "INS3 OPTI2 NAME"),
    "zimpol_filter_1": _eso(str, "ZIMPOL camera 1 filter", "INS3 OPTI5 NAME"),
    "zimpol_filter_2": _eso(str, "ZIMPOL camera 2 filter", "INS3 OPTI6 NAME"),
    "nd": _eso(str, "neutral density of the common path", "INS4 FILT2 NAME"),
    "tracking": _eso(str, "PUPIL, FIELD or CAL_ZENITH", "INS4 COMB ROT"),
    "derotator_mode": _eso(str, "ELEV, SKY or STAT", "INS4 DROT2 MODE"),
    "derotator_begin_deg": _eso(float, "derotator [deg]", "INS4 DROT2 BEGIN", "INS4 DROT2 START"),
    "derotator_end_deg": _eso(float, "derotator [deg]", "INS4 DROT2 END"),
    "derotator_posang_deg": _eso(float, "position angle asked for [deg]", "INS4 DROT2 POSANG"),
    "derotator_ra_packed": _eso(float, "apparent place, HHMMSS.sss", "INS4 DROT2 RA"),
    "derotator_dec_packed": _eso(float, "apparent place, DDMMSS.sss", "INS4 DROT2 DEC"),
    "shutter_open": _eso(bool, "entrance shutter", "INS4 SHUT ST"),
    "pac_x_um": _eso(float, "detector stage [um]", "INS1 PAC X"),
    "pac_y_um": _eso(float, "detector stage [um]", "INS1 PAC Y"),
    "ifs_pac_x_um": _eso(float, "detector stage [um]", "INS2 PAC X"),
    "ifs_pac_y_um": _eso(float, "detector stage [um]", "INS2 PAC Y"),
    "dither_x_px": _eso(float, "dither asked for [px]", "INS1 DITH POSX"),
    "dither_y_px": _eso(float, "dither asked for [px]", "INS1 DITH POSY"),
    "waffle_orientation": _eso(str, "satellite spots, x or +", "OCS WAFFLE ORIENT"),
    "waffle_amplitude_um": _eso(float, "waffle amplitude [um]", "OCS WAFFLE AMPL"),
    "stokes": _eso(str, "polarimetric state", "OCS DPI H2RT STOKES"),
    "wfs_mode": _eso(str, "gain and frequency of the sensor", "AOS VISWFS MODE"),
    "ao_loop": _eso(str, "high-order loop", "AOS HOLOOP STATE"),
    "guide_fwhm_arcsec": _eso(float, "guide-probe image size [arcsec]", "TEL IA FWHM"),
    "temperature_c": _eso(float, "ambient temperature [C]", "TEL AMBI TEMP"),
    "humidity_percent": _eso(float, "relative humidity [%]", "TEL AMBI RHUM"),
    "wind_speed_m_per_s": _eso(float, "wind speed [m/s]", "TEL AMBI WINDSP"),
}

_MISSING: Any = object()
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d)[:_-](\d\d)[:_-](\d\d)(\.\d+)?Z?", flags=re.ASCII
)
MJD_OF_ORDINAL_0 = 678576
"""Ordinal of a calendar date less its modified Julian date [d]."""

EARLIEST_MJD, LATEST_MJD = 15020.0, 88069.0
"""1900 and 2100: other dates are not those of an observation [d]."""

_DAY_S = 86400.0


def read_value(header: Mapping[str, Any], name: str, default: Any = _MISSING) -> Any:
    """Return a value of a header by its name in :data:`KEYWORDS`.

    Parameters
    ----------
    header : mapping
        Keywords without ``HIERARCH``; an astropy Header works.
    name : str
        Logical name, ``dit_s`` for example.
    default : optional
        Returned if no keyword is there or holds a value.

    Returns
    -------
    str, int, float or bool
        Of the kind that the dictionary gives; text is stripped.

    Raises
    ------
    DataError
        If nothing is found and there is no default, or the value is of another kind or not
        finite.
    """
    keyword = KEYWORDS[name]
    for key in keyword.names:
        value = header.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        return _converted(value, keyword.kind, key)
    if default is _MISSING:
        raise DataError(f"header lacks {name}: none of {', '.join(keyword.names)} has a value")
    return default


def unpack_hms_deg(packed: float) -> float:
    """Return the angle [deg] of HHMMSS.sss; 124523.298602 is 191.347077.

    Raises
    ------
    DataError
        If the number is not of that form or not of 0 to 24 h.
    """
    hours = _unpack(packed, "HHMMSS")
    if not 0 <= hours <= 24:
        raise DataError(f"packed right ascension {packed!r} is not of 0 to 24 h")
    return 15.0 * hours


def unpack_dms_deg(packed: float) -> float:
    """Return the angle [deg] of DDMMSS.sss; the sign holds for the whole, -3000.0 is -0.5.

    Raises
    ------
    DataError
        If the number is not of that form or beyond a pole.
    """
    degrees = _unpack(packed, "DDMMSS")
    if abs(degrees) > 90:
        raise DataError(f"packed declination {packed!r} is not of -90 to 90 deg")
    return degrees


def pack_hms(angle_deg: float) -> float:
    """Return HHMMSS.ssssss of an angle [deg], brought into 0 to 360."""
    return _pack((angle_deg % 360.0) / 15.0) % 240000.0


def pack_dms(angle_deg: float) -> float:
    """Return DDMMSS.ssssss of an angle [deg], with its sign."""
    return _pack(angle_deg)


def mjd_from_iso(text: str) -> float:
    """Return the modified Julian date [d] of ``2020-03-08T07:20:53.7328``.

    Raises
    ------
    DataError
        If the text is no such date.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise DataError(f"date {text!r} cannot be read; expected YYYY-MM-DDThh:mm:ss.sss")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        ordinal = dt.date(year, month, day).toordinal()
    except ValueError as error:
        raise DataError(f"date {text!r} is not in the calendar") from error
    if hour >= 24 or minute >= 60 or second > 60:  # second 60 is a leap second
        raise DataError(f"time of day of {text!r} is out of range")
    seconds = 3600 * hour + 60 * minute + second + float(match[7] or 0)
    return ordinal - MJD_OF_ORDINAL_0 + seconds / _DAY_S


def iso_from_mjd(mjd: float, digits: int = 4) -> str:
    """Return ``YYYY-MM-DDThh:mm:ss.ssss`` of a modified Julian date [d]."""
    ticks = round(mjd * _DAY_S * 10**digits)
    day, rest = divmod(ticks, 86400 * 10**digits)
    seconds, fraction = divmod(rest, 10**digits)
    date = dt.date.fromordinal(day + MJD_OF_ORDINAL_0).isoformat()
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{date}T{clock}" + (f".{fraction:0{digits}d}" if digits else "")


def _unpack(packed: float, form: str) -> float:
    if not math.isfinite(packed):
        raise DataError(f"packed angle {packed} is not finite")
    size = abs(packed)
    whole = int(size // 10000)
    minutes = int((size - 10000 * whole) // 100)
    seconds = size - 10000 * whole - 100 * minutes
    if minutes >= 60 or seconds > 60:  # rounding may write 60
        raise DataError(f"packed angle {packed!r} is not of the form {form}")
    return math.copysign(whole + minutes / 60 + seconds / 3600, packed)


def _pack(angle: float) -> float:
    micro = round(abs(angle) * 3600 * 10**6)
    seconds, micro = divmod(micro, 10**6)
    minutes, seconds = divmod(seconds, 60)
    whole, minutes = divmod(minutes, 60)
    packed = 10000 * whole + 100 * minutes + seconds + micro / 10**6
    return math.copysign(packed, angle)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _converted(value: Any, kind: type, key: str) -> Any:
    if kind is str:
        return value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, bool) is (kind is bool) and isinstance(value, int | float):
        if not _is_finite(value):
            raise DataError(f"{key} = {value!r}; expected a finite number")
        if kind is int and not float(value).is_integer():
            raise DataError(f"{key} = {value!r}; expected a whole number")
        return kind(value)
    raise DataError(f"{key} = {value!r}; expected {kind.__name__}")
