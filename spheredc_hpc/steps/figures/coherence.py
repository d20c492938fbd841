"""Light beside the mask against the coherence time: frames of a star, or many observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

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


@dataclass(frozen=True)
class Cloud:
    """Points of one kind and the line fitted to them.

    Attributes
    ----------
    label : str
        Name in the legend; empty for none.
    log_inverse_tau0, log_light : ndarray, shape (n,)
        log10(1 / tau0), tau0 in seconds, and log10 of the light.
    slope : float or None
        Of the line through the mean of the points; None draws none.
    errors : ndarray or None, shape (n,)
        1-sigma errors of the light, in log10.
    """

    label: str
    log_inverse_tau0: Floats
    log_light: Floats
    slope: float | None = None
    errors: Floats | None = None


def coherence_figure(clouds: Sequence[Cloud], quantity: str) -> Figure:
    """Draw the light (`quantity` names it) against log10(1 / tau0); tau0 stands above."""
    figure = new_figure(WIDTH, HEIGHT)
    axes = add_axes(figure, 62, 42, WIDTH - 62 - 14, HEIGHT - 42 - 40)
    style_axes(axes, "log₁₀ (1 s / τ₀)", f"log₁₀ {quantity}")
    shown = np.concatenate([c.log_inverse_tau0 for c in clouds]) if clouds else np.empty(0)
    if shown.size == 0:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(
            *(0.5, 0.5, "no frame with a coherence time"),
            transform=axes.transAxes,
            color=MUTED,
            ha="center",
            va="center",
        )
        return figure
    for number, cloud in enumerate(clouds):
        colour = SERIES[number % len(SERIES)]
        x, y = cloud.log_inverse_tau0, cloud.log_light
        if cloud.errors is not None:
            axes.vlines(x, y - cloud.errors, y + cloud.errors, color=colour, linewidth=1.0)
        axes.plot(x, y, "o", color=colour, markersize=3.5, alpha=0.8, label=cloud.label)
        if cloud.slope is not None:
            ends = np.array([x.min(), x.max()])
            line = y.mean() + cloud.slope * (ends - x.mean())
            axes.plot(ends, line, color=colour, linewidth=1.4)
    margin = 0.06 * max(float(np.ptp(shown)), 0.05)
    axes.set_xlim(shown.min() - margin, shown.max() + margin)
    _coherence_times(figure, axes.get_xlim())
    if any(cloud.label for cloud in clouds):
        axes.legend(frameon=False, fontsize=TICK_SIZE, labelcolor=INK, borderaxespad=0.2)
    return figure


def _coherence_times(figure: Figure, limits: tuple[float, float]) -> None:
    """Write tau0 in milliseconds along the top."""
    above = figure.axes[0].twiny()
    above.set_xlim(*limits)
    steps = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
    inside = [ms for ms in steps if limits[0] <= 3 - np.log10(ms) <= limits[1]]
    above.set_xticks([3 - np.log10(ms) for ms in inside], [f"{ms:g}" for ms in inside])
    style_axes(above, xlabel="τ₀ [ms]")
    above.grid(visible=False)
    above.xaxis.set_label_position("top")
    above.xaxis.tick_top()
    above.set_facecolor("none")
