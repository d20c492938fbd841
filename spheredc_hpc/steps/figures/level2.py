"""What is drawn of Level 2 images: final images, S/N maps, contrast and throughput."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from spheredc_hpc.steps.figures.canvas import new_figure
from spheredc_hpc.steps.figures.curves import Curve, Point, draw_contrast, draw_throughput
from spheredc_hpc.steps.figures.level1 import channel_names
from spheredc_hpc.steps.figures.sky import PANEL_EXTRA, Mark, SkyView, crop_to_data, draw_sky
from spheredc_hpc.store.images import SOURCE_COLUMNS, STATISTICS, Level2Images

PANEL_WIDTH = 300.0
_CIRCLE_FWHM = 1.6
_CIRCLE_OF_SIDE = 0.02
NORTH_UP = 0.0
# With more channels, curves are those of the stack, and a few maps stand for all.
MOST_CHANNELS = 4


def names(images: Level2Images) -> list[str]:
    """Name the channels."""
    return channel_names(images.attrs, images.wavelength_um)


def masked(images: Level2Images, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Blank an image where the product says that it is not valid."""
    return np.where(images.mask, image, np.float32(np.nan))


def marks(images: Level2Images) -> list[Mark]:
    """Circle every claimed source; numbers are the rows of the table of sources."""
    x, y = (SOURCE_COLUMNS.index(name) for name in ("x_px", "y_px"))
    fwhm = images.fwhm_px[np.isfinite(images.fwhm_px)]
    radius = max(
        _CIRCLE_FWHM * float(fwhm.max()) if fwhm.size else 0.0,
        _CIRCLE_OF_SIDE * images.image.shape[-1],
    )
    return [
        Mark(float(row[x]), float(row[y]), radius, str(number))
        for number, row in enumerate(images.sources, start=1)
        if np.isfinite(row[[x, y]]).all()
    ]


def stack_view(images: Level2Images, title: str, unit: str = "ADU/s") -> SkyView:
    """Tell how an image stacked over the channels is drawn."""
    return SkyView(title, unit, "asinh", float(images.pixel_scale_mas[0]), NORTH_UP)


def snr_view(images: Level2Images, title: str) -> SkyView:
    """Tell how an S/N map is drawn."""
    return SkyView(title, "sigma", "snr", float(images.pixel_scale_mas[0]), NORTH_UP)


def draw_map(
    figure: Figure,
    place: tuple[float, float, float],
    images: Level2Images,
    image: npt.NDArray[np.float32],
    view: SkyView,
    *,
    circles: bool,
) -> None:
    """Draw one map of a product, cut to its valid field."""
    cut, moved = crop_to_data(masked(images, image), marks(images) if circles else [])
    draw_sky(figure, place, cut, view, moved)


def snr_maps(images: Level2Images) -> list[tuple[str, npt.NDArray[np.float32]]]:
    """S/N maps with their titles: all channels, or the stack and three of many channels."""
    titled = list(zip(names(images), images.snr_gaussian, strict=True))
    if len(titled) <= MOST_CHANNELS:
        return titled
    picked = [titled[at] for at in (0, len(titled) // 2, len(titled) - 1)]
    return [("channels stacked", images.image_snr), *picked]


def _stack_contrasts(images: Level2Images) -> list[Curve]:
    """5-sigma contrast of the stack, for the assumed spectrum and for a methane companion."""
    curves = []
    spectra = (("stack", images.image_contrast), ("methane", images.image_contrast_t_type))
    for series, (name, values) in enumerate(spectra):
        for at, statistic in reversed(list(enumerate(STATISTICS))):
            if values is not None:
                label = f"{name} {statistic.capitalize()}"
                curve = Curve(label, images.separation_mas, values[at], series)
                curves.append(curve if statistic == "student" else replace(curve, style="dashed"))
    return curves


def contrast_curves(images: Level2Images) -> list[Curve]:
    """5-sigma contrast per channel, of many channels that of the stack: Gaussian dashed."""
    if len(images.cube) > MOST_CHANNELS:
        return _stack_contrasts(images)
    curves = []
    for channel, name in enumerate(names(images)):
        for statistic in ("student", "gaussian"):
            values = images.contrast[STATISTICS.index(statistic), channel]
            curves.append(
                Curve(
                    f"{name} {statistic.capitalize()}",
                    images.separation_mas,
                    values,
                    channel,
                    "solid" if statistic == "student" else "dashed",
                )
            )
    return curves


def stack_curve(images: Level2Images, label: str, series: int) -> Curve:
    """5-sigma contrast of the stack over the channels, Student."""
    values = images.image_contrast[STATISTICS.index("student")]
    return Curve(label, images.separation_mas, values, series)


def stack_throughput(images: Level2Images, label: str, series: int) -> Curve:
    """Give the throughput of the stack; of products without it the mean of the channels."""
    values = images.image_throughput
    if values is None:
        values = images.throughput.mean(axis=0)
    return Curve(label, images.separation_mas, values, series)


def throughput_curves(images: Level2Images) -> list[Curve]:
    """Throughput per channel, of many channels that of the stack, and the coronagraph's."""
    curves = [
        Curve(name, images.separation_mas, images.throughput[channel], channel)
        for channel, name in enumerate(names(images))
    ]
    if len(curves) > MOST_CHANNELS:
        curves = [stack_throughput(images, "stack", 0)]
    transmission = images.transmission
    if transmission.size and np.nanmin(transmission, initial=1.0) < 1.0:
        curves.append(Curve("coronagraph", images.separation_mas, transmission[0], 5, "dotted"))
    return curves


def source_points(images: Level2Images) -> list[Point]:
    """Give the sources as points of the contrast plot, each channel in its colour.

    Of many channels their mean stands for all.
    """
    column = SOURCE_COLUMNS.index("separation_mas")
    contrast, error = images.source_contrast, images.source_contrast_err
    if contrast.shape[1] > MOST_CHANNELS:
        error = np.sqrt((error**2).sum(axis=1, keepdims=True)) / contrast.shape[1]
        contrast = contrast.mean(axis=1, keepdims=True)
    channels = range(contrast.shape[1])
    return [
        Point(
            str(number) if channel == 0 else "",
            float(row[column]),
            float(contrast[number - 1, channel]),
            float(error[number - 1, channel]),
            channel,
        )
        for number, row in enumerate(images.sources, start=1)
        for channel in channels
    ]


def preview_figure(images: Level2Images) -> Figure:
    """Lay out the preview of a product: images and S/N maps above, curves below."""
    gap, strip = 16.0, 290.0
    width = 3 * PANEL_WIDTH + 4 * gap
    figure = new_figure(width, PANEL_WIDTH + PANEL_EXTRA + strip + 3 * gap)
    base = strip + 2 * gap
    place = (gap, base, PANEL_WIDTH)
    view = stack_view(images, "corrected image, stacked")
    draw_map(figure, place, images, images.image_corrected, view, circles=True)
    for number, (title, snr) in enumerate(snr_maps(images)[:2]):
        place = (gap + (number + 1) * (PANEL_WIDTH + gap), base, PANEL_WIDTH)
        draw_map(figure, place, images, snr, snr_view(images, f"S/N, {title}"), circles=True)
    half = width / 2
    draw_contrast(
        figure,
        (60, gap + 36, half - 120, strip - 44),
        contrast_curves(images),
        source_points(images),
    )
    draw_throughput(figure, (half + 50, gap + 36, half - 80, strip - 44), throughput_curves(images))
    return figure
