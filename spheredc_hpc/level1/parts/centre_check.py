"""Quality control of a centre: the fits of the spots against a second method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spheredc_hpc.level1.io import Floats, Image, Mask
from spheredc_hpc.level1.parts.opposite_spots import PairCentre, opposite_spots
from spheredc_hpc.level1.parts.spots import (
    Pattern,
    SpotCentre,
    SpotSettings,
    best_three,
    find_pattern,
    measure_spots,
)

FIRST, SECOND, THREE, NONE = "first", "second", "three", "none"


def checked_centre(
    image: Image, good: Mask, pattern: Pattern, settings: SpotSettings
) -> tuple[SpotCentre | None, dict[str, Any]]:
    """Measure a CENTER frame by the fits of its spots, and by a second method; keep the better.

    Parameters
    ----------
    image : array
        Clean counts of a rectangle [adu], finite.
    good : array of bool
        Pixels that were measured.
    pattern : Pattern
    settings : SpotSettings
        `largest_error_px` is the stated error from which the second method may replace the first.

    Returns
    -------
    spot : SpotCentre or None
        What was kept; None if neither method finds the star.
    check : dict
        ``kept`` (``first``, ``second``, ``three`` spots, or ``none``), ``why``, the centres with
        their errors as far as there are any, and ``apart_px``, the distance of the first two.
    """
    first = measure_spots(image, good, pattern, settings)
    start = first.xy if first is not None else find_pattern(image, pattern, settings)
    second = None
    if start is not None:
        second = opposite_spots(image, good, pattern, np.asarray(start), settings)
    check = _figures(first, second)
    fault = _fault(first, second, settings)
    if not fault:
        return first, {**check, "kept": FIRST, "why": ""}
    others = []
    if second is not None:
        others.append((second.error_px, SECOND, _as_spot(second.xy, second.error, first)))
    if first is not None:
        others.append(_three(first, pattern, settings))
        _, _, three = others[-1]
        check |= {"three_xy_px": three.xy.tolist(), "three_error_px": others[-1][0]}
    limit = settings.largest_error_px
    if first is not None and first.usable:
        limit = min(limit, suspected_error_px(first))
    error, kept, spot = min(others, key=lambda item: item[0], default=(np.inf, NONE, None))
    if error < limit:
        return spot, {**check, "kept": kept, "why": fault}
    usable = first is not None and first.usable
    why = f"{fault}; no other method is better"
    return first, {**check, "kept": FIRST if usable else NONE, "why": why}


def _three(
    first: SpotCentre, pattern: Pattern, settings: SpotSettings
) -> tuple[float, str, SpotCentre]:
    """Centre of the square of three spots, as something may stand beside the fourth."""
    _, xy, residual = best_three(first.spots, np.array(pattern.anamorphism))
    # The fits of the four spots give the crossing a quarter of the variance of a spot.
    variance = 4 * np.trace(first.covariance) / 2 + residual**2
    error = np.full(2, np.sqrt(variance / 2 + (2 * settings.shared_error_px) ** 2))
    return float(np.hypot(*error)), THREE, _as_spot(xy, error, first)


def stated_error_px(spot: SpotCentre) -> float:
    """Error of the crossing of the diagonals [px]: of the fits, and of the spots' departures.

    What moves the middles of the diagonals apart is half of the error of the crossing.
    """
    return float(np.sqrt(np.trace(spot.covariance) + np.sum(_gap(spot) ** 2) / 4))


def suspected_error_px(spot: SpotCentre) -> float:
    """Error of the crossing if a single spot is misplaced [px]: the distance of the middles."""
    return float(np.sqrt(np.trace(spot.covariance) + np.sum(_gap(spot) ** 2)))


def _gap(spot: SpotCentre) -> Floats:
    """From the middle of one diagonal to that of the other [px]."""
    d = spot.departures
    return np.asarray((d[0] + d[2] - d[1] - d[3]) / 2)


def _fault(first: SpotCentre | None, second: PairCentre | None, settings: SpotSettings) -> str:
    """Say what speaks against the fits of the spots; empty if nothing does."""
    limit = settings.largest_error_px
    if first is None:
        return "no fit of all four spots"
    if not first.usable:
        return "; ".join(first.problems)
    error = suspected_error_px(first)
    if error > limit:
        return f"middles of the diagonals {error:.2f} px apart, at most {limit:g} px"
    if second is not None:
        apart = float(np.hypot(*(first.xy - second.xy)))
        if apart > limit and second.error_px <= limit:
            return f"{apart:.2f} px from the second method, at most {limit:g} px"
    return ""


def _as_spot(xy: Floats, error: Floats, first: SpotCentre | None) -> SpotCentre:
    """Give a centre of another method the form of the first."""
    nothing: Floats = np.zeros((4, 2))
    if first is None:
        first = SpotCentre(xy, np.eye(2), nothing + xy, nothing, float("nan"))
    covariance: Floats = np.diag(error**2)
    return replace(first, xy=xy, covariance=covariance, departures=nothing, problems=())


def _figures(first: SpotCentre | None, second: PairCentre | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"apart_px": None}
    if first is not None:
        figures |= {
            "first_xy_px": first.xy.tolist(),
            "first_error_px": stated_error_px(first),
            "first_problems": list(first.problems),
        }
    if second is not None:
        figures |= {"second_xy_px": second.xy.tolist(), "second_error_px": second.error_px}
    if first is not None and second is not None:
        figures["apart_px"] = float(np.hypot(*(first.xy - second.xy)))
    return figures
