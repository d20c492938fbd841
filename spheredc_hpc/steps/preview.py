"""Small pictures beside the products, for a first look without any reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from spheredc_hpc.steps.figures import level1, level2
from spheredc_hpc.steps.figures.canvas import new_figure, save_png
from spheredc_hpc.steps.figures.centring import centring_panels
from spheredc_hpc.steps.figures.sky import PANEL_EXTRA, SkyView, draw_sky
from spheredc_hpc.store.cube import Level1Cube
from spheredc_hpc.store.images import Level2Images

PREVIEW = "preview.png"
_GAP = 14.0
_COLUMNS = 3
_CALIBRATION_WIDTH = 300.0


def write_level1_preview(cube: Level1Cube, path: Path) -> None:
    """Draw the middle frame, the PSF, centres, angles and telemetry of a cube as PNG.

    Parameters
    ----------
    cube : Level1Cube
        May hold NaN anywhere.
    path : Path
        File to write; equal cubes give equal bytes.
    """
    view = level1.Level1View.of(cube)
    sequences = [
        *centring_panels(view),
        level1.angle_panels(view)[0],
        *level1.ao_panels(view)[:3],
    ]
    save_png(level1.preview_figure(view, sequences), path)


def write_level2_preview(images: Level2Images, path: Path) -> None:
    """Draw the corrected image, the S/N maps with sources and the curves as PNG.

    Parameters
    ----------
    images : Level2Images
        May hold NaN anywhere and no source.
    path : Path
        File to write; equal images give equal bytes.
    """
    save_png(level2.preview_figure(images), path)


def write_calibration_preview(images: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Draw every image of a calibration side by side as PNG.

    Parameters
    ----------
    images : mapping
        Name to image, shape (ny, nx); what is not an image is left out.
    path : Path
        File to write; equal images give equal bytes.
    """
    shown = [(name, image) for name, image in images.items() if image.ndim == 2 and image.size]
    rows = [shown[i : i + _COLUMNS] for i in range(0, len(shown), _COLUMNS)]
    columns = max((len(row) for row in rows), default=1)
    heights = [
        max(_CALIBRATION_WIDTH * image.shape[0] / image.shape[1] for _, image in row) + PANEL_EXTRA
        for row in rows
    ]
    width = columns * (_CALIBRATION_WIDTH + _GAP) + _GAP
    figure = new_figure(width, sum(heights) + (len(rows) + 1) * _GAP)
    top = sum(heights) + len(rows) * _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (name, image) in enumerate(row):
            place = (_GAP + column * (_CALIBRATION_WIDTH + _GAP), top - height, _CALIBRATION_WIDTH)
            draw_sky(figure, place, image, calibration_view(name, image))
        top -= height + _GAP
    save_png(figure, path)


def calibration_view(name: str, image: npt.NDArray[Any]) -> SkyView:
    """Tell how an image of a calibration is drawn: masks and responses linearly."""
    linear = image.dtype.kind in "bu" or "MASK" in name.upper() or "FLAT" in name.upper()
    title = name.lower().replace("_", " ")
    return SkyView(title, stretch="linear" if linear else "asinh")
