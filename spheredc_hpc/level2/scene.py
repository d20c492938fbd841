"""All channels reduced together, with or without a set of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.level2.contrast import noise_curve
from spheredc_hpc.level2.engine import Companion, Frames, Method, Reduction
from spheredc_hpc.level2.forward import Fit
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Channel
from spheredc_hpc.level2.stack import stack_weights, stacked

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
    def stack_flux(self) -> Floats:
        """Sum of a companion of contrast 1 in each channel, in an aperture of the mean width."""
        found = []
        for channel, width in zip(self.channels, self.widths_px, strict=True):
            image, own = channel.star.stamp.image, channel.star.fwhm_px
            middle = image.shape[0] // 2
            sums = [
                aperture_sum(image, middle, middle, diameter / 2)
                for diameter in (own, own * self.fwhm_px / width)
            ]
            found.append(channel.star.unit_flux * sums[1] / sums[0])
        return np.array(found)

    @cached_property
    def alive(self) -> Mask:
        """Channels whose images hold something."""
        return np.asarray(np.isfinite(self.images).any(axis=(1, 2)))

    @cached_property
    def stack(self) -> Frames:
        """Weighted mean over the channels that hold something."""
        return stacked(self.images[self.alive], self.weights_alive)

    @property
    def weights_alive(self) -> Floats | None:
        """Weights of the channels that hold something."""
        return None if self.weights is None else self.weights[self.alive]

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


@dataclass(frozen=True)
class SceneMaker:
    """Makes scenes of one cube, with some sources taken out of the frames.

    Attributes
    ----------
    rows : sequence of Rows
        What is reduced.
    method : Method
        How.
    gain : array of float64, shape (n_channel,), optional
        Flux that a companion of mean contrast 1 has in each channel: channels are weighted for
        it, by the noise of the scene itself. If absent, all channels count alike.
    alive : array of bool, shape (n_channel,), optional
        Channels whose images hold more than round-off; those of the others are blank.
    """

    rows: Sequence[Rows]
    method: Method
    gain: Floats | None = None
    alive: Mask | None = None

    def reductions(self, without: Sequence[Fit] = ()) -> tuple[Reduction, ...]:
        """Prepare the reduction of all channels."""
        reductions = []
        for one, part in zip(self.rows, parts_of(self.rows), strict=True):
            removed = [Companion(f.dx_px, f.dy_px, -f.contrast[part]) for f in without]
            reductions.append(Reduction(one, self.method, removed))
        return tuple(reductions)

    def scene(self, without: Sequence[Fit] = ()) -> Scene:
        """Reduce all channels."""
        return self.finished(scene_of(self.reductions(without)))

    def finished(self, scene: Scene) -> Scene:
        """Blank the channels that hold nothing and weigh the others."""
        if self.alive is not None and not self.alive.all():
            blank = np.where(self.alive[:, None, None], scene.images, np.float32(np.nan))
            scene = replace(scene, images=blank)
        if self.gain is None or len(scene.images) == 1:
            return scene
        return replace(scene, weights=_weights(scene, self.gain))


def scene_of(reductions: Sequence[Reduction]) -> Scene:
    """Make the images of reductions; all channels count alike."""
    images = np.concatenate([as_numpy(reduction.images()) for reduction in reductions])
    return Scene(tuple(reductions), images)


def _weights(scene: Scene, gain: Floats) -> Floats:
    radii = np.arange(1, scene.side // 2 + 1, dtype=np.float64)
    noise = [
        noise_curve(image, float(width), radii)[0]
        for image, width in zip(scene.images, scene.widths_px, strict=True)
    ]
    # A radius of zero has no ring: the first one serves.
    return stack_weights(np.stack([np.concatenate([line[:1], line]) for line in noise]), gain)
