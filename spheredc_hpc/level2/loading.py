"""Frames of a master cube read block by block, with gaps closed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.parallel import blocks
from spheredc_hpc.level2.zones import BLOCK_FRAMES, MIN_PIXEL_SHARE, Mask, Window
from spheredc_hpc.store.cube import Level1Cube

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]

# Rows of the frames in which gaps are closed at a time.
_BLOCK_ROWS = 32


def load_frames(cube: Level1Cube, channel: int, window: Window, keep: Mask) -> tuple[Frames, Mask]:
    """Read the frames of one channel, close gaps in time and blank what is never seen.

    Parameters
    ----------
    cube : Level1Cube
        Master cube, in memory or on disk.
    channel : int
        Which channel.
    window : Window
        Part of the frames that is wanted.
    keep : array of bool, shape (time,)
        Frames that are wanted.

    Returns
    -------
    frames : array of float32, shape (n, side, side)
        Finite: a gap holds the median in time of its pixel; pixels outside of the common mask
        are zero.
    common : array of bool, shape (side, side)
        Pixels valid in at least `MIN_PIXEL_SHARE` of the frames.
    """
    count = int(keep.sum())
    frames = buffers.empty((count, window.side, window.side))
    seen = np.zeros((window.side, window.side), np.int64)
    filled = 0
    for block in _frame_blocks(keep):
        wanted = keep[block]
        science = cube.science[channel, block, window.rows, window.columns][wanted]
        weight = cube.weight[channel, block, window.rows, window.columns][wanted]
        valid = np.isfinite(science) & (weight > 0)
        frames[filled : filled + len(science)] = np.where(valid, science, np.float32(np.nan))
        seen += valid.sum(axis=0)
        filled += len(science)
        buffers.release(frames)
    common = seen / count >= MIN_PIXEL_SHARE
    for rows in blocks(window.side, _BLOCK_ROWS):
        _close_gaps(frames[:, rows], common[rows], seen[rows] < count)
        buffers.release(frames)
    return frames, common


def _close_gaps(frames: Frames, common: Mask, incomplete: Mask) -> None:
    """Fill the gaps of some rows of all frames in place; blank pixels that are not common."""
    gaps = common & incomplete
    if gaps.any():
        values = frames[:, gaps]
        frames[:, gaps] = np.where(np.isfinite(values), values, np.nanmedian(values, axis=0))
    if not common.all():
        frames[:, ~common] = 0


def frame_weights(cube: Level1Cube, channel: int, window: Window, keep: Mask, zone: Mask) -> Floats:
    """Median of Level 1's inverse variance of each frame in a zone: no companion changes it.

    Parameters
    ----------
    cube, channel, window, keep
        As for `load_frames`.
    zone : array of bool, shape (side, side)
        Pixels that count.

    Returns
    -------
    array of float64, shape (n,)
        Zero for a frame without a weight.
    """
    found: list[float] = []
    for block in _frame_blocks(keep):
        weight = cube.weight[channel, block, window.rows, window.columns]
        found += [_middle(row) for row in weight[keep[block]][:, zone]]
    return np.array(found, np.float64)


def _middle(weights: Frames) -> float:
    return float(np.median(weights[weights > 0])) if (weights > 0).any() else 0.0


def _frame_blocks(keep: Mask) -> Iterator[slice]:
    """Blocks of frames in which at least one is wanted."""
    for block in blocks(keep.size, BLOCK_FRAMES):
        if keep[block].any():
            yield block
