"""Curves against separation: contrast and throughput."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
WIDTH, HEIGHT = 460.0, 300.0
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Curve:
    """One line: values against separation [mas], its name and place in the palette."""

    label: str
    separation_mas: Floats
    values: Floats
    series: int = 0
    style: Literal["solid", "dashed", "dotted"] = "solid"


@dataclass(frozen=True)
class Point:
    """A source on a contrast plot."""

    label: str
    separation_mas: float
    contrast: float
    contrast_err: float
    series: int = 0


def power_of_ten(exponent: int) -> str:
    """Write a power of ten in plain text: ``10⁻⁴``."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def draw_contrast(
    figure: Figure,
    place: tuple[float, float, float, float],
    curves: Sequence[Curve],
    points: Sequence[Point] = (),
) -> None:
    """Draw contrast curves with flux ratio to the left and magnitudes to the right."""
    axes = add_axes(figure, *place)
    style_axes(axes, "separation [mas]", "5-sigma contrast [flux ratio]")
    values = [c.values[np.isfinite(c.values) & (c.values > 0)] for c in curves]
    # A source far brighter than the curves would squeeze them; it is clipped at the top.
    shown = np.concatenate([*values, np.array([p.contrast for p in points])])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if shown.size == 0:
        _say_nothing(axes, "no contrast curve")
        return
    low, high = math.floor(math.log10(shown.min())), math.ceil(math.log10(shown.max()))
    high = max(high, low + 1)
    axes.set_yscale("log")
    for curve in curves:
        good = np.isfinite(curve.values) & (curve.values > 0)
        axes.plot(
            curve.separation_mas,
            np.where(good, curve.values, np.nan),
            color=_colour(curve.series),
            linestyle=_DASHES[curve.style],
            linewidth=1.6 if curve.style == "solid" else 1.2,
        )
    for point in points:
        _draw_point(axes, point)
    axes.set_ylim(10.0**low, 10.0**high)
    _log_ticks(axes, low, high)
    _separation_limits(axes, curves)
    _magnitudes(axes, low, high)
    _legend(axes, curves, "upper right")


def draw_throughput(
    figure: Figure, place: tuple[float, float, float, float], curves: Sequence[Curve]
) -> None:
    """Draw throughput and transmission, 0 to 1."""
    axes = add_axes(figure, *place)
    style_axes(axes, "separation [mas]", "throughput")
    if not any(np.isfinite(c.values).any() for c in curves):
        _say_nothing(axes, "no throughput")
        return
    for curve in curves:
        axes.plot(
            curve.separation_mas,
            curve.values,
            color=_colour(curve.series),
            linestyle=_DASHES[curve.style],
            linewidth=1.6 if curve.style == "solid" else 1.2,
        )
    axes.set_ylim(0, 1.05)
    _separation_limits(axes, curves)
    _legend(axes, curves, "lower right")


def contrast_figure(curves: Sequence[Curve], points: Sequence[Point] = ()) -> Figure:
    """Make a figure of contrast curves alone."""
    figure = new_figure(WIDTH, HEIGHT)
    draw_contrast(figure, (58, 42, WIDTH - 58 - 50, HEIGHT - 42 - 14), curves, points)
    return figure


def throughput_figure(curves: Sequence[Curve]) -> Figure:
    """Make a figure of throughput curves alone."""
    figure = new_figure(WIDTH, HEIGHT)
    draw_throughput(figure, (58, 42, WIDTH - 58 - 50, HEIGHT - 42 - 14), curves)
    return figure


_DASHES: dict[str, tuple[float, tuple[float, ...]] | None] = {
    "solid": (0.0, ()),
    "dashed": (0.0, (4.0, 2.2)),
    "dotted": (0.0, (1.2, 2.0)),
}


def _colour(series: int) -> str:
    return SERIES[series % len(SERIES)]


def _say_nothing(axes: Axes, text: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, color=MUTED, ha="center", va="center")


def _draw_point(axes: Axes, point: Point) -> None:
    if not (math.isfinite(point.contrast) and point.contrast > 0):
        return
    error = point.contrast_err if math.isfinite(point.contrast_err) else 0.0
    low = max(point.contrast - error, point.contrast * 1e-3)
    colour = _colour(point.series)
    axes.plot([point.separation_mas] * 2, [low, point.contrast + error], color=colour, lw=1.1)
    axes.plot(
        point.separation_mas, point.contrast, "o", color=colour, markersize=4.5, clip_on=False
    )
    if point.label:
        axes.annotate(
            point.label,
            (point.separation_mas, point.contrast),
            xytext=(5, 4),
            textcoords="offset points",
            color=INK,
            fontsize=TICK_SIZE,
            fontweight="bold",
        )


def _log_ticks(axes: Axes, low: int, high: int) -> None:
    step = 1 if high - low <= 8 else 2
    decades = range(low, high + 1, step)
    axes.set_yticks([10.0**k for k in decades], [power_of_ten(k) for k in decades])
    axes.set_yticks([f * 10.0**k for k in range(low, high) for f in range(2, 10)], minor=True)
    axes.yaxis.set_tick_params(which="minor", labelleft=False)


def _magnitudes(axes: Axes, low: int, high: int) -> None:
    right = axes.twinx()
    faint, bright = -2.5 * low, -2.5 * high
    right.set_ylim(faint, bright)
    step = 1.0 if faint - bright <= 8 else 2.0 if faint - bright <= 16 else 5.0
    first = math.ceil(bright / step)
    ticks = [k * step for k in range(first, math.floor(faint / step) + 1)]
    right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    style_axes(right, ylabel="contrast [mag]")
    right.grid(visible=False)
    for side in ("left", "top", "bottom"):
        right.spines[side].set_visible(False)
    right.spines["right"].set_visible(True)
    right.spines["right"].set_color(MUTED)
    right.spines["right"].set_linewidth(0.8)
    right.set_facecolor("none")


def _separation_limits(axes: Axes, curves: Sequence[Curve]) -> None:
    ends = [c.separation_mas[np.isfinite(c.separation_mas)] for c in curves]
    largest = max((float(e.max()) for e in ends if e.size), default=1.0)
    axes.set_xlim(0, largest * 1.02)


def _legend(
    axes: Axes, curves: Sequence[Curve], where: Literal["upper right", "lower right"]
) -> None:
    handles = [
        Line2D([], [], color=_colour(c.series), linestyle=_DASHES[c.style], label=c.label)
        for c in curves
        if c.label
    ]
    if handles:
        axes.legend(
            handles=handles,
            loc=where,
            frameon=False,
            fontsize=TICK_SIZE,
            labelcolor=INK,
            handlelength=2.0,
            borderaxespad=0.2,
        )
