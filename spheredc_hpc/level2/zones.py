"""Which frames and pixels of a master cube enter a reduction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.parallel import blocks
from spheredc_hpc.kernels.polar import radius_map
from spheredc_hpc.level2.selection import judge
from spheredc_hpc.store.cube import Level1Cube

Mask = NDArray[np.bool_]

# A frame needs this share of the valid pixels that the frame at a quantile has, ...
MIN_FRAME_SHARE = 0.8
_USUAL = 0.9
# ... a pixel must be valid in this share of the frames used; gaps are filled in time.
MIN_PIXEL_SHARE = 0.8
# Frames read at a time: those of one chunk of a stored cube.
BLOCK_FRAMES = 16
# Border kept about the zone, so that rotation and apertures see what is beyond it [px].
BORDER_PX = 8


@dataclass(frozen=True)
class Window:
    """A square about the star, odd, with the star in its middle.

    Attributes
    ----------
    half_px : int
        Half size; the side is ``2 * half_px + 1``.
    rows, columns : slice
        Where it lies on the frames of the cube.
    """

    half_px: int
    rows: slice
    columns: slice

    @property
    def side(self) -> int:
        """Side of the square [px]."""
        return 2 * self.half_px + 1


def window_of(shape: tuple[int, int], outer_px: float) -> Window:
    """Choose the window that holds a radius and its border, as far as the frames go.

    Raises
    ------
    DataError
        If the frames are smaller than 5 pixels.
    """
    cy, cx = shape[0] // 2, shape[1] // 2
    room = min(cy, cx, shape[0] - 1 - cy, shape[1] - 1 - cx)
    if room < 2:
        raise DataError(f"frames of {shape[0]} x {shape[1]} px are too small to reduce")
    half = min(int(np.ceil(outer_px)) + BORDER_PX, room)
    return Window(half, slice(cy - half, cy + half + 1), slice(cx - half, cx + half + 1))


def annulus(side: int, inner_px: float, outer_px: float) -> Mask:
    """Pixels of a square whose distance from its centre is within two radii."""
    radius = radius_map((side, side))
    return (radius >= inner_px) & (radius <= outer_px)


@dataclass(frozen=True)
class Selection:
    """Frames that are used and why others are not.

    Attributes
    ----------
    keep : array of bool, shape (time,)
        Frames used.
    reasons : tuple of str
        One sentence for each cause of rejection, with the frame numbers.
    problem : str
        Why the policy of selection was not applied; empty if it was.
    forced : bool
        Whether frames are left out that no policy chose to.
    """

    keep: Mask
    reasons: tuple[str, ...]
    problem: str = ""
    forced: bool = False


def select_frames(cube: Level1Cube, window: Window, area: Mask, policy: str = "all") -> Selection:
    """Choose the frames of a cube that can be used in every channel.

    Parameters
    ----------
    cube : Level1Cube
        Master cube; a metric named ``rejected`` that is not zero excludes a frame.
    window : Window
        Part of the frames that is reduced.
    area : array of bool, shape (side, side)
        Pixels that matter.
    policy : str
        What is left out besides, a name of `spheredc_hpc.level2.selection.POLICIES`.

    Returns
    -------
    Selection

    Raises
    ------
    DataError
        If no pixel matters: the frames end before the zone begins.
    """
    if not area.any():
        raise DataError(
            f"frames of {cube.science.shape[-2]} x {cube.science.shape[-1]} px have no pixel "
            "between the inner and the outer radius"
        )
    causes: dict[str, Mask] = {"without a derotation angle": ~np.isfinite(cube.derotation_deg)}
    if "rejected" in cube.metrics:
        marked = cube.quality[:, cube.metrics.index("rejected")]
        causes["rejected by Level 1"] = np.nan_to_num(marked) != 0
    found = [valid_share(cube, channel, window, area) for channel in range(cube.science.shape[0])]
    share, blank = (np.stack(values) for values in zip(*found, strict=True))
    used = ~np.any(list(causes.values()), axis=0)
    causes["with too few valid pixels"] = np.any(share < least_share(share, used), axis=0)
    causes["of one value in all pixels"] = np.any(blank, 0)
    verdict = judge(cube, policy, ~np.any(list(causes.values()), axis=0))
    causes |= verdict.causes
    keep = np.ones(cube.mjd.shape, bool)
    reasons = [verdict.problem] if verdict.problem else []
    for cause, hit in causes.items():
        fresh = np.flatnonzero(hit & keep)
        if fresh.size:
            numbers = ", ".join(str(i) for i in fresh[:10]) + (" ..." if fresh.size > 10 else "")
            reasons.append(f"{fresh.size} frames {cause}: {numbers}")
        keep &= ~hit
    others = [hit for cause, hit in causes.items() if cause not in verdict.causes]
    return Selection(keep, tuple(reasons), verdict.problem, bool(np.any(others)))


def least_share(share: NDArray[np.float64], used: Mask | None = None) -> NDArray[np.float64]:
    """Share of valid pixels that a frame needs in each channel.

    Parameters
    ----------
    share : array of float64, shape (n_channel, n_frame)
        What the frames have.
    used : array of bool, shape (n_frame,), optional
        Frames that count; all if absent.

    Returns
    -------
    array of float64, shape (n_channel, 1)
        `MIN_FRAME_SHARE` of what the best tenth of the frames have: many bad frames do not
        make their like the rule. More than nothing in any case.
    """
    counted = share if used is None or not used.any() else share[:, used]
    usual = np.quantile(counted, _USUAL, axis=1, keepdims=True)
    return np.maximum(MIN_FRAME_SHARE * usual, np.finfo(np.float64).tiny)


def valid_share(
    cube: Level1Cube, channel: int, window: Window, area: Mask
) -> tuple[NDArray[np.float64], Mask]:
    """Share of an area that has data and weight in each frame, and whether it is one value."""
    shares: list[float] = []
    blank: list[bool] = []
    for block in blocks(cube.mjd.size, BLOCK_FRAMES):
        science = cube.science[channel, block, window.rows, window.columns]
        weight = cube.weight[channel, block, window.rows, window.columns]
        usable = np.isfinite(science) & (weight > 0) & area
        shares += [float(frame.sum() / area.sum()) for frame in usable]
        blank += [is_blank(frame, good) for frame, good in zip(science, usable, strict=True)]
    return np.array(shares), np.array(blank)


def is_blank(frame: NDArray[np.float32], usable: Mask) -> bool:
    """Whether all usable pixels have the same value; usually the first row of some tells."""
    for row, good in zip(frame, usable, strict=True):
        values = row[good]
        if values.size and values.min() < values.max():
            return False
    values = frame[usable]
    return bool(values.size and values.min() == values.max())


def all_equal(frames: NDArray[np.float32]) -> bool:
    """Whether every frame is the same as the first; usually the second one tells."""
    return all(np.array_equal(frame, frames[0]) for frame in frames[1:])
