"""Every figure of the page, as inline SVG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from matplotlib.figure import Figure

from spheredc_hpc.campaign.report.facts import ObservationFacts
from spheredc_hpc.campaign.report.night_facts import CoherenceRelation
from spheredc_hpc.campaign.report.observation import Views
from spheredc_hpc.errors import DataError, SphereDCError
from spheredc_hpc.steps.figures import level1, level2
from spheredc_hpc.steps.figures.canvas import new_figure, to_svg
from spheredc_hpc.steps.figures.centring import centring_panels
from spheredc_hpc.steps.figures.coherence import Cloud, coherence_figure
from spheredc_hpc.steps.figures.curves import contrast_figure, throughput_figure
from spheredc_hpc.steps.figures.sequences import Panel, sequence_figure
from spheredc_hpc.steps.figures.sky import PANEL_EXTRA, SkyView, draw_sky, shrink
from spheredc_hpc.steps.preview import calibration_view
from spheredc_hpc.store.calibrations import read_calibration
from spheredc_hpc.store.images import Level2Images
from spheredc_hpc.store.raw import read_planes

Image = npt.NDArray[Any]

PANEL_WIDTH = 260.0
THUMBNAIL_WIDTH = 180.0
THUMBNAIL_PX = 300
MAX_THUMBNAILS = 2
MAX_COMPRESSED_BYTES = 64 * 1024**2
"""Largest compressed raw file that is unpacked for a preview of one plane."""


@dataclass(frozen=True)
class Drawing:
    """One figure of the page, or the sentence that stands in its place."""

    caption: str
    svg: str = ""
    note: str = ""
    show_caption: bool = False


@dataclass(frozen=True)
class ObservationDrawings:
    """The figures of one observation, in the order of the page."""

    strip: tuple[Drawing, ...]
    sequence: tuple[Drawing, ...] = ()
    recipes: dict[str, tuple[Drawing, ...]] = field(default_factory=dict)
    curves: dict[str, tuple[Drawing, ...]] = field(default_factory=dict)
    comparison: tuple[Drawing, ...] = ()


def draw_observation(facts: ObservationFacts, views: Views, name: str) -> ObservationDrawings:
    """Draw one observation; `name` is unique on the page and begins every id."""
    return ObservationDrawings(
        strip=tuple(_strip(facts, views, name)),
        sequence=(*_sequence(views, name), *_frames_coherence(facts, name)),
        recipes={
            recipe: tuple(_maps(images, f"{name}-r{index}"))
            for index, (recipe, images) in enumerate(views.level2.items())
        },
        curves={
            recipe: tuple(_curves(images, f"{name}-r{index}"))
            for index, (recipe, images) in enumerate(views.level2.items())
        },
        comparison=tuple(_comparison(views, name)),
    )


def draw_coherence(relations: Sequence[CoherenceRelation]) -> Drawing:
    """Draw light at 10 lambda/D against coherence time over all observations."""
    caption = (
        "Median light at 10 λ/D over the peak of the star, against the coherence time; a point "
        "an observation"
    )
    points = sum(len(relation.points) for relation in relations)
    if points < 2:
        found = "No observation has" if not points else "Only one observation has"
        note = f"{found} telemetry, frames and a star without mask to compare."
        return Drawing(caption, note=note)
    clouds = [
        Cloud(
            f"{relation.filter} {relation.coronagraph}",
            np.array([point.log_inverse_tau0 for point in relation.points]),
            np.array([point.log_light for point in relation.points]),
            relation.slope,
            np.array([point.log_light_err for point in relation.points]),
        )
        for relation in relations
    ]
    return _curve(caption, coherence_figure(clouds, "light / peak"), "coherence")


def _frames_coherence(facts: ObservationFacts, name: str) -> list[Drawing]:
    """Draw light at 10 lambda/D against coherence time over the frames of an observation."""
    relation = facts.level1.product.quality.get("tau0_relation")
    if not relation:
        return []
    slope, error = relation["slope"], relation["slope_err"]
    caption = f"Light at 10 λ/D against coherence time, {relation['frames']} frames"
    if slope is not None:
        caption += f"; slope {slope:.2f} ± {error:.2f}, correlation {relation['correlation']:.2f}"
    if not relation["frames"]:
        return [Drawing(caption, note="No frame has a coherence time.")]
    cloud = Cloud(
        "", np.array(relation["log_inverse_tau0"]), np.array(relation["log_intensity"]), slope
    )
    return [_curve(caption, coherence_figure([cloud], "light [adu/s]"), f"{name}-tau0")]


def draw_calibration(root: Path, product_id: str, name: str) -> list[Drawing]:
    """Draw thumbnails of a calibration product."""
    try:
        images = read_calibration(root / product_id)
    except DataError as error:
        return [Drawing("preview", note=str(error).replace(f"{root}/", ""))]
    drawings = []
    for index, (title, image) in enumerate(list(images.items())[:MAX_THUMBNAILS]):
        if image.ndim < 2:
            continue
        plane = image.reshape(-1, *image.shape[-2:])[0]
        small, _ = shrink(plane, THUMBNAIL_PX)
        view = calibration_view(title, plane)
        drawings.append(_panel(view, small, f"{name}-{index}", width=THUMBNAIL_WIDTH))
    return drawings


def _strip(facts: ObservationFacts, views: Views, name: str) -> list[Drawing]:
    """From the raw plane by way of Level 1 to the S/N map of every recipe."""
    drawings = [_raw(facts, f"{name}-raw")]
    if views.level1 is None and facts.status == "rejected":
        return [drawing for drawing in drawings if drawing.svg]
    if views.level1 is None:
        drawings.append(Drawing("Level 1", note="There is no Level 1 cube."))
    else:
        view = level1.frame_view(views.level1, 0)
        drawings.append(_panel(view, views.level1.frame[0], f"{name}-l1"))
        if views.level1.psf.size:
            view = level1.psf_view(views.level1, 0)
            drawings.append(_panel(view, views.level1.psf[0], f"{name}-psf"))
    for index, (recipe, images) in enumerate(views.level2.items()):
        view = level2.snr_view(images, f"S/N of the stack, {recipe}")
        drawings.append(_map(images, images.image_snr, view, f"{name}-s{index}"))
    return drawings


def _raw(facts: ObservationFacts, name: str) -> Drawing:
    """Draw the first science plane as the detector gave it."""
    if not facts.raw_path:
        return Drawing("raw", note="The plan names no OBJECT file.")
    path = Path(facts.raw_path)
    if not path.is_file():
        return Drawing("raw", note=f"The raw file is no longer there: {path}")
    try:
        plane = read_plane(path)
    except SphereDCError as error:
        return Drawing("raw", note=str(error))
    drawing = _panel(SkyView("raw, first plane", "ADU"), plane, name)
    return replace(drawing, caption=path.name, show_caption=True)


def read_plane(path: Path) -> Image:
    """Read the first plane of a raw file, and of a plain file nothing else.

    Raises
    ------
    DataError
        If there is no image, or the file is compressed and large.
    """
    if path.suffix in {".gz", ".Z"}:
        if path.stat().st_size > MAX_COMPRESSED_BYTES:
            raise DataError(f"{path}: too large to unpack for a preview")
        return np.asarray(read_planes(path)[1][0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyUserWarning)
            with fits.open(path, memmap=True) as hdus:
                shape = hdus[0].shape
                if len(shape) not in (2, 3):
                    raise DataError(f"{path}: no image in the primary unit")
                plane = hdus[0].section[0] if len(shape) == 3 else hdus[0].section[:, :]
                return np.asarray(plane, dtype=np.float32)
    except (OSError, ValueError, TypeError, EOFError, AstropyUserWarning) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error


def _sequence(views: Views, name: str) -> list[Drawing]:
    view = views.level1
    if view is None:
        return []
    groups: list[tuple[str, str, list[Panel]]] = [
        ("centre", "Star centre, dither removed; band: stated error", centring_panels(view)),
        ("angles", "Parallactic and derotation angles", level1.angle_panels(view)),
        ("ao", "Seeing, coherence time, Strehl ratio and wind", level1.ao_panels(view)),
        ("quality", _quality_caption(view), level1.quality_panels(view)),
    ]
    return [
        _curve(caption, sequence_figure(panels), f"{name}-{key}")
        if _has_data(panels)
        else Drawing(caption, note="The cube holds no values.")
        for key, caption, panels in groups
    ]


def _quality_caption(view: level1.Level1View) -> str:
    constant = level1.constant_metrics(view)
    words = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in constant.items())
    return f"Frame quality; the same in all frames: {words}" if words else "Frame quality"


def _has_data(panels: list[Panel]) -> bool:
    return any(np.isfinite(s.values).any() for panel in panels for s in panel.series)


def _maps(images: Level2Images, name: str) -> list[Drawing]:
    plain = level2.stack_view(images, "image, channels stacked")
    corrected = level2.stack_view(images, "corrected for self-subtraction")
    return [
        _map(images, images.image, plain, f"{name}-image"),
        _map(images, images.image_corrected, corrected, f"{name}-corrected"),
        *(
            _map(images, snr, level2.snr_view(images, f"S/N, {title}"), f"{name}-snr{number}")
            for number, (title, snr) in enumerate(level2.snr_maps(images))
        ),
    ]


def _curves(images: Level2Images, name: str) -> list[Drawing]:
    points = level2.source_points(images)
    contrast = contrast_figure(level2.contrast_curves(images), points)
    throughput = throughput_figure(level2.throughput_curves(images))
    return [
        _curve("5-sigma contrast, with the sources", contrast, f"{name}-contrast"),
        _curve("Throughput of the algorithm", throughput, f"{name}-throughput"),
    ]


def _comparison(views: Views, name: str) -> list[Drawing]:
    if len(views.level2) < 2:
        return []
    recipes = list(enumerate(views.level2.items()))
    contrast = [level2.stack_curve(images, recipe, i) for i, (recipe, images) in recipes]
    throughput = [level2.stack_throughput(images, recipe, i) for i, (recipe, images) in recipes]
    return [
        _curve(
            "5-sigma contrast of the stack by recipe, Student",
            contrast_figure(contrast),
            f"{name}-contrast",
        ),
        _curve(
            "Throughput of the stack by recipe",
            throughput_figure(throughput),
            f"{name}-throughput",
        ),
    ]


def _curve(caption: str, figure: Figure, name: str) -> Drawing:
    return Drawing(caption, _svg(figure, name, caption), show_caption=True)


def _map(images: Level2Images, image: Image, view: SkyView, name: str) -> Drawing:
    figure = new_figure(PANEL_WIDTH, PANEL_WIDTH + PANEL_EXTRA)
    place = (0.5, 0.0, PANEL_WIDTH - 1)
    level2.draw_map(figure, place, images, image, view, circles=True)
    return Drawing(view.title, _svg(figure, name, view.title))


def _panel(view: SkyView, image: Image, name: str, *, width: float = PANEL_WIDTH) -> Drawing:
    height = (width - 1) * image.shape[0] / image.shape[1] + PANEL_EXTRA
    figure = new_figure(width, height)
    draw_sky(figure, (0.5, 0.0, width - 1), image, view)
    return Drawing(view.title, _svg(figure, name, view.title))


def _svg(figure: Figure, name: str, description: str) -> str:
    return to_svg(figure, name, description)
