"""Blank figures, one palette, and their two forms: PNG file and inline SVG.

Nothing here touches the global state of pyplot, so figures can be drawn in threads.
"""

from __future__ import annotations

import base64
import io
import re
import threading
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

INK = "#1d2128"
MUTED = "#646b76"
RULE = "#d5d8dd"
PAPER = "#fdfdfc"
SERIES = ("#0b6c9c", "#c2551a", "#3f8a4d", "#8d4a97", "#a67c00", "#4d5b70")
"""Line colours; neighbours differ in lightness and hue for every common colour vision."""

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    **{colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)},
}
TICK_SIZE = 10.0
LABEL_SIZE = 11.0
PNG_DPI = 144.0
_MAX_PALETTE = 256
_POINTS_PER_INCH = 72.0
# What matplotlib writes into an SVG depends on two global settings; both are set for the time of
# one drawing only.
_svg_lock = threading.Lock()


def new_figure(width: float, height: float) -> Figure:
    """Make a blank figure of `width` x `height` points."""
    size = (width / _POINTS_PER_INCH, height / _POINTS_PER_INCH)
    return Figure(figsize=size, dpi=_POINTS_PER_INCH, facecolor=PAPER)


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in points from the lower left corner."""
    full_width, full_height = (figure.get_size_inches() * _POINTS_PER_INCH).tolist()
    axes = figure.add_axes(
        (left / full_width, bottom / full_height, width / full_width, height / full_height)
    )
    axes.set_facecolor("none")
    return axes


def style_axes(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Give axes the look of all curves: two spines, fine grid, quiet labels."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(
        colors=MUTED, labelcolor=INK, labelsize=TICK_SIZE, width=0.8, length=3.5, which="major"
    )
    axes.tick_params(color=MUTED, width=0.6, length=2, which="minor")
    axes.grid(color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    if xlabel:
        axes.set_xlabel(xlabel, color=INK, fontsize=LABEL_SIZE, labelpad=4)
    if ylabel:
        axes.set_ylabel(ylabel, color=INK, fontsize=LABEL_SIZE, labelpad=5)
    if title:
        axes.set_title(title, color=INK, fontsize=LABEL_SIZE, loc="left", pad=6)


def save_png(figure: Figure, path: Path, dpi: float = PNG_DPI) -> None:
    """Write a figure as PNG; equal drawings give equal bytes."""
    figure.savefig(path, format="png", dpi=dpi, metadata={"Software": None})


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Give a figure as inline SVG, themed by the style sheet of the page around it.

    Parameters
    ----------
    figure : Figure
        Drawn with the colours of this module.
    name : str
        Letters, digits and ``-``; prefix of every id, unique on the page.
    description : str
        Text for readers who do not see the picture.

    Returns
    -------
    str
        One ``<svg>`` element: no outer reference, no date, ids only where they are used.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _svg_lock, mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=metadata)
    return _inline(buffer.getvalue(), name, description)


def _inline(text: str, name: str, description: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    head, _, body = text.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    used = set(re.findall(r'url\(#([\w.-]+)\)|href="#([\w.-]+)"', body))
    kept = {first or second for first, second in used}
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in kept else "", body)
    body = re.sub(r'(?:xlink:)?href="#([\w.-]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([\w.-]+)\)", rf"url(#{name}-\1)", body)
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r">\s+<", "><", body)
    body = re.sub(r"\s*\n\s*", " ", body).strip()
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable}, {colour})")
    body = re.sub(r'data:image/png;base64,([^"]*)', _smaller_png, body)
    size = "" if box is None else f' viewBox="{box[1]}"'
    return f'<svg{size} role="img" aria-label="{_attribute(description)}">{body}'


def _attribute(text: str) -> str:
    for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text


def _smaller_png(match: re.Match[str]) -> str:
    """Store an embedded image with a palette if it has few enough colours; same pixels."""
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    flat = np.ascontiguousarray(pixels).view(np.uint32).ravel()
    colours, index = np.unique(flat, return_inverse=True)
    if colours.size > _MAX_PALETTE:
        return match[0]
    palette = colours.view(np.uint8).reshape(-1, 4)
    small = Image.fromarray(index.astype(np.uint8).reshape(pixels.shape[:2]), mode="P")
    small.putpalette(palette[:, :3].tobytes(), "RGB")
    small.info["transparency"] = palette[:, 3].tobytes()
    data = _png_bytes(small, transparency=palette[:, 3].tobytes())
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _png_bytes(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="png", compress_level=6, **options)
    return buffer.getvalue()
