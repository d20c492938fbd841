"""Frames that a recipe leaves out: policies by name, over the figures that Level 1 measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_FRAMES = 5
"""Frames below which a policy is not applied, and which it must leave."""
# Scatter that good frames have at least, so that an even sequence loses none of them: of the
# correlation with the median frame, of the logarithm of fluxes, and of the Strehl ratio.
FLOORS = {"correlation": 0.004, "flux": 0.03, "flux_ring": 0.03, "intensity_10": 0.03}
STREHL_FLOOR = 0.02
LOGARITHMIC = ("flux", "flux_ring", "intensity_10")


@dataclass(frozen=True)
class Verdict:
    """What a policy leaves out.

    Attributes
    ----------
    causes : dict
        Cause to the frames that it concerns, shape (time,).
    problem : str
        Why the policy was not applied; empty if it was.
    """

    causes: Mapping[str, Mask]
    problem: str = ""


def judge(cube: Level1Cube, policy: str, usable: Mask) -> Verdict:
    """Apply a policy to the frames of a cube that can be used.

    Parameters
    ----------
    cube : Level1Cube
        Master cube; figures that it lacks are not judged.
    policy : str
        A name of `POLICIES`.
    usable : array of bool, shape (time,)
        Frames that nothing else speaks against.

    Returns
    -------
    Verdict
        Without causes, and with the problem, if fewer than `LEAST_FRAMES` would be left.
    """
    if policy == "all":
        return Verdict({})
    if usable.sum() < LEAST_FRAMES:
        return Verdict({}, f"{usable.sum()} frames are too few to choose among")
    wanted = QUANTITIES.get(policy, "")
    if wanted and not _known(cube, wanted, usable):
        return Verdict({}, f"selection {policy!r} needs {wanted}, which no frame has: all are used")
    causes = {cause: hit & usable for cause, hit in POLICIES[policy](cube, usable).items()}
    left = usable & ~np.any(list(causes.values()), axis=0) if causes else usable
    if left.sum() < LEAST_FRAMES:
        return Verdict({}, f"selection {policy!r} would leave {left.sum()} frames: all are used")
    return Verdict({cause: hit for cause, hit in causes.items() if hit.any()})


def _column(cube: Level1Cube, name: str) -> Floats | None:
    """Values of a metric or a quantity of the adaptive optics; None if there are none."""
    if name in cube.metrics:
        values = np.asarray(cube.quality[:, cube.metrics.index(name)], np.float64)
    elif name in AO_QUANTITIES:
        values = np.asarray(cube.ao[:, AO_QUANTITIES.index(name)], np.float64)
    else:
        return None
    if name in LOGARITHMIC:
        values = np.log(np.where(values > 0, values, np.nan))
    return values if np.isfinite(values).any() else None


def _known(cube: Level1Cube, name: str, usable: Mask) -> bool:
    """Whether any usable frame has a value."""
    values = _column(cube, name)
    return values is not None and bool(np.isfinite(values[usable]).any())


def _bulk(values: Floats) -> tuple[float, float]:
    """Middle and scatter of the majority: of the half of the values that lies closest together.

    Outliers on one side, up to nearly half of all, move neither much; for a normal distribution
    half of the values lie within 0.6745 standard deviations of the middle.
    """
    ordered = np.sort(values[np.isfinite(values)])
    count = ordered.size // 2 + 1
    widths = ordered[count - 1 :] - ordered[: ordered.size - count + 1]
    first = int(np.argmin(widths))
    held = ordered[first : first + count]
    return float(np.median(held)), float(widths[first]) / (2 * 0.6745)


def _low(values: Floats, limit: float, floor: float) -> Mask:
    middle, scatter = _bulk(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(values < middle - limit * max(scatter, floor))


def _far(values: Floats, limit: float, floor: float) -> Mask:
    middle, scatter = _bulk(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(values - middle) > limit * max(scatter, floor))


def _outliers(limit: float) -> Callable[[Level1Cube, Mask], dict[str, Mask]]:
    def found(cube: Level1Cube, usable: Mask) -> dict[str, Mask]:
        causes = {}
        for name, title in TITLES.items():
            values = _column(cube, name)
            if values is None:
                continue
            values = np.where(usable, values, np.nan)
            if np.isfinite(values).sum() < LEAST_FRAMES:
                continue
            if name == "correlation":
                causes[title] = _low(values, limit, FLOORS[name])
            elif name == "strehl":
                causes[title] = _low(values, limit, STREHL_FLOOR)
            else:
                causes[title] = _far(values, limit, FLOORS[name])
        return causes

    return found


def _best(name: str, share: float, *, high: bool) -> Callable[[Level1Cube, Mask], dict[str, Mask]]:
    def found(cube: Level1Cube, usable: Mask) -> dict[str, Mask]:
        values = _column(cube, name)
        if values is None:
            return {}
        values = np.where(usable, values, np.nan)
        limit = np.nanquantile(values, 1 - share if high else share)
        with np.errstate(invalid="ignore"):
            worse = values < limit if high else values > limit
        return {f"not among the best {100 * share:.0f} % in {name}": np.asarray(worse)}

    return found


TITLES = {
    "correlation": "unlike the median frame",
    "flux": "with another brightness of the halo",
    "flux_ring": "with another brightness about the control radius",
    "intensity_10": "with another brightness at 10 lambda/D",
    "strehl": "with a low Strehl ratio",
}
QUANTITIES = {
    "best-seeing": "seeing_arcsec",
    "best-tau0": "tau0_ms",
    "best-strehl": "strehl",
}
POLICIES: dict[str, Callable[[Level1Cube, Mask], dict[str, Mask]]] = {
    "all": lambda cube, usable: {},
    "outliers": _outliers(5.0),
    "strict": _outliers(3.0),
    **{
        policy: _best(name, 0.8, high=policy != "best-seeing")
        for policy, name in QUANTITIES.items()
    },
}
"""Name to what it leaves out; the names are those of the recipe's setting."""
