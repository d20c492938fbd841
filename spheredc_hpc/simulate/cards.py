"""Header cards: the table of SPHERE keywords, their format, and the text of a header."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from spheredc_hpc.errors import DataError

Value = bool | int | float | str
CARD_LENGTH = 80
BLOCK_CARDS = 36
TELESCOPE_FAMILIES = ("ESO ADA", "ESO TEL")
NOT_IN_CALIBRATIONS = (
    *("ESO OBS AIRM", "ESO OBS AMBI FWHM", "ESO OBS AMBI TRANS", "ESO OBS ATM"),
    *("ESO OBS CONTAINER ID", "ESO OBS CONTAINER TYPE", "ESO OBS CONTRAST", "ESO OBS EXECTIME"),
    *("ESO OBS MOON DIST", "ESO OBS MOON FLI", "ESO OBS OBSERVER", "ESO OBS STREHLRATIO"),
    *("ESO OBS TARG NAME", "ESO OBS TWILIGHT", "ESO OBS WATERVAPOUR", "ESO OCS OBSTYPE LIST"),
    *("ESO OCS WAFFLE AMPL", "ESO OCS WAFFLE ORIENT"),
)
_COMMENTS = (
    (r" (TEMP|SENS)\d+ ID$", "Name of the sensor"),
    (r" (TEMP|SENS|SENSOR)\d+ NAME$", "What the sensor measures"),
    (r" TEMP\d+ VAL$", "Temperature"),
    (r" SENS\d+ VAL$", "Reading of the sensor"),
    (r" (OPTI\d+|FILT\d*) ID$", "Identifier of the element"),
    (r" (OPTI\d+|FILT\d*) NAME$", "Name of the element"),
    (r" NO$", "Slot or number"),
    (r" TYPE$", "Type"),
    (r" SWSIM$", "Simulated by software"),
    (r" (RA|ALPHA)$", "Right ascension"),
    (r" (DEC|DELTA)$", "Declination"),
    (r" (BEGIN|START)$", "Value at start"),
    (r" END$", "Value at end"),
    (r" MODE$", "Mode"),
    (r" STATE$", "State of the loop"),
    (r" CLDC1 ", "Voltage of the detector electronics"),
    (r" WIN ", "[px] Window"),
    (r" DIT$", "[s] Integration time"),
    (r" UTC$", "Time, UTC"),
    (r" PAC [XY]$", "[um] Position of the detector stage"),
    (r" DITH POS[XY]$", "[px] Dither asked for"),
)


@dataclass(frozen=True)
class Card:
    """One card of the table: `value` with the number of decimals of the text form."""

    key: str
    value: Value
    decimals: int | None = None


def _literal(text: str) -> tuple[Value, int | None]:
    text = text.strip()
    if text.startswith("'"):
        return text[1:-1], None
    if text in ("T", "F"):
        return text == "T", None
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text), None
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(text), -decimals if exponent else decimals


@cache
def card_table() -> tuple[Card, ...]:
    """Read the table of cards that is shipped with the package."""
    text = (resources.files(__package__) / "cards.txt").read_text("utf-8")
    family = ""
    cards: list[Card] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            family = line.strip("[]")
        elif line.startswith("@"):
            cards += _expand(family, line[1:])
        else:
            key, _, value = line.partition(" = ")
            cards.append(Card(f"{family} {key}", *_literal(value)))
    return tuple(cards)


def _expand(family: str, line: str) -> Iterator[Card]:
    kind, _, rest = line.partition(" ")
    name, *fields = (part.strip() for part in rest.split("|"))
    key = f"{family} {name}"
    if kind == "element":
        for suffix, text in zip(("ID", "NAME", "NO", "TYPE"), fields, strict=False):
            yield Card(f"{key} {suffix}", int(text) if suffix == "NO" else text)
    elif kind == "family":
        for number in range(1, int(fields[0]) + 1):
            yield Card(f"{key}{number}", *_numbered(fields[1], name, number))
    else:
        suffixes = {"sensor": ("ID", "NAME", "VAL"), "device": ("ID", "NAME"), "value": ("VAL",)}
        for suffix, text in zip(suffixes[kind], fields, strict=True):
            yield Card(f"{key} {suffix}", *(_literal(text) if suffix == "VAL" else (text, None)))


def _numbered(kind: str, name: str, number: int) -> tuple[Value, int | None]:
    if kind == "name":
        return f"{name.split()[-1].lower()}-{number}", None
    nominal = 3.3 if number % 3 else 0.0
    offset = (zlib.crc32(f"{name}{number}".encode()) % 100 - 50) / 1000
    return nominal + (offset if kind == "reading" else 0.0), 3


def eso_cards(
    values: Mapping[str, Value], *, calibration: bool, without: Iterable[str] = ()
) -> list[str]:
    """Return the cards of the ESO families as text.

    Parameters
    ----------
    values : mapping
        Values that replace or add to those of the table; keys without ``HIERARCH``.
    calibration : bool
        Leave out what only exposures of the sky carry.
    without : iterable of str
        Further keys to leave out.
    """
    left_out = set(without)
    known: set[str] = set()
    lines: dict[str, str] = {}
    for card in card_table():
        known.add(card.key)
        absent = calibration and (
            card.key in NOT_IN_CALIBRATIONS or card.key.startswith(TELESCOPE_FAMILIES)
        )
        if card.key not in left_out and not absent:
            value = values.get(card.key, card.value)
            lines[card.key] = format_card(card.key, value, card.decimals)
    for key, value in values.items():
        if key not in known and key.startswith("ESO ") and key not in left_out:
            lines[key] = format_card(key, value)
    return [lines[key] for key in sorted(lines)]


def format_card(
    key: str, value: Value, decimals: int | None = None, comment: str | None = None
) -> str:
    """Return one card of 80 characters; a comment that does not fit is cut.

    Raises
    ------
    DataError
        If the value does not fit on one card.
    """
    text = _format_value(value, decimals)
    if key.startswith("ESO "):
        start = f"HIERARCH {key} = {text}"
    else:
        start = f"{key:<8}= {text:<20}" if isinstance(value, str) else f"{key:<8}= {text:>20}"
    if len(start) > CARD_LENGTH:
        raise DataError(f"card {key} = {value!r} does not fit on {CARD_LENGTH} characters")
    remark = _comment(key) if comment is None else comment
    return f"{start} / {remark}"[:CARD_LENGTH].ljust(CARD_LENGTH) if remark else start.ljust(80)


def _format_value(value: Value, decimals: int | None) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int) and decimals is None:
        return str(value)
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted:<8}'"
    if decimals is None:
        text = repr(float(value))
        return text.upper()
    return f"{value:.{-decimals}E}" if decimals < 0 else f"{value:.{max(decimals, 1)}f}"


def _comment(key: str) -> str:
    for pattern, comment in _COMMENTS:
        if re.search(pattern, key):
            return comment
    return ""


def header_text(cards: Iterable[str]) -> str:
    """Join cards, add END and pad to whole blocks."""
    text = "".join(cards) + "END".ljust(CARD_LENGTH)
    block = CARD_LENGTH * BLOCK_CARDS
    return text.ljust(-(-len(text) // block) * block)
