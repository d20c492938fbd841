"""The table of instrument constants: every number with its error, validity and source."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import yaml

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.headers import MJD_OF_ORDINAL_0

TABLES = (
    *("constants.yaml", "filters.yaml", "neutral_density.yaml", "coronagraphs.yaml"),
    *("lenslets.yaml", "spectra.yaml"),
)
STATUSES = ("verified", "code", "literature", "estimate", "override")
SELECTOR_KEYS = (
    *("arm", "band", "coronagraph", "field", "filter", "laser"),
    *("nd", "prism", "readmode", "separation_mas", "spectrum", "term", "wavelength_nm"),
)
_ROW_KEYS = {"for", "value", "error", "source", "status", "from", "to"}
_OVERRIDE = re.compile(
    r"(?P<name>\w+)(?:\[(?P<selector>[^\[\]]*)\])?(?:@(?P<date>\d{4}-\d\d-\d\d))?"
)


@dataclass(frozen=True)
class Constant:
    """One row of the table.

    Attributes
    ----------
    name, unit : str
        What it is; ``"1"`` is the unit of a pure number.
    value, error : float
        Value and its one-sigma uncertainty, in `unit`.
    source : str
        Where the value was taken from.
    status : str
        ``verified``, ``code``, ``literature``, ``estimate`` or ``override``.
    valid_from_mjd, valid_to_mjd : float or None
        UTC validity [d], from inclusive, to exclusive; None is unlimited.
    selector : tuple of (str, str)
        What the row holds for, sorted by key.
    """

    name: str
    value: float
    error: float
    unit: str
    source: str
    status: str = "verified"
    valid_from_mjd: float | None = None
    valid_to_mjd: float | None = None
    selector: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Name and selector as written in an override: ``name[arm=IRDIS,band=H2]``."""
        inner = ",".join(f"{key}={value}" for key, value in self.selector)
        return f"{self.name}[{inner}]" if inner else self.name

    def selects(self, wanted: Mapping[str, str]) -> bool:
        """Whether every key of the row is asked for with the value of the row."""
        return all(wanted.get(key) == value for key, value in self.selector)

    def holds(self, mjd: float) -> bool:
        """Whether `mjd` [d] lies in the validity of the row."""
        after = self.valid_from_mjd is None or mjd >= self.valid_from_mjd
        return after and (self.valid_to_mjd is None or mjd < self.valid_to_mjd)


