"""Adaptive-optics telemetry of every integration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from spheredc_hpc.config import Section
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.level1.io import Flag, Floats, Header, ReadTable
from spheredc_hpc.level1.parts.timing import DAY_S, FrameTimes
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.store.cube import AO_QUANTITIES

TABLE = "AtmPerfParams"
COLUMNS = frozenset(("Sec", "USec", "R0", "WindSpeed", "StrehlRatio"))
UNIX_EPOCH_MJD = 40587.0
RAD_TO_ARCSEC = 206265.0
SEEING_WAVELENGTH_M = 500e-9


class TelemetrySettings(Section):
    """How telemetry is carried to the integrations."""

    longest_gap_s: float = Field(
        90.0,
        gt=0,
        description="Distance of an integration's middle from the records before and after it up "
        "to which they are interpolated [s]; farther away there is no value.",
    )


def records(tables: Iterable[Mapping[str, Floats]]) -> Floats:
    """Join telemetry tables to rows of MJD, R0 [m], wind speed [m/s] and Strehl ratio.

    Rows out of the credible range are left out: 0.05 < Strehl <= 0.98, 0 < R0 <= 0.9 m,
    0 < wind <= 50 m/s.

    Returns
    -------
    array, shape (n, 4)
        In time order, each instant once.
    """
    rows = []
    for table in tables:
        seconds = table["Sec"] + table["USec"] / 1e6
        mjd = seconds / DAY_S + UNIX_EPOCH_MJD
        rows.append(np.stack([mjd, table["R0"], table["WindSpeed"], table["StrehlRatio"]], axis=1))
    if not rows:
        return np.empty((0, 4))
    joined = np.concatenate(rows)
    _, r0, wind, strehl = joined.T
    with np.errstate(invalid="ignore"):
        good = (strehl > 0.05) & (strehl <= 0.98) & (r0 > 0) & (r0 <= 0.9)
        good &= (wind > 0) & (wind <= 50)
    kept = joined[good & np.isfinite(joined).all(axis=1)]
    _, first = np.unique(kept[:, 0], return_index=True)
    return np.asarray(kept[first])


def per_frame(rows: Floats, times: FrameTimes, longest_gap_s: float) -> Floats:
    """Average the records within each integration; between records, interpolate.

    Returns
    -------
    array, shape (n, len(AO_QUANTITIES))
        NaN where no record lies within the integration, nor within `longest_gap_s` on both
        sides of its middle: gaps stay gaps, and nothing is carried beyond the ends.

    Notes
    -----
    Seeing = 206265 x 500 nm / R0, tau0 = 0.314 R0 / wind.
    """
    values = np.full((len(times.mid_mjd), 3), np.nan)
    if len(rows):
        for i, (start, middle, end) in enumerate(
            zip(times.start_mjd, times.mid_mjd, times.end_mjd, strict=True)
        ):
            inside = (rows[:, 0] >= start) & (rows[:, 0] <= end)
            if inside.any():
                values[i] = rows[inside, 1:].mean(axis=0)
                continue
            after = int(np.searchsorted(rows[:, 0], middle))
            if not 0 < after < len(rows):
                continue
            gaps_s = np.abs(rows[after - 1 : after + 1, 0] - middle) * DAY_S
            if gaps_s.max() <= longest_gap_s:
                values[i] = [np.interp(middle, rows[:, 0], column) for column in rows[:, 1:].T]
    r0, wind, strehl = values.T
    seeing = RAD_TO_ARCSEC * SEEING_WAVELENGTH_M / r0
    tau0_ms = 1000 * 0.314 * r0 / wind
    named = {
        "seeing_arcsec": seeing,
        "tau0_ms": tau0_ms,
        "wind_speed_mps": wind,
        "strehl": strehl,
        "r0_m": r0,
    }
    return np.stack([named[name] for name in AO_QUANTITIES], axis=1)


def from_header(header: Header, times: FrameTimes) -> Floats:
    """Take seeing and coherence time from the seeing monitor in the header; the rest is NaN."""
    values = np.full((len(times.mid_mjd), len(AO_QUANTITIES)), np.nan)
    given = [float(read_value(header, f"seeing_{end}_arcsec", np.nan)) for end in ("start", "end")]
    # The monitor writes -1 where it measured nothing.
    valid = [seeing for seeing in given if seeing > 0]
    if valid:
        first, last = valid[0], valid[-1]
        ends = [times.start_mjd[0], times.end_mjd[-1]]
        seeing = np.interp(times.mid_mjd, ends, [first, last])
        values[:, AO_QUANTITIES.index("seeing_arcsec")] = seeing
    tau0_s = float(read_value(header, "tau0_s", np.nan))
    if tau0_s > 0:
        values[:, AO_QUANTITIES.index("tau0_ms")] = 1000 * tau0_s
    return values


@dataclass(frozen=True)
class TelemetryRows:
    """Records of all telemetry files of an observation.

    Attributes
    ----------
    rows : array, shape (n, 4)
        See `records`.
    files : int
        Number of files.
    problems : list of str
        What could not be read.
    """

    rows: Floats
    files: int
    problems: list[str]


def read_telemetry(frames: Sequence[FrameRef], read_table: ReadTable) -> TelemetryRows:
    """Read the telemetry files of an observation; those that cannot be read are told."""
    tables, problems = [], []
    for ref in frames:
        try:
            table = read_table(ref, TABLE)
        except DataError as error:
            problems.append(str(error))
            continue
        lacking = sorted(COLUMNS - set(table or ()))
        if table is None or lacking:
            what = f"lacks {', '.join(lacking)}" if table else "is not there"
            problems.append(f"{ref.archive_id}: table {TABLE} {what}")
            continue
        tables.append(table)
    return TelemetryRows(records(tables), len(frames), problems)


def telemetry(
    held: TelemetryRows,
    files: Sequence[tuple[Header, FrameTimes]],
    settings: TelemetrySettings,
) -> tuple[Floats, tuple[Flag, ...]]:
    """Give the telemetry of a sequence.

    Parameters
    ----------
    held : TelemetryRows
    files : sequence of (header, FrameTimes)
        Science files in time order.
    settings : TelemetrySettings

    Returns
    -------
    values : array, shape (n, len(AO_QUANTITIES))
    flags : tuple of (str, str)
        ``NO_SPARTA`` if the headers had to serve for all frames, ``SPARTA_GAPS`` if for some.
    """
    gap_s = settings.longest_gap_s
    values = np.concatenate([per_frame(held.rows, times, gap_s) for _, times in files])
    known = np.isfinite(values[:, 0])
    if known.all():
        return values, ()
    headers = np.concatenate([from_header(header, times) for header, times in files])
    values[~known] = headers[~known]
    more = f" ({held.problems[0]})" if held.problems else ""
    if known.any():
        reason = (
            f"{int((~known).sum())} of {len(known)} frames lie in gaps of the telemetry; "
            f"seeing and tau0 from the headers{more}"
        )
        return values, (("SPARTA_GAPS", reason),)
    reason = f"no usable telemetry in {held.files} files; seeing and tau0 from the headers{more}"
    return values, (("NO_SPARTA", reason),)
