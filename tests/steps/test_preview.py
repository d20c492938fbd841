"""Previews and the figures that they share with the report."""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import AsinhNorm, Normalize
from PIL import Image
from synthetic_products import MJD, level1_cube, level2_images

from spheredc_hpc.steps.figures import level1, level2
from spheredc_hpc.steps.figures.canvas import add_axes, new_figure, to_svg
from spheredc_hpc.steps.figures.centring import centring_panels
from spheredc_hpc.steps.figures.curves import Curve, contrast_figure
from spheredc_hpc.steps.figures.sequences import Panel, Series, time_axis
from spheredc_hpc.steps.figures.sky import (
    PANEL_EXTRA,
    Mark,
    SkyView,
    bar_ticks,
    crop_to_data,
    draw_sky,
    shrink,
)
from spheredc_hpc.steps.preview import (
    write_calibration_preview,
    write_level1_preview,
    write_level2_preview,
)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", UserWarning)
        yield


def test_equal_products_give_equal_previews_without_metadata(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_level1_preview(level1_cube(48, 6), tmp_path / f"{name}1.png")
        write_level2_preview(level2_images(49), tmp_path / f"{name}2.png")
        write_calibration_preview({"FLAT": np.eye(20)}, tmp_path / f"{name}3.png")
    for number in "123":
        first, second = ((tmp_path / f"{name}{number}.png").read_bytes() for name in "ab")
        assert first == second
        with Image.open(io.BytesIO(first)) as image:
            assert set(image.info) <= {"dpi"}


def test_products_without_any_number_have_a_preview(tmp_path: Path) -> None:
    cube, images = level1_cube(32, 5), level2_images(33, companions=())
    nothing = {
        name: np.full_like(getattr(cube, name), np.nan)
        for name in ("science", "psf", "centre_px", "centre_err_px", "ao", "quality", "mjd")
    }
    write_level1_preview(replace(cube, **nothing, attrs={}), tmp_path / "1.png")
    nothing = {
        name: np.full_like(getattr(images, name), np.nan)
        for name in ("image_corrected", "snr_gaussian", "contrast", "throughput", "fwhm_px")
    }
    write_level2_preview(replace(images, **nothing), tmp_path / "2.png")
    write_calibration_preview({"BACKGROUND": np.full((8, 16), np.nan)}, tmp_path / "3.png")
    write_calibration_preview({}, tmp_path / "4.png")
    assert len(list(tmp_path.glob("*.png"))) == 4


def test_one_channel_and_one_frame_have_a_preview(tmp_path: Path) -> None:
    cube = level1_cube(32, 1)
    one = {
        name: getattr(cube, name)[:1]
        for name in (
            "science",
            "weight",
            "psf",
            "centre_px",
            "centre_err_px",
            "wavelength_um",
            "bandwidth_um",
            "pixel_scale_mas",
        )
    }
    write_level1_preview(replace(cube, **one, attrs={}), tmp_path / "1.png")
    assert (tmp_path / "1.png").stat().st_size > 0


def test_curves_of_many_channels_are_those_of_the_stack(tmp_path: Path) -> None:
    few = level2_images()
    count = 12
    images = replace(
        few,
        cube=np.stack([few.image] * count),
        snr=np.stack([few.image_snr] * count),
        snr_gaussian=np.stack([few.image_snr] * count),
        contrast=np.repeat(few.contrast, count // 2, axis=1),
        throughput=np.repeat(few.throughput, count // 2, axis=0),
        transmission=np.repeat(few.transmission, count // 2, axis=0),
        source_contrast=np.repeat(few.source_contrast, count // 2, axis=1),
        source_contrast_err=np.repeat(few.source_contrast_err, count // 2, axis=1),
        wavelength_um=np.linspace(0.95, 1.35, count),
        fwhm_px=np.full(count, 3.3),
        image_contrast_t_type=few.image_contrast * 3,
        attrs={},
    )
    labels = [curve.label for curve in level2.contrast_curves(images)]
    assert labels == ["stack Student", "stack Gaussian", "methane Student", "methane Gaussian"]
    assert [curve.label for curve in level2.throughput_curves(images)] == ["stack", "coronagraph"]
    assert len(level2.source_points(images)) == len(images.sources)
    assert len(level2.snr_maps(images)) == 4
    write_level2_preview(images, tmp_path / "many.png")
    assert Image.open(tmp_path / "many.png").size[0] > 900


def test_rows_run_upwards_and_columns_to_the_right(tmp_path: Path) -> None:
    image = np.zeros((64, 64))
    image[48:52, 8:12] = 1.0
    figure = new_figure(128, 128 + PANEL_EXTRA)
    draw_sky(figure, (0, 0, 128), image, SkyView("", stretch="linear"))
    figure.savefig(tmp_path / "a.png", dpi=72)
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float).sum(axis=2)
    # Well inside of the panel, whose lower edge is 27 points above that of the figure.
    bottom = 128 + PANEL_EXTRA - 27
    rows, columns = slice(int(bottom) - 124, int(bottom) - 4), slice(4, 124)
    y, x = (np.mean(v) for v in np.nonzero(pixels[rows, columns] > 500))
    assert x + 4 == pytest.approx(2 * 10, abs=1)
    assert bottom - (y + rows.start) == pytest.approx(2 * 50, abs=1)


def test_compass_turns_counter_clockwise() -> None:
    figure = new_figure(100, 100 + PANEL_EXTRA)
    draw_sky(figure, (0, 0, 100), np.random.default_rng(1).normal(size=(50, 50)), SkyView("t"))
    before = len(figure.axes[0].texts)
    assert before == 0
    figure = new_figure(100, 100 + PANEL_EXTRA)
    view = SkyView("t", north_deg=90.0)
    draw_sky(figure, (0, 0, 100), np.random.default_rng(1).normal(size=(50, 50)), view)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    origin = np.array([50 * 0.87, 50 * 0.13])
    north, east = (np.array(places[name]) - origin for name in "NE")
    np.testing.assert_allclose(north / np.hypot(*north), [-1, 0], atol=1e-12)
    np.testing.assert_allclose(east / np.hypot(*east), [0, -1], atol=1e-12)


@pytest.mark.parametrize("n", [40, 41])
def test_cropping_keeps_the_star_in_the_middle(n: int) -> None:
    image = np.full((n, n), np.nan)
    image[n // 2 - 6 : n // 2 + 7, n // 2 - 6 : n // 2 + 7] = 1.0
    image[n // 2, n // 2] = 9.0
    cut, marks = crop_to_data(image, [Mark(n // 2, n // 2, 2, "1")])
    assert cut.shape == (21, 21)
    assert cut[cut.shape[0] // 2, cut.shape[1] // 2] == 9.0
    assert (marks[0].x_px, marks[0].y_px) == (10, 10)


def test_shrinking_averages_what_is_finite() -> None:
    image = np.arange(16.0).reshape(4, 4)
    image[0, 0] = np.nan
    image[2:, 2:] = np.nan
    small, block = shrink(image, 2)
    assert block == 2
    np.testing.assert_allclose(small, [[(1 + 4 + 5) / 3, 4.5], [10.5, np.nan]])


@pytest.mark.parametrize(
    "norm",
    [
        Normalize(-8, 8),
        Normalize(0, 0.153),
        Normalize(97.2, 103.1),
        AsinhNorm(linear_width=3, vmin=-5, vmax=4e5),
        AsinhNorm(linear_width=2, vmin=95, vmax=104),
        AsinhNorm(linear_width=1e-9, vmin=-1e-6, vmax=-1e-7),
    ],
)
def test_colour_bars_have_readable_ticks(norm: Normalize) -> None:
    places, labels = bar_ticks(norm)
    assert 2 <= len(places) <= 6
    assert len(set(labels)) == len(labels)
    assert np.diff(places).min() >= 0.15
    for place, label in zip(places, labels, strict=True):
        assert float(norm(float(label))) == pytest.approx(place, abs=1e-3)


def test_magnitudes_stand_beside_their_flux_ratio() -> None:
    separation = np.array([100.0, 500.0, 1000.0])
    figure = contrast_figure([Curve("a", separation, np.array([2e-3, 1e-5, 3e-6]))])
    ratio, magnitude = figure.axes
    for one, other in zip(ratio.get_ylim(), magnitude.get_ylim(), strict=True):
        assert other == pytest.approx(-2.5 * math.log10(one))


def test_times_are_shown_where_they_are_known() -> None:
    values = np.zeros(3)
    known = Panel("q", (Series("", MJD + np.arange(3) / 1440, values),))
    axis = time_axis([known])
    # MJD 57646 is 2016-09-15.
    assert axis.label == "UT on 2016-09-15"
    np.testing.assert_allclose(np.diff(axis.places(known.series[0])), 1.0, atol=1e-6)
    for mjd in (np.full(3, np.nan), np.zeros(3), np.array([57000.0, 57646.0, 57900.0])):
        assert time_axis([Panel("q", (Series("", mjd, values),))]).label == "frame"


def test_centres_are_shown_without_the_dither() -> None:
    view = level1.Level1View.of(level1_cube(32, 16))
    for panel in centring_panels(view):
        for series in panel.series:
            # Only the drift is left: a straight line.
            np.testing.assert_allclose(np.diff(series.values, 2), 0, atol=1e-9)
    assert np.abs(np.diff(view.values["centre_px"], 2, axis=1)).max() > 0.9


def test_sources_are_circled_where_they_are() -> None:
    images = level2_images()
    for mark, row in zip(level2.marks(images), images.sources, strict=True):
        assert (mark.x_px, mark.y_px) == (row[0], row[1])
        assert mark.radius_px > images.fwhm_px.max()


def test_svg_is_themed_self_contained_and_keeps_its_pixels() -> None:
    figure = new_figure(100, 100)
    axes = add_axes(figure, 0, 0, 100, 100)
    pixels = np.random.default_rng(3).integers(0, 9, (20, 30))
    axes.imshow(pixels, interpolation="none", cmap="viridis")
    text = to_svg(figure, "f1", 'a "figure" <of> x & y')
    assert text.startswith("<svg ")
    assert not re.search(r"https?:|xlink|<metadata|DejaVu", text)
    assert "var(--ink, " in to_svg(level2.preview_figure(level2_images()), "f2", "")
    ids = re.findall(r' id="([^"]*)"', text)
    assert ids
    assert all(name.startswith("f1-") and f"#{name}" in text for name in ids)
    label = re.search(r'aria-label="([^"]*)"', text)
    assert label is not None
    assert label[1] == "a &quot;figure&quot; &lt;of&gt; x &amp; y"
    data = re.search(r"base64,([^\"]+)", text)
    assert data is not None
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as image:
        shown = np.asarray(image.convert("RGBA"))
    expected = axes.images[0].cmap(axes.images[0].norm(pixels), bytes=True)
    # Matplotlib stores the rows of an SVG image from the other end.
    assert any(np.array_equal(shown[::step], expected) for step in (1, -1))
