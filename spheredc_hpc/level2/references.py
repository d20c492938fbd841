"""Frames of other stars that serve as references."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.level2 import zones
from spheredc_hpc.store.cube import Level1Cube

Floats = NDArray[np.float64]
Frames = NDArray[np.float32]

# Grids may differ by so much: a fifth of a pixel at the edge of a field of 200 px radius.
_SCALE_TOLERANCE = 1e-3
_WAVELENGTH_TOLERANCE = 0.01


@dataclass(frozen=True)
class References:
    """Frames of reference stars on the grid of a cube.

    Attributes
    ----------
    frames : array of float32, shape (n_channel, n_reference, y, x)
        Recentred: star on pixel ``(n // 2, n // 2)``. NaN where there is no data: a frame with
        less than 80 % of the usual valid pixels of the field is left out, gaps of the others
        hold the median of the references, and a pixel that 80 % of them lack is not reduced.
        Units do not matter.
    labels : tuple of str
        What each reference is, for messages and records.
    wavelength_um, pixel_scale_mas : array of float64, shape (n_channel,)
        Of the channels; NaN where not known.
    """

    frames: Frames
    labels: tuple[str, ...]
    wavelength_um: Floats
    pixel_scale_mas: Floats

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together.

        Raises
        ------
        DataError
            Names what does not fit.
        """
        if self.frames.ndim != 4 or self.frames.shape[1] == 0:
            raise DataError(
                f"references of shape {self.frames.shape}: channel, reference, y, x expected, "
                "with at least one reference"
            )
        if len(self.labels) != self.frames.shape[1]:
            raise DataError(f"{len(self.labels)} labels for {self.frames.shape[1]} references")
        for name in ("wavelength_um", "pixel_scale_mas"):
            if getattr(self, name).shape != self.frames.shape[:1]:
                raise DataError(
                    f"references: {name} has shape {getattr(self, name).shape}, expected "
                    f"{self.frames.shape[:1]}"
                )

    @classmethod
    def of_cube(cls, cube: Level1Cube, label: str) -> References:
        """Take all frames of the cube of another star; labels are ``label:frame number``."""
        count = cube.science.shape[1]
        frames = np.where(cube.weight > 0, cube.science, np.float32(np.nan))
        return cls(
            frames,
            tuple(f"{label}:{i}" for i in range(count)),
            cube.wavelength_um,
            cube.pixel_scale_mas,
        )

    def check(self, cube: Level1Cube) -> None:
        """Refuse references that are not on the grid of a cube.

        Raises
        ------
        DataError
            Names what differs, its values and what was expected.
        """
        shape = (cube.science.shape[0], *cube.science.shape[2:])
        found = (self.frames.shape[0], *self.frames.shape[2:])
        if found != shape:
            raise DataError(f"references have shape {found} (channel, y, x), the cube has {shape}")
        for name, tolerance in (
            ("pixel_scale_mas", _SCALE_TOLERANCE),
            ("wavelength_um", _WAVELENGTH_TOLERANCE),
        ):
            ours, theirs = getattr(cube, name), getattr(self, name)
            known = np.isfinite(ours) & np.isfinite(theirs)
            wrong = np.abs(theirs[known] / ours[known] - 1) > tolerance
            if wrong.any():
                k = int(np.flatnonzero(known)[np.argmax(wrong)])
                raise DataError(
                    f"references, channel {k}: {name} {theirs[k]:.4f}, the cube has {ours[k]:.4f}"
                )


@dataclass(frozen=True)
class Library:
    """References made ready: finite, cut to the window of the reduction.

    Attributes
    ----------
    frames : tuple of array of float32, shape (n_reference, side, side)
        One a channel; zero where `common` is false.
    common : tuple of array of bool, shape (side, side)
        Where they have data, one a channel.
    labels : tuple of str
        References kept.
    left_out : tuple of str
        References with too few valid pixels or one value in all of them in some channel.
    """

    frames: tuple[Frames, ...]
    common: tuple[zones.Mask, ...]
    labels: tuple[str, ...]
    left_out: tuple[str, ...]


def ready_library(references: References, window: zones.Window, area: zones.Mask) -> Library:
    """Cut references to a window, leave bad ones out and close gaps.

    Parameters
    ----------
    references : References
        On the grid of the cube.
    window : zones.Window
        Part of the frames that is reduced.
    area : array of bool, shape (side, side)
        Pixels that matter.

    Returns
    -------
    Library

    Raises
    ------
    DataError
        If no reference is left.
    """
    cut = references.frames[:, :, window.rows, window.columns]
    share = np.isfinite(cut[:, :, area]).mean(axis=2)
    blank = np.array(
        [[zones.is_blank(f, np.isfinite(f) & area) for f in channel] for channel in cut]
    )
    keep = np.all((share >= zones.least_share(share)) & ~blank, axis=0)
    if not keep.any():
        raise DataError(f"none of {keep.size} references has valid pixels in the field")
    frames, common = [], []
    for channel in cut:
        closed, seen = _closed(channel[keep])
        frames.append(closed)
        common.append(seen)
    kept = tuple(label for label, use in zip(references.labels, keep, strict=True) if use)
    left = tuple(label for label, use in zip(references.labels, keep, strict=True) if not use)
    return Library(tuple(frames), tuple(common), kept, left)


def _closed(frames: Frames) -> tuple[Frames, zones.Mask]:
    """Fill gaps with the median of the references; blank pixels that too many lack."""
    valid = np.isfinite(frames)
    common = np.asarray(valid.mean(axis=0) >= zones.MIN_PIXEL_SHARE, np.bool_)
    closed = np.where(valid & common, frames, np.float32(0))
    gaps = common & ~valid.all(axis=0)
    if gaps.any():
        values = np.where(valid[:, gaps], frames[:, gaps], np.nan)
        closed[:, gaps] = np.where(np.isfinite(values), values, np.nanmedian(values, axis=0))
    return closed.astype(np.float32, copy=False), common
