"""How numbers, dates and sizes read on the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

NOTHING = "\N{EN DASH}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
PRIME = "\N{PRIME}"
MINUS = "\N{MINUS SIGN}"
_CLOSE_UNITS = ("\N{DEGREE SIGN}", "\N{DOUBLE PRIME}")
_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
_HOUR_S, _MINUTE_S, _DAY_H = 3600, 60, 24


def fixed(value: float | None, digits: int = 1, unit: str = "") -> str:
    """Write a number with `digits` decimals and its unit."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:.{digits}f}".replace("-", MINUS)
    return f"{text}{unit}" if unit in _CLOSE_UNITS else f"{text} {unit}".rstrip()


def with_error(value: float | None, error: float | None, digits: int = 1) -> str:
    """Write a value and its error, to the two leading digits of the error."""
    if value is None:
        return NOTHING
    if error is None or error <= 0:
        return fixed(value, digits)
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{fixed(value, digits)} {PLUS_MINUS} {error:.{digits}f}"


def scientific(value: float | None, error: float | None = None) -> Markup:
    """Write a small number as a multiple of a power of ten, with its error if there is one."""
    if value is None:
        return Markup("{}").format(NOTHING)
    if value == 0:
        return Markup("0")
    power = math.floor(math.log10(abs(value)))
    scale = 10.0**power
    if error is None:
        mantissa = fixed(value / scale, 2)
    else:
        mantissa = f"({fixed(value / scale, 2)} {PLUS_MINUS} {error / scale:.2f})"
    exponent = str(power).replace("-", MINUS)
    return Markup("{} {} 10<sup>{}</sup>").format(mantissa, TIMES, exponent)


def magnitudes(contrast: float | None) -> str:
    """Write a flux ratio in magnitudes."""
    if contrast is None or contrast <= 0:
        return NOTHING
    return f"{-2.5 * math.log10(contrast):.2f} mag"


def utc(mjd: float | None) -> str:
    """Write a modified Julian date as date and time."""
    if mjd is None:
        return NOTHING
    return (_MJD_ZERO + timedelta(days=mjd)).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float | None) -> str:
    """Write a time span with a unit that suits it."""
    if seconds is None:
        return NOTHING
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min {int(seconds % _MINUTE_S):02d} s"
    return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S):02d} min"


def age(hours: float | None) -> str:
    """Write the age of a calibration."""
    if hours is None:
        return NOTHING
    return f"{hours:.1f} h" if hours < 2 * _DAY_H else f"{hours / _DAY_H:.1f} d"


def size(n_bytes: float | None) -> str:
    """Write a size in decimal units."""
    if n_bytes is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.{0 if n_bytes >= 10 or unit == 'B' else 1}f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def right_ascension(degrees: float | None) -> str:
    """Write a right ascension in hours."""
    if degrees is None:
        return NOTHING
    tenths = round(degrees % 360 / 15 * 36000)
    hours, rest = divmod(tenths, 36000)
    return f"{hours % 24:02d}h{rest // 600:02d}m{rest % 600 / 10:04.1f}s"


def declination(degrees: float | None) -> str:
    """Write a declination in degrees."""
    if degrees is None:
        return NOTHING
    seconds = round(abs(degrees) * 3600)
    sign = MINUS if degrees < 0 else "+"
    return f"{sign}{seconds // 3600:02d}°{seconds % 3600 // 60:02d}{PRIME}{seconds % 60:02d}″"


def file_name(path: str) -> str:
    """Give the last part of a path."""
    return path.rsplit("/", 1)[-1]
