"""The misfit of images about a source, with a companion taken out of the frames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.level2.engine import Companion, Reduction
from spheredc_hpc.level2.patch import Patch

Floats = NDArray[np.float64]

# Radius of the fitted patch in FWHM.
PATCH_FWHM = 1.3
# Steps of central differences: position [px], contrast (relative).
_STEP_PX = 0.3
_RELATIVE_STEP = 0.1
# Channels reduced together whose contrasts are differentiated exactly, at most; of more, the
# response to each contrast is that of kept coefficients, set right by exact differences.
_EXACT_CHANNELS = 4
# What the correction may be.
_CORRECTIONS = (0.1, 3.0)


class Misfit:
    """What images show about a source beyond a companion that is taken out, and its derivatives.

    Parameters
    ----------
    reductions : sequence of Reduction
        Of all channels, with every other source removed.
    profiles : sequence of array
        Azimuthal mean of each channel's image at whole radii.
    noise : array, shape (n_channel,)
        Noise of each channel at the source's radius.
    start_px : (float, float)
        Middle of the pixels that count [image px].
    """

    def __init__(
        self,
        reductions: Sequence[Reduction],
        profiles: Sequence[Floats],
        noise: Floats,
        start_px: tuple[float, float],
    ) -> None:
        fwhm = mean_width(reductions)
        half = int(np.ceil(PATCH_FWHM * fwhm)) + 1
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        x, y = x + round(start_px[0]), y + round(start_px[1])
        near = np.hypot(x - start_px[0], y - start_px[1]) <= PATCH_FWHM * fwhm
        self.points = np.stack([x[near], y[near]]).astype(np.float64)
        self.patches = [Patch(reduction, *self.points) for reduction in reductions]
        ends = np.cumsum([0, *(len(reduction.rows.channels) for reduction in reductions)])
        self.parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
        radius = np.hypot(*self.points)
        self.background = np.stack([np.interp(radius, np.arange(p.size), p) for p in profiles])
        self.weight = 1.0 / noise

    def left_over(
        self, part: int, dx: float, dy: float, contrast: Floats, *, frozen: bool = False
    ) -> Floats:
        """Images of one reduction about the source after taking a companion out.

        Returns
        -------
        array, shape (n_channel, n_point)
            Less the background, weighted; zero where there is no image.
        """
        own = self.parts[part]
        companion = Companion(dx, dy, -contrast[own])
        values = self.patches[part].evaluate([companion], frozen=frozen)
        misfit = (values - self.background[own]) * self.weight[own, None]
        return np.asarray(np.nan_to_num(misfit))

    def all_left(self, p: Floats) -> Floats:
        """Weighted misfit of all channels, shape (n_data,)."""
        parts = range(len(self.parts))
        return np.concatenate([self.left_over(k, p[0], p[1], p[2:]).ravel() for k in parts])

    def jacobian(self, p: Floats, unit: Floats) -> Floats:
        """Differentiate `all_left`, shape (n_data, 2 + n_channel)."""
        result = np.zeros((self.parts[-1].stop, self.points.shape[1], 2 + self.parts[-1].stop))
        for number, own in enumerate(self.parts):
            few = own.stop - own.start <= _EXACT_CHANNELS
            differentiate = self._exactly if few else self._nearly
            result[own, :, :2], result[own, :, 2 + own.start : 2 + own.stop] = differentiate(
                number, p, unit
            )
        return result.reshape(-1, result.shape[2])

    def _exactly(self, number: int, p: Floats, unit: Floats) -> tuple[Floats, Floats]:
        """Central differences of one reduction: by position, and by its contrasts."""
        own, left = self.parts[number], partial(self.left_over, number)
        x, y, c = float(p[0]), float(p[1]), p[2:]
        columns = []
        for k in range(own.start, own.stop):
            step = np.zeros(c.size)
            step[k] = _RELATIVE_STEP * unit[k]
            columns.append((left(x, y, c + step) - left(x, y, c - step)) / (2 * step[k]))
        return self._by_position(number, p, frozen=False), np.stack(columns, axis=-1)

    def _nearly(self, number: int, p: Floats, unit: Floats) -> tuple[Floats, Floats]:
        """As `_exactly` with the coefficients of `p` kept, set right by an exact difference."""
        own, patch = self.parts[number], self.patches[number]
        x, y, c, h = float(p[0]), float(p[1]), p[2:], _STEP_PX
        weight = -self.weight[own, None, None]
        if not patch.adds:
            return self._by_position(number, p, frozen=True), self._one_by_one(number, p, unit)
        held = patch.held([Companion(x, y, -c[own])])
        response = np.moveaxis(patch.responses(held, x, y), 0, -1) * weight
        steps = (((x + h, y), (x - h, y)), ((x, y + h), (x, y - h)))
        moved = np.stack(
            [
                np.subtract(*(patch.through(held, [Companion(*at, c[own])]) for at in pair))
                for pair in steps
            ],
            axis=-1,
        )
        ratio = self._correction(number, p, unit, response)
        return moved * weight / (2 * h) * ratio, response * ratio

    def _one_by_one(self, number: int, p: Floats, unit: Floats) -> Floats:
        """Differentiate by contrasts with kept coefficients, where images do not add."""
        own = self.parts[number]
        left = partial(self.left_over, number, float(p[0]), float(p[1]), frozen=True)
        columns = []
        for k in range(own.start, own.stop):
            step = np.zeros(p.size - 2)
            step[k] = _RELATIVE_STEP * unit[k]
            columns.append((left(p[2:] + step) - left(p[2:] - step)) / (2 * step[k]))
        response = np.stack(columns, axis=-1)
        return np.asarray(response * self._correction(number, p, unit, response))

    def _by_position(self, number: int, p: Floats, *, frozen: bool) -> Floats:
        """Differentiate by x and y, shape (n_channel, n_point, 2)."""
        left = partial(self.left_over, number, contrast=p[2:], frozen=frozen)
        x, y, h = float(p[0]), float(p[1]), _STEP_PX
        by_x = left(x + h, y) - left(x - h, y)
        by_y = left(x, y + h) - left(x, y - h)
        return np.stack([by_x, by_y], axis=-1) / (2 * h)

    def _correction(self, number: int, p: Floats, unit: Floats, response: Floats) -> Floats:
        """Ratio of the exact response of each channel to that of kept coefficients.

        Measured for a source that shines in all channels; shape (n_channel, 1, 1).
        """
        x, y, c, step = float(p[0]), float(p[1]), p[2:], _RELATIVE_STEP * unit
        # A trial one half step brighter to one side, as the point itself is known already.
        exact = 2 * (self.left_over(number, x, y, c + 0.5 * step) - self.left_over(number, x, y, c))
        kept = response @ step[self.parts[number]]
        norm = (kept**2).sum(axis=1)
        ratio = np.divide((exact * kept).sum(axis=1), norm, out=np.ones(norm.size), where=norm > 0)
        return np.asarray(np.clip(ratio, *_CORRECTIONS)[:, None, None])


def mean_width(reductions: Sequence[Reduction]) -> float:
    """Mean width of the PSFs of all channels [image px]."""
    widths = [
        channel.star.fwhm_px * reduction.rows.image_pixels(k)
        for reduction in reductions
        for k, channel in enumerate(reduction.rows.channels)
    ]
    return float(np.mean(widths))