class Constants:
    """Rows by name, with the choice of the row that fits.

    Parameters
    ----------
    rows : iterable of Constant
    version : str
        Version of the table.
    """

    def __init__(self, rows: Iterable[Constant], version: str) -> None:
        self.version = version
        self._rows: dict[str, tuple[Constant, ...]] = {}
        for row in rows:
            self._rows[row.name] = (*self._rows.get(row.name, ()), row)
        for same in self._rows.values():
            _refuse_overlaps(same)
        ordered = sorted(
            json.dumps(asdict(row), sort_keys=True) for same in self._rows.values() for row in same
        )
        self.digest = hashlib.sha256("\n".join([version, *ordered]).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._rows))

    def rows(self, name: str, **selector: str | float) -> tuple[Constant, ...]:
        """All rows of `name` that have the given selector values, in table order."""
        wanted = _selector(name, selector)
        return tuple(row for row in self._named(name) if set(wanted.items()) <= set(row.selector))

    def get(self, name: str, *, mjd: float | None = None, **selector: str | float) -> Constant:
        """Return the row of `name` that fits best.

        Parameters
        ----------
        name : str
            Name of the constant.
        mjd : float, optional
            Date of the data [d, UTC]; needed if the value changed with time.
        **selector : str or float
            For example ``arm="IRDIS"``, ``band="H2"``. A key that `name` does not depend on
            is ignored; the row that uses most keys wins.

        Raises
        ------
        ConfigError
            If the name is unknown, no row fits, or the date is needed and not given.
        """
        wanted = _selector(name, selector)
        fitting = [row for row in self._named(name) if row.selects(wanted)]
        if not fitting:
            known = ", ".join(sorted({row.label for row in self._named(name)}))
            raise ConfigError(f"no value of {name} for {wanted}; the table has {known}")
        if mjd is not None:
            valid = [row for row in fitting if row.holds(mjd)]
            if not valid:
                raise ConfigError(f"no value of {name} for {wanted} is valid at MJD {mjd:.3f}")
            fitting = valid
        most = max(len(row.selector) for row in fitting)
        best = [row for row in fitting if len(row.selector) == most]
        if len(best) > 1 and len({row.selector for row in best}) == 1:
            raise ConfigError(f"{best[0].label} changes with time: give the date (mjd)")
        if len(best) > 1:
            labels = ", ".join(row.label for row in best)
            raise ConfigError(f"{name} for {wanted} is ambiguous between {labels}")
        return best[0]

    def value(self, name: str, *, mjd: float | None = None, **selector: str | float) -> float:
        """Value of the row that :meth:`get` returns."""
        return self.get(name, mjd=mjd, **selector).value

    def with_overrides(self, overrides: Mapping[str, float]) -> Constants:
        """Return a table in which some values are replaced.

        Parameters
        ----------
        overrides : mapping of str to float
            Keys ``name`` (all rows of it) or ``name[arm=IRDIS,band=H2]`` (the rows that have
            these selector values). ``@2016-07-12`` behind either lets the value hold from that
            date (UTC) on; several dates make several epochs.

        Raises
        ------
        ConfigError
            If a key is malformed or meets no row, or a value is not a finite number.
        """
        replaced: dict[Constant, Constant] = {}
        dated: list[tuple[float, str, float]] = []
        for key, value in overrides.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"constant {key}: {value!r} is not a number")
            if not math.isfinite(value):
                raise ConfigError(f"constant {key}: {value} is not finite")
            rows, start = self._override_rows(key)
            if start is not None:
                dated.append((start, key, float(value)))
                continue
            replaced |= {row: _overridden(row, float(value)) for row in rows}
        every = itertools.chain.from_iterable(self._rows.values())
        table = Constants([replaced.get(row, row) for row in every], self.version)
        for start, key, value in sorted(dated):
            table = table._changed_from(start, key, value)
        return table

    def _changed_from(self, start: float, key: str, value: float) -> Constants:
        """Return a table in which the rows of a key have another value from a date on."""
        chosen, _ = self._override_rows(key)
        rows: list[Constant] = []
        for row in itertools.chain.from_iterable(self._rows.values()):
            ended = row.valid_to_mjd is not None and row.valid_to_mjd <= start
            if row not in chosen or ended:
                rows.append(row)
                continue
            begun = row.valid_from_mjd is not None and row.valid_from_mjd >= start
            if not begun:
                rows.append(replace(row, valid_to_mjd=start))
                row = replace(row, valid_from_mjd=start)
            rows.append(_overridden(row, value))
        return Constants(rows, self.version)

    def _override_rows(self, key: str) -> tuple[tuple[Constant, ...], float | None]:
        """Give the rows that a key meets, and the date [MJD] from which, if it has one."""
        match = _OVERRIDE.fullmatch(key.strip())
        inner = (match["selector"] or "") if match else ""
        pairs = [part.split("=") for part in inner.split(",") if part.strip()]
        if match is None or any(len(pair) != 2 for pair in pairs):
            raise ConfigError(
                f"constant {key!r} cannot be read; expected name, name[arm=IRDIS,band=H2], or "
                "either with @2016-07-12 behind it"
            )
        rows = self.rows(match["name"], **{name.strip(): text.strip() for name, text in pairs})
        if not rows:
            known = ", ".join(row.label for row in self._named(match["name"]))
            raise ConfigError(f"constant {key!r} meets no row; the table has {known}")
        return rows, _day_of(key, match["date"])

    def _named(self, name: str) -> tuple[Constant, ...]:
        if name not in self._rows:
            raise ConfigError(f"unknown constant {name!r}; known: {', '.join(self.names)}")
        return self._rows[name]


