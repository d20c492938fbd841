"""What two results of one case have to do with each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import betapic
import numpy as np

from anchors.inputs import SCENES, Input
from spheredc_hpc.kernels.snr import aperture_map, t_statistic

HALF_PX = 4
# The packages end their outermost annuli differently: pixels are compared up to this share of
# the half side.
OUTER_SHARE = 0.88
RADII_PX = (12.0, 16.6, 20.0, 30.0, 40.0)
# Largest differences that the same arithmetic may show.
SNR_GATE, PEAK_GATE, CONTRAST_GATE = 0.02, 0.015, 0.05
MAP_GATE = 0.01
# Rotation in single precision of frames whose spectrum ends before the Nyquist frequency.
CUBE_GATE = 1e-6
# Pixels at which both have a value, of those that are compared: agreement where one has none, or
# of a few pixels, is no agreement.
SHARE_GATE = 0.99
Arrays = dict[str, np.ndarray]


def load(folder: Path) -> Arrays:
    """Arrays that a worker saved."""
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}


def place(data: Input) -> tuple[int, int] | None:
    """Pixel of the innermost companion on the north-up image, None if there is none."""
    if data.name == "betapic":
        return betapic.B
    if data.name not in SCENES:
        return None
    scene = SCENES[data.name]
    share, angle_deg, _ = scene.companions[0]
    radius, angle = share * scene.side, np.deg2rad(angle_deg)
    middle = scene.side // 2
    return round(middle + radius * np.cos(angle)), round(middle + radius * np.sin(angle))


def companion(image: np.ndarray, fwhm_px: float, xy: tuple[int, int]) -> dict[str, float]:
    """Peak of a companion, its pixel, and its S/N by the t statistic of its ring."""
    (x, y), half = xy, HALF_PX
    near = np.nan_to_num(image[y - half : y + half + 1, x - half : x + half + 1], nan=-np.inf)
    row, column = np.unravel_index(np.argmax(near), near.shape)
    y, x = int(y - half + row), int(x - half + column)
    t, _ = t_statistic(aperture_map(image, fwhm_px))
    return {"peak": float(image[y, x]), "snr": float(t[y, x]), "x": x, "y": y}


def zone(side: int, inner_px: float, outer_px: float) -> np.ndarray:
    """Pixels that every package reduces and whose apertures it can turn."""
    y, x = np.mgrid[:side, :side] - side // 2
    radius = np.hypot(x, y)
    return (radius >= inner_px) & (radius <= outer_px)


def difference(ours: np.ndarray, theirs: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Scatter and largest value of the difference, in units of the scatter of theirs.

    Parameters
    ----------
    ours, theirs : array, shape (..., n, n)
        NaN where there are no data: left out.
    where : array of bool, shape (n, n)
        Pixels to compare.
    """
    a, b = ours[..., where].astype(np.float64), theirs[..., where].astype(np.float64)
    good = np.isfinite(a) & np.isfinite(b)
    if not good.any():
        return {"rms": float("nan"), "largest": float("nan"), "share": 0.0}
    scale = float(np.sqrt(np.mean(b[good] ** 2)))
    gap = a[good] - b[good]
    rms, largest = float(np.sqrt(np.mean(gap**2))), float(np.abs(gap).max())
    return {"rms": rms / scale, "largest": largest / scale, "share": float(good.mean())}


def curve_difference(ours: Arrays, theirs: Arrays) -> dict[str, object]:
    """Contrast of both at the five radii, and the largest relative difference.

    NaN where a curve does not reach; then the largest difference is NaN too.
    """
    found: dict[str, object] = {"radii_px": list(RADII_PX)}
    apart = []
    for name in ("gaussian", "student"):
        values = [_at_radii(side["radius_px"], side[name]) for side in (ours, theirs)]
        found[name] = [value.tolist() for value in values]
        apart.append(np.abs(values[0] / values[1] - 1))
    return {**found, "largest": float(np.max(apart))}


def _at_radii(radius_px: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.interp(RADII_PX, radius_px, values, left=np.nan, right=np.nan)


def map_difference(ours: np.ndarray, theirs: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Median and largest absolute difference of two maps; theirs is zero where it has no value."""
    known = where & np.isfinite(ours) & np.isfinite(theirs) & (theirs != 0)
    if not known.any():
        return {"median": float("nan"), "largest": float("nan"), "share": 0.0}
    gap, share = np.abs(ours - theirs)[known], known.sum() / where.sum()
    return {"median": float(np.median(gap)), "largest": float(gap.max()), "share": float(share)}


def compare(data: Input, ours: Arrays, theirs: Arrays) -> dict[str, object]:
    """All that two results of one case have in common.

    Returns
    -------
    dict
        ``images``, ``residuals`` and ``cube`` as `difference` has them, ``map`` as
        `map_difference`, ``contrast`` as `curve_difference`, and ``companion`` of both. A
        ``cube`` says whether its input is ``well_sampled``.
    """
    side = data.frames.shape[-1]
    where = zone(side, data.fwhm_px, min(side / 2 - 2 * data.fwhm_px, OUTER_SHARE * side / 2))
    found: dict[str, Any] = {}
    images = [name for name in ours if name.startswith("image") and name in theirs]
    if images:
        found["images"] = {name: difference(ours[name], theirs[name], where) for name in images}
    for name in ("residuals", "cube"):
        if name in ours and name in theirs:
            found[name] = difference(ours[name], theirs[name], where)
    if "cube" in found:
        sampled = data.name in SCENES and SCENES[data.name].well_sampled
        found["cube"] = {**found["cube"], "well_sampled": sampled}
    if "map" in ours and "map" in theirs:
        found["map"] = map_difference(ours["map"], theirs["map"], where)
    if "gaussian" in ours and "gaussian" in theirs:
        found["contrast"] = curve_difference(ours, theirs)
    xy = place(data)
    if xy is not None and images:
        pair = {"ours": ours["image"], "theirs": theirs["image"]}
        measured = {key: companion(image, data.fwhm_px, xy) for key, image in pair.items()}
        found["companion"] = measured
    return found


def gates(found: dict[str, Any], residual_gate: float) -> dict[str, bool]:
    """Whether two results of the same arithmetic agree as they should, figure by figure.

    NaN is no agreement.
    """
    passed = {}
    compared = [found[key] for key in ("residuals", "cube", "map") if key in found]
    compared += found.get("images", {}).values()
    if compared:
        passed["pixels"] = all(one["share"] >= SHARE_GATE for one in compared)
    if "residuals" in found:
        passed["residuals"] = found["residuals"]["rms"] <= residual_gate
    if "companion" in found:
        ours, theirs = found["companion"]["ours"], found["companion"]["theirs"]
        for name, key, gate in (("S/N", "snr", SNR_GATE), ("peak", "peak", PEAK_GATE)):
            passed[name] = abs(ours[key] - theirs[key]) <= gate * abs(theirs[key])
    if found.get("cube", {}).get("well_sampled"):
        passed["rotation"] = found["cube"]["rms"] <= CUBE_GATE
    if "map" in found:
        passed["map"] = found["map"]["median"] < MAP_GATE
    if "contrast" in found:
        passed["contrast"] = found["contrast"]["largest"] <= CONTRAST_GATE
    return passed
