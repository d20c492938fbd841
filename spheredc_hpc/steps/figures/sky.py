"""Images of the sky and of the detector: one stretch, colour bar, scale bar, compass, circles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from spheredc_hpc.steps.figures.canvas import INK, LABEL_SIZE, MUTED, TICK_SIZE, add_axes

Image = npt.NDArray[Any]
Stretch = Literal["asinh", "linear", "snr"]

MAX_SIDE_PX = 560
SNR_LIMIT = 8.0
"""S/N maps show -8 to +8, the same on every page."""
_LEVELS = 255
"""One colour short of a palette: the last one is for pixels without data."""
_TITLE, _BAR, _BAR_TEXT = 20.0, 6.0, 17.0
PANEL_EXTRA = _TITLE + _BAR + _BAR_TEXT + 8.0
"""Points that a panel is higher than its image."""
_MAD_TO_SIGMA = 1.4826
_NARROWEST = 3e-4
"""Smallest linear width of the stretch, as a fraction of the range shown."""
_BAR_END = 0.82
_BLANK_DARK, _BLANK_LIGHT = "#51565f", "#d4d7dc"
"""Where there are no data; neither is a colour of its map."""
_FEWEST_TICKS = 3
_SCALE_BARS_ARCSEC = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Mark:
    """A circle on an image: position and radius [px], and its label."""

    x_px: float
    y_px: float
    radius_px: float
    label: str


@dataclass(frozen=True)
class SkyView:
    """How an image is shown.

    Attributes
    ----------
    title, unit : str
        Heading of the panel and unit below its colour bar.
    stretch : {"asinh", "linear", "snr"}
        ``snr`` is linear, symmetric about 0 and the same for every map.
    scale_mas : float or None
        Pixel scale, for the scale bar [mas/px].
    north_deg : float or None
        Direction of north, counter-clockwise from +y; None leaves the compass out.
    """

    title: str
    unit: str = ""
    stretch: Stretch = "asinh"
    scale_mas: float | None = None
    north_deg: float | None = None


def crop_to_data(
    image: Image, marks: Sequence[Mark] = (), margin: int = 4
) -> tuple[Image, list[Mark]]:
    """Cut the border without data off a square image, equally on all sides.

    The star keeps pixel ``(n // 2, n // 2)``. Gives the cut image and the marks on it.
    """
    finite = np.isfinite(image)
    if not finite.any() or image.shape[0] != image.shape[1]:
        return image, list(marks)
    centre = image.shape[0] // 2
    rows, columns = np.nonzero(finite.any(axis=1))[0], np.nonzero(finite.any(axis=0))[0]
    reach = int(max(np.abs(rows - centre).max(), np.abs(columns - centre).max())) + margin
    low = centre - reach
    if low <= 0:
        return image, list(marks)
    moved = [Mark(m.x_px - low, m.y_px - low, m.radius_px, m.label) for m in marks]
    return image[low : centre + reach + 1, low : centre + reach + 1], moved


def shrink(image: Image, max_side: int = MAX_SIDE_PX) -> tuple[npt.NDArray[np.float64], int]:
    """Average blocks of pixels until no side is longer than `max_side`; NaN is left out.

    Returns
    -------
    image : ndarray, shape (ny // block, nx // block)
        NaN only where a whole block is NaN.
    block : int
        Side of a block [px].
    """
    block = max(1, math.ceil(max(image.shape) / max_side))
    if block == 1:
        return np.asarray(image, dtype=np.float64), 1
    ny, nx = (n // block * block for n in image.shape)
    tiles = np.asarray(image[:ny, :nx], dtype=np.float64)
    tiles = tiles.reshape(ny // block, block, nx // block, block)
    good = np.isfinite(tiles)
    count = good.sum(axis=(1, 3))
    total = np.where(good, tiles, 0.0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), block


def draw_sky(
    figure: Figure,
    place: tuple[float, float, float],
    image: Image,
    view: SkyView,
    marks: Sequence[Mark] = (),
) -> None:
    """Draw one panel.

    Parameters
    ----------
    figure : Figure
        What to draw on.
    place : tuple
        Left, bottom and width of the panel [points]; its height is that of the image
        at this width and `PANEL_EXTRA`.
    image : ndarray, shape (ny, nx)
        Row 0 is at the bottom; NaN is left blank.
    view : SkyView
        How to show it.
    marks : sequence of Mark
        Circles in pixels of `image`.
    """
    left, bottom, width = place
    shown, block = shrink(image)
    ny, nx = shown.shape
    height = width * ny / nx
    base = bottom + _BAR + _BAR_TEXT + 4.0
    axes = add_axes(figure, left, base, width, height)
    axes.set_facecolor(_BLANK_LIGHT if view.stretch == "snr" else _BLANK_DARK)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(MUTED)
        spine.set_linewidth(0.6)
    axes.set_title(view.title, color=INK, fontsize=LABEL_SIZE, loc="left", pad=5)
    if not np.isfinite(shown).any():
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, color=MUTED, ha="center")
        return
    norm, colours = _stretch(shown, view.stretch)
    axes.imshow(shown, norm=norm, cmap=colours, origin="lower", interpolation="none")
    axes.set_xlim(-0.5, nx - 0.5)
    axes.set_ylim(-0.5, ny - 0.5)
    _draw_bar(add_axes(figure, left, bottom + _BAR_TEXT, width, _BAR), norm, colours, view.unit)
    halo = _annotation_colours(view.stretch)
    for mark in marks:
        _draw_mark(axes, mark, block, halo)
    if view.scale_mas is not None:
        _draw_scale(axes, nx, ny, view.scale_mas * block, halo)
    if view.north_deg is not None and math.isfinite(view.north_deg):
        _draw_compass(axes, nx, ny, view.north_deg, halo)


def limits(image: Image) -> tuple[float, float, float]:
    """Lowest and highest value shown and the linear width of the asinh stretch."""
    values = image[np.isfinite(image)]
    middle = float(np.median(values))
    sigma = _MAD_TO_SIGMA * float(np.median(np.abs(values - middle)))
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.95)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    low = max(low, middle - 4 * sigma) if sigma > 0 else low
    return low, high, max(sigma, _NARROWEST * (high - low))


def _stretch(image: Image, stretch: Stretch) -> tuple[Normalize, Colormap]:
    norm: Normalize
    if stretch == "snr":
        norm, name = Normalize(-SNR_LIMIT, SNR_LIMIT), "RdBu_r"
    else:
        low, high, width = limits(image)
        name = "magma"
        if stretch == "linear":
            norm = Normalize(low, high)
        else:
            norm = AsinhNorm(linear_width=width * 2, vmin=low, vmax=high)
    return norm, mpl.colormaps[name].resampled(_LEVELS).with_extremes(bad=(0, 0, 0, 0))


def _draw_bar(axes: Axes, norm: Normalize, colours: Colormap, unit: str) -> None:
    axes.imshow(
        np.linspace(0, 1, _LEVELS)[np.newaxis],
        cmap=colours,
        aspect="auto",
        extent=(0, 1, 0, 1),
        interpolation="none",
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_yticks([])
    places, labels = bar_ticks(norm)
    axes.set_xticks(places, labels)
    axes.tick_params(length=2, width=0.6, color=MUTED, labelcolor=INK, labelsize=TICK_SIZE - 1.5)
    for text, place in zip(axes.get_xticklabels(), places, strict=True):
        text.set_horizontalalignment("left" if place < 0.04 else "center")
    if unit:
        axes.annotate(
            unit,
            (1, 0),
            xytext=(0, -3.5),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=TICK_SIZE - 1.5,
            color=MUTED,
        )


def bar_ticks(norm: Normalize) -> tuple[list[float], list[str]]:
    """Choose at most six round values, far enough apart along the bar to be read.

    Returns
    -------
    places : list of float
        Along the bar, 0 to 0.82 (the rest is for the unit).
    labels : list of str
        The values there.
    """
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    chosen = _spread(norm, _decades(low, high)) if isinstance(norm, AsinhNorm) else []
    if len(chosen) < _FEWEST_TICKS:
        chosen = _spread(norm, _even(low, high))
    return [place for place, _ in chosen], [_short(value) for _, value in chosen]


def _short(value: float) -> str:
    return f"{value:.4g}".replace("e+0", "e").replace("e-0", "e-")


def _even(low: float, high: float) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(f * power for f in (1, 2, 5, 10) if (high - low) / (f * power) <= 5)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    top = math.floor(math.log10(max(abs(low), abs(high))))
    steps = [f * 10.0**k for k in range(top, top - 6, -1) for f in (5, 2, 1)]
    return [0.0, *steps, *(-v for v in steps)]


def _spread(norm: Normalize, values: Sequence[float]) -> list[tuple[float, float]]:
    """Keep the values that stand far enough from those kept before."""
    chosen: list[tuple[float, float]] = []
    for value in values:
        place = float(norm(value))
        if 0 <= place <= _BAR_END and all(abs(place - other) >= 0.16 for other, _ in chosen):
            chosen.append((place, value))
    return sorted(chosen)


def _annotation_colours(stretch: Stretch) -> tuple[str, str]:
    return ("#000000", "#ffffff") if stretch == "snr" else ("#ffffff", "#000000")


def _draw_mark(axes: Axes, mark: Mark, block: int, colours: tuple[str, str]) -> None:
    front, back = colours
    x, y = ((v - (block - 1) / 2) / block for v in (mark.x_px, mark.y_px))
    radius = mark.radius_px / block
    for colour, width in ((back, 2.6), (front, 1.2)):
        axes.add_patch(
            Circle((x, y), radius, fill=False, edgecolor=colour, linewidth=width, alpha=0.9)
        )
    axes.annotate(
        mark.label,
        (x + radius * 0.75, y + radius * 0.75),
        xytext=(1.5, 1.5),
        textcoords="offset points",
        color=front,
        fontsize=LABEL_SIZE - 1,
        fontweight="bold",
        path_effects=[withStroke(linewidth=2.2, foreground=back)],
        annotation_clip=False,
    )


def _draw_scale(axes: Axes, nx: int, ny: int, scale_mas: float, colours: tuple[str, str]) -> None:
    front, back = colours
    room = nx * scale_mas / 1000 / 3.2
    length = max((v for v in _SCALE_BARS_ARCSEC if v <= room), default=_SCALE_BARS_ARCSEC[0])
    pixels = length * 1000 / scale_mas
    x, y = nx * 0.05, ny * 0.05
    for colour, width in ((back, 3.6), (front, 1.8)):
        axes.plot([x, x + pixels], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    axes.text(
        x + pixels / 2,
        y + ny * 0.018,
        f"{length:g}″",
        color=front,
        ha="center",
        va="bottom",
        fontsize=TICK_SIZE,
        path_effects=[withStroke(linewidth=2, foreground=back)],
    )


def _draw_compass(axes: Axes, nx: int, ny: int, north_deg: float, colours: tuple[str, str]) -> None:
    front, back = colours
    length = 0.085 * nx
    x, y = nx * 0.87, ny * 0.13
    for name, angle in (("N", north_deg), ("E", north_deg + 90)):
        dx, dy = -math.sin(math.radians(angle)), math.cos(math.radians(angle))
        for colour, width in ((back, 3.0), (front, 1.4)):
            axes.plot(
                [x, x + dx * length],
                [y, y + dy * length],
                color=colour,
                linewidth=width,
                solid_capstyle="round",
            )
        axes.text(
            x + dx * length * 1.45,
            y + dy * length * 1.45,
            name,
            color=front,
            ha="center",
            va="center",
            fontsize=TICK_SIZE - 1,
            path_effects=[withStroke(linewidth=2, foreground=back)],
        )