@cache
def default_constants() -> Constants:
    """Return the table that is shipped with the package."""
    folder = resources.files(__package__)
    return parse_tables([(folder / name).read_text("utf-8") for name in TABLES])


def parse_tables(texts: Iterable[str]) -> Constants:
    """Build the table from YAML texts; one of them gives ``version`` and ``sources``.

    Raises
    ------
    ConfigError
        If a row lacks something, names an unknown source, key or status, or two rows
        of a constant hold for the same selector and date.
    """
    documents = [yaml.load(text, Loader=_LOADER) for text in texts]  # noqa: S506 - safe either way
    sources: dict[str, str] = {}
    versions = [str(document["version"]) for document in documents if "version" in document]
    for document in documents:
        sources.update(document.get("sources", {}))
    if len(versions) != 1:
        raise ConfigError(f"the constants tables give {len(versions)} versions; expected one")
    rows = [
        row
        for document in documents
        for name, entry in document.get("constants", {}).items()
        for text in entry["rows"]
        for row in _parse_row(name, entry["unit"], text, sources)
    ]
    return Constants(rows, versions[0])


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _parse_row(
    name: str, unit: str, row: Mapping[str, Any], sources: Mapping[str, str]
) -> list[Constant]:
    unknown = set(row) - _ROW_KEYS
    lacking = {"value", "error", "source", "status"} - set(row)
    if unknown or lacking:
        raise ConfigError(f"constant {name}: unknown keys {unknown or '-'}, lacks {lacking or '-'}")
    if row["source"] not in sources:
        raise ConfigError(f"constant {name}: source {row['source']!r} is not listed")
    if row["status"] not in STATUSES:
        raise ConfigError(f"constant {name}: status {row['status']!r}; expected {STATUSES}")
    choices = [
        [(key, item) for item in (value if isinstance(value, list) else [value])]
        for key, value in row.get("for", {}).items()
    ]
    return [
        Constant(
            name=name,
            value=float(row["value"]),
            error=float(row["error"]),
            unit=unit,
            source=sources[row["source"]],
            status=row["status"],
            valid_from_mjd=_mjd(row.get("from")),
            valid_to_mjd=_mjd(row.get("to")),
            selector=tuple(sorted(_selector(name, dict(choice)).items())),
        )
        for choice in itertools.product(*choices)
    ]


def _mjd(date: dt.date | None) -> float | None:
    return None if date is None else float(date.toordinal() - MJD_OF_ORDINAL_0)


def _selector(name: str, selector: Mapping[str, str | float]) -> dict[str, str]:
    """Selector values as text; 2.0 and 2 are the same."""
    for key in selector:
        if key not in SELECTOR_KEYS:
            known = ", ".join(SELECTOR_KEYS)
            raise ConfigError(f"constant {name}: unknown selector {key!r}; known: {known}")
    return {
        key: f"{value:g}" if isinstance(value, int | float) else str(value)
        for key, value in selector.items()
    }


def _overridden(row: Constant, value: float) -> Constant:
    source = f"configuration, instead of {row.value:g} ({row.source})"
    return replace(row, value=value, source=source, status="override")


def _day_of(key: str, date: str | None) -> float | None:
    """Give the modified Julian date behind a key, None without a date."""
    if date is None:
        return None
    try:
        return _mjd(dt.date.fromisoformat(date))
    except ValueError as error:
        raise ConfigError(f"constant {key!r}: {date} is no date") from error


def _refuse_overlaps(rows: tuple[Constant, ...]) -> None:
    by_selector: dict[tuple[tuple[str, str], ...], list[Constant]] = {}
    for row in rows:
        by_selector.setdefault(row.selector, []).append(row)
    for same in by_selector.values():
        spans = sorted(_span(row) for row in same)
        for (_, end), (start, _) in itertools.pairwise(spans):
            if start < end:
                raise ConfigError(f"constant {same[0].label} has two rows for MJD {start}")


def _span(row: Constant) -> tuple[float, float]:
    start = -math.inf if row.valid_from_mjd is None else row.valid_from_mjd
    return start, math.inf if row.valid_to_mjd is None else row.valid_to_mjd
