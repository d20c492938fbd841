"""All channels reduced together, with or without a set of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.level2.engine import Companion, Frames, Method, Reduction
from spheredc_hpc.level2.forward import Fit
from spheredc_hpc.level2.sequence import Channel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Reductions of all channels.

    Attributes
    ----------
    reductions : tuple of Reduction
        One a channel.
    images : tuple of array
        Their final images, NaN outside of the mask.
    """

    reductions: tuple[Reduction, ...]
    images: tuple[Frames, ...]

    @property
    def side(self) -> int:
        """Side of the images [px]."""
        return int(self.images[0].shape[0])

    @property
    def stack(self) -> Frames:
        """Mean over the channels."""
        if len(self.images) == 1:
            return self.images[0]
        return np.asarray(np.mean(np.stack(self.images), axis=0, dtype=np.float64), np.float32)

    @property
    def fwhm_px(self) -> float:
        """Mean width of the PSFs [px]."""
        return float(np.mean([r.channel.star.fwhm_px for r in self.reductions]))

    def views(self) -> list[tuple[Frames, float]]:
        """Images that are searched, with their PSF width: the stack, then the channels."""
        if len(self.images) == 1:
            return [(self.images[0], self.fwhm_px)]
        widths = [r.channel.star.fwhm_px for r in self.reductions]
        return [(self.stack, self.fwhm_px), *zip(self.images, widths, strict=True)]


def reductions_without(
    channels: Sequence[Channel], method: Method, fits: Sequence[Fit]
) -> tuple[Reduction, ...]:
    """Prepare the reduction of all channels with fitted sources taken out of the frames."""
    first = channels[0].pixel_scale_mas
    reductions = []
    for k, channel in enumerate(channels):
        s = first / channel.pixel_scale_mas
        removed = [Companion(f.dx_px * s, f.dy_px * s, -float(f.contrast[k])) for f in fits]
        reductions.append(Reduction(channel, method, removed))
    return tuple(reductions)


def scene_without(channels: Sequence[Channel], method: Method, fits: Sequence[Fit] = ()) -> Scene:
    """Reduce all channels with fitted sources taken out of the frames."""
    reductions = reductions_without(channels, method, fits)
    return Scene(reductions, tuple(reduction.image() for reduction in reductions))
