"""Star centres along a sequence, measured in CENTER frames and predicted in OBJECT frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spheredc_hpc.steps.figures.level1 import Level1View, channel_names
from spheredc_hpc.steps.figures.sequences import Panel, Series

Floats = npt.NDArray[np.float64]
_AXES = ("x", "y")


def centring_panels(view: Level1View) -> list[Panel]:
    """Two panels, x and y: predicted centres without the dither, and the measured ones."""
    names = channel_names(view.attrs, view.values["wavelength_um"])
    dither = _dither(view)
    measured = _measured(view.attrs)
    centres = view.values["centre_px"] - dither
    errors = view.values["centre_err_px"]
    middle = _medians(centres)
    panels = []
    for axis, letter in enumerate(_AXES):
        series = []
        for channel, name in enumerate(names):
            series.append(
                Series(
                    f"{name}, median {middle[channel, axis]:.2f}",
                    view.values["mjd"],
                    centres[channel, :, axis] - middle[channel, axis],
                    errors[channel, :, axis],
                    channel,
                    "line",
                )
            )
        for channel in range(len(names)):
            points = measured.get(channel)
            if points is not None:
                series.append(
                    Series(
                        "CENTER" if channel == 0 else "",
                        points[:, 0],
                        points[:, 1 + axis] - middle[channel, axis],
                        points[:, 3 + axis],
                        channel,
                    )
                )
        panels.append(Panel(f"{letter} offset [px]", tuple(series)))
    return panels


def _medians(centres: Floats) -> Floats:
    """Median over the frames, shape (wavelength, 2); 0 where every centre is NaN."""
    known = np.isfinite(centres).any(axis=1, keepdims=True)
    return np.asarray(np.nanmedian(np.where(known, centres, 0.0), axis=1))


def _dither(view: Level1View) -> Floats:
    """Dither of each frame, shape (time, 2), zero if the cube does not say."""
    given = view.attrs.get("dither_px")
    shape = (view.n_frames, 2)
    if given is None or np.shape(given) != shape:
        return np.zeros(shape)
    return np.asarray(given, dtype=np.float64)


def _measured(attrs: dict[str, Any]) -> dict[int, Floats]:
    """Centres measured in CENTER frames without their dither, per channel.

    Rows of mjd, x, y, x error, y error; measurements that were refused are left out.
    """
    found: dict[int, list[list[float]]] = {}
    for row in attrs.get("centres_measured", ()):
        if not row.get("used", True):
            continue
        values = {name: float(value) for name, value in row.items() if _is_number(value)}
        place = [
            values.get(f"{axis}_px", np.nan) - values.get(f"dither_{axis}_px", 0.0)
            for axis in _AXES
        ]
        errors = [values.get(f"{axis}_err_px", np.nan) for axis in _AXES]
        channel = int(values.get("channel", 0))
        found.setdefault(channel, []).append([values.get("mjd", np.nan), *place, *errors])
    return {channel: np.array(rows) for channel, rows in found.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
