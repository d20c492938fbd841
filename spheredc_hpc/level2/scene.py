"""All channels reduced together, with or without a set of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.level2.engine import Companion, Frames, Method, Reduction
from spheredc_hpc.level2.forward import Fit
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.stack import stacked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Reductions of all channels, and their images on one pixel scale.

    Attributes
    ----------
    reductions : tuple of Reduction
        Each of one channel or of several that are reduced together.
    images : array of float32, shape (n_channel, side, side)
        Final images of all channels in their order, NaN outside of the mask.
    weights : array of float64, shape (n_channel, n_radius), optional
        Weight of each channel in the stack at whole radii; equal ones if absent.
    """

    reductions: tuple[Reduction, ...]
    images: Frames
    weights: Floats | None = None

    @property
    def side(self) -> int:
        """Side of the images [px]."""
        return int(self.images.shape[-1])

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Native channels."""
        return tuple(c for reduction in self.reductions for c in reduction.rows.channels)

    @property
    def pixel_scale_mas(self) -> float:
        """Pixel scale of the images [mas/px]."""
        first = self.reductions[0].rows
        return first.channels[0].pixel_scale_mas / first.image_pixels(0)

    @cached_property
    def widths_px(self) -> Floats:
        """Width of the PSF of each channel [image px]."""
        return np.array(
            [
                channel.star.fwhm_px * reduction.rows.image_pixels(k)
                for reduction in self.reductions
                for k, channel in enumerate(reduction.rows.channels)
            ]
        )

    @property
    def fwhm_px(self) -> float:
        """Mean width of the PSFs [image px]."""
        return float(self.widths_px.mean())

    @property
    def unit_flux(self) -> Floats:
        """Aperture sum of a companion of contrast 1 in each channel."""
        return np.array([channel.star.unit_flux for channel in self.channels])

    @cached_property
    def stack(self) -> Frames:
        """Weighted mean over the channels."""
        return stacked(self.images, self.weights)

    def views(self) -> list[tuple[Frames, float]]:
        """Images that are searched, with their PSF width: the stack, then the channels."""
        if len(self.images) == 1:
            return [(self.images[0], self.fwhm_px)]
        each = [(i, float(w)) for i, w in zip(self.images, self.widths_px, strict=True)]
        return [(self.stack, self.fwhm_px), *each]

    def parts(self) -> list[slice]:
        """Channels of each reduction, as slices of all channels."""
        return parts_of([reduction.rows for reduction in self.reductions])


def parts_of(rows: Sequence[Rows]) -> list[slice]:
    """Channels of each of several rows, as slices of all channels."""
    ends = np.cumsum([len(one.channels) for one in rows])
    return [slice(int(end) - len(o.channels), int(end)) for o, end in zip(rows, ends, strict=True)]


def reductions_without(
    rows: Sequence[Rows], method: Method, fits: Sequence[Fit]
) -> tuple[Reduction, ...]:
    """Prepare the reduction of all channels with fitted sources taken out of the frames."""
    reductions = []
    for one, part in zip(rows, parts_of(rows), strict=True):
        removed = [Companion(f.dx_px, f.dy_px, -f.contrast[part]) for f in fits]
        reductions.append(Reduction(one, method, removed))
    return tuple(reductions)


def scene_of(reductions: Sequence[Reduction], weights: Floats | None = None) -> Scene:
    """Make the images of reductions."""
    images = np.concatenate([as_numpy(reduction.images()) for reduction in reductions])
    return Scene(tuple(reductions), images, weights)


def scene_without(
    rows: Sequence[Rows], method: Method, fits: Sequence[Fit] = (), weights: Floats | None = None
) -> Scene:
    """Reduce all channels with fitted sources taken out of the frames."""
    return scene_of(reductions_without(rows, method, fits), weights)
