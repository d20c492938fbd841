"""Values along a sequence of frames, in panels that share the time axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spheredc_hpc.steps.figures.canvas import (
    INK,
    MUTED,
    SERIES,
    TICK_SIZE,
    add_axes,
    new_figure,
    style_axes,
)

Floats = npt.NDArray[np.float64]
WIDTH, PANEL_HEIGHT = 460.0, 96.0
_LEFT, _RIGHT, _BOTTOM, _TOP, _GAP = 62.0, 14.0, 42.0, 24.0, 20.0
_MINUTE_D = 1.0 / 1440.0
_TIME_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360)
_MAX_TICKS = 6
_MAX_SPAN_D = 1.5


@dataclass(frozen=True)
class Series:
    """One quantity along the sequence.

    Attributes
    ----------
    label : str
        Name in the legend, empty for none.
    mjd, values : ndarray, shape (n,)
        Time and value; NaN is left out.
    errors : ndarray or None, shape (n,)
        1-sigma errors: bars on points, a band along a line.
    kind : {"points", "line"}
        Measured values are points, predicted ones a line.
    """

    label: str
    mjd: Floats
    values: Floats
    errors: Floats | None = None
    series: int = 0
    kind: Literal["points", "line"] = "points"


@dataclass(frozen=True)
class Panel:
    """One panel: its quantity with unit and what it shows; `note` replaces absent data."""

    quantity: str
    series: tuple[Series, ...]
    note: str = "no data"


@dataclass(frozen=True)
class TimeAxis:
    """How the horizontal axis reads: an offset and the ticks.

    Without usable times it counts frames, and `mjd` is ignored.
    """

    origin_mjd: float
    by_time: bool
    label: str

    def places(self, series: Series) -> Floats:
        """Horizontal places of a series: minutes from the origin or frame numbers."""
        if self.by_time:
            return (series.mjd - self.origin_mjd) / _MINUTE_D
        return np.arange(series.values.size, dtype=np.float64)


def time_axis(panels: Sequence[Panel]) -> TimeAxis:
    """Choose UT if every time is known and they span at most a night, else frame numbers."""
    times = [s.mjd for panel in panels for s in panel.series if s.mjd.size]
    if not times:
        return TimeAxis(0.0, by_time=False, label="frame")
    every = np.concatenate(times)
    known = np.isfinite(every).all() and 0 < np.ptp(every) < _MAX_SPAN_D and every.min() > 1
    if not known:
        return TimeAxis(0.0, by_time=False, label="frame")
    day = math.floor(float(every.min()))
    return TimeAxis(float(day), by_time=True, label=f"UT on {calendar_date(day)}")


def calendar_date(mjd: float) -> str:
    """Give the date of a modified Julian date, ``YYYY-MM-DD``."""
    return str(np.datetime64("1858-11-17") + np.timedelta64(math.floor(mjd), "D"))


def sequence_figure(panels: Sequence[Panel]) -> Figure:
    """Draw panels one above the other along the same time axis."""
    height = _BOTTOM + _TOP + len(panels) * PANEL_HEIGHT + (len(panels) - 1) * _GAP
    figure = new_figure(WIDTH, height)
    draw_sequences(figure, (0.0, 0.0, WIDTH, height), panels)
    return figure


def draw_sequences(
    figure: Figure, place: tuple[float, float, float, float], panels: Sequence[Panel]
) -> None:
    """Draw panels into a part of a figure: left, bottom, width, height [points]."""
    left, bottom, width, height = place
    axis = time_axis(panels)
    ends = _ends(axis, panels)
    room = height - _BOTTOM - _TOP - (len(panels) - 1) * _GAP
    each = room / max(len(panels), 1)
    for index, panel in enumerate(panels):
        last = index == len(panels) - 1
        base = bottom + _BOTTOM + (len(panels) - 1 - index) * (each + _GAP)
        axes = add_axes(figure, left + _LEFT, base, width - _LEFT - _RIGHT, each)
        style_axes(axes, axis.label if last else "", panel.quantity)
        axes.yaxis.label.set_fontsize(TICK_SIZE)
        axes.yaxis.set_label_coords(-(_LEFT - 12) / (width - _LEFT - _RIGHT), 0.5)
        axes.set_xlim(*ends)
        _time_ticks(axes, axis, ends, labels=last)
        if not any(np.isfinite(s.values).any() for s in panel.series):
            axes.set_yticks([])
            axes.text(
                0.5,
                0.5,
                panel.note,
                transform=axes.transAxes,
                color=MUTED,
                ha="center",
                va="center",
            )
            continue
        for series in panel.series:
            _draw_series(axes, axis.places(series), series)
        axes.margins(y=0.12)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.ticklabel_format(axis="y", useOffset=False)
        _legend(axes, panel)


def _draw_series(axes: Axes, places: Floats, series: Series) -> None:
    colour = SERIES[series.series % len(SERIES)]
    good = np.isfinite(series.values)
    values = np.where(good, series.values, np.nan)
    errors = None
    if series.errors is not None and np.isfinite(series.errors).any():
        errors = np.where(np.isfinite(series.errors), series.errors, 0.0)
    if series.kind == "line":
        # Lines of two channels often lie on each other: the second lets the first be seen.
        dashes = "-" if series.series == 0 else (0.0, (4.0, 3.0))
        axes.plot(places, values, color=colour, linewidth=1.4, linestyle=dashes)
        if errors is not None:
            axes.fill_between(
                places, values - errors, values + errors, color=colour, alpha=0.18, linewidth=0
            )
        return
    if errors is not None:
        axes.vlines(
            places[good], (values - errors)[good], (values + errors)[good], color=colour, lw=0.8
        )
    axes.plot(places, values, "o", color=colour, markersize=2.8, markeredgewidth=0)


def _ends(axis: TimeAxis, panels: Sequence[Panel]) -> tuple[float, float]:
    places = [axis.places(s) for panel in panels for s in panel.series if s.values.size]
    if not places:
        return 0.0, 1.0
    every = np.concatenate(places)
    low, high = float(every.min()), float(every.max())
    margin = max((high - low) * 0.03, 0.5)
    return low - margin, high + margin


def _time_ticks(axes: Axes, axis: TimeAxis, ends: tuple[float, float], *, labels: bool) -> None:
    if axis.by_time:
        span = ends[1] - ends[0]
        step = next((s for s in _TIME_STEPS_MIN if span / s <= _MAX_TICKS), _TIME_STEPS_MIN[-1])
        first = math.ceil(ends[0] / step)
        ticks = [k * step for k in range(first, math.floor(ends[1] / step) + 1)]
        names = [f"{minute // 60 % 24:02d}:{minute % 60:02d}" for minute in ticks]
        axes.set_xticks(ticks, names)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(_MAX_TICKS, integer=True))
    if not labels:
        axes.tick_params(labelbottom=False)


def _legend(axes: Axes, panel: Panel) -> None:
    named = [s for s in panel.series if s.label]
    if not named:
        return
    x = 1.0
    for series in reversed(named):
        text = axes.annotate(
            ("— " if series.kind == "line" else "● ") + series.label,
            (x, 1.0),
            xycoords="axes fraction",
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=TICK_SIZE - 0.5,
            color=SERIES[series.series % len(SERIES)],
        )
        x -= (len(series.label) + 4) * 0.0148
        text.set_in_layout(False)
    axes.yaxis.label.set_color(INK)
