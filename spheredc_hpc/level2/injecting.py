"""Companions that are injected to measure a throughput, and the two ways to measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import is_numpy_array
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.polar import offset_from_sky
from spheredc_hpc.kernels.snr import ApertureMap, aperture_map, ring_noise
from spheredc_hpc.level2.device import batch_size, fluxes
from spheredc_hpc.level2.engine import Companion, Frames, Reduction
from spheredc_hpc.level2.pushing import Pushed, Pushing, Way

Floats = NDArray[np.float64]

# Azimuth from one companion to the next one outwards.
_GOLDEN_ANGLE_DEG = 137.50776
# A brightness may miss the one asked for by this factor before it is measured again, ...
_BRIGHTNESS = 1.2
# ... so often at most; throughputs below the floor do not make companions brighter still.
_TRIALS = 4
_FLOOR = 0.02
# Throughput assumed before the first measurement, where coefficients do not tell one.
_EXPECTED = 0.5
# Companions that share a repetition of the whole reduction are so far apart, in FWHM, and their
# brightness differs by this factor at most: one must not see what another changes.
_APART_FWHM = 8.0
_ALIKE = 1.5


@dataclass(frozen=True)
class Plan:
    """Companions to be injected and the images that they are to be seen in.

    Attributes
    ----------
    reduction : Reduction
        Rows and method, sources already removed.
    images : array, shape (n_channel, side, side)
        Its final images.
    level : float
        S/N of a companion at the throughput measured.
    spectrum : array of float64, shape (n_channel,)
        Contrast in each channel, in units of the contrast of a companion.
    offsets : array of float64, shape (n, 2)
        Where they stand on the images [image px]; NaN for none.
    noise : array of float64, shape (n, n_channel)
        Scatter of apertures there.
    whole : array of bool, shape (n, n_channel)
        Whether the images are valid all over the aperture.
    """

    reduction: Reduction
    images: Frames
    level: float
    spectrum: Floats
    offsets: Floats
    noise: Floats
    whole: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        reduction: Reduction,
        images: Frames,
        radius_px: Floats,
        level: float,
        spectrum: Floats | None = None,
    ) -> Plan:
        """Place companions and see how noisy it is there."""
        channels = reduction.rows.channels
        light = np.ones(len(channels)) if spectrum is None else np.asarray(spectrum, np.float64)
        if light.shape != (len(channels),) or not np.any(light > 0):
            raise DataError(f"spectrum {light} for {len(channels)} channels: some light wanted")
        branches = radius_px.shape[0]
        turn = np.arange(radius_px.shape[1]) * _GOLDEN_ANGLE_DEG
        angles = turn + 360.0 * np.arange(branches)[:, None] / branches
        offsets = np.stack(offset_from_sky(radius_px, angles), axis=-1).reshape(-1, 2)
        apertures = [aperture_map(image, _width(reduction, k)) for k, image in enumerate(images)]
        noise = np.stack([_noise(one, radius_px.ravel()) for one in apertures], axis=1)
        whole = np.stack([_whole(one, offsets) for one in apertures], axis=1)
        return cls(reduction, images, level, light, offsets, noise, whole)

    @property
    def unit(self) -> Floats:
        """Aperture flux in each channel of a companion of contrast 1."""
        fluxes = np.array([c.star.unit_flux for c in self.reduction.rows.channels])
        return np.asarray(self.spectrum * fluxes)

    def contrast(self, number: int, throughput: Floats) -> float:
        """Contrast at which a companion has the S/N asked for in all channels together."""
        share = np.maximum(np.nan_to_num(throughput, nan=_FLOOR), _FLOOR)
        return float(self.level / np.sqrt(np.sum((self.unit * share / self.noise[number]) ** 2)))

    def share(self, number: int, flux: Floats, contrast: float) -> Floats:
        """Throughput in each channel; NaN where an image does not hold the whole aperture."""
        light = contrast * self.unit
        seen = self.whole[number] & (light > 0)
        share = np.full(light.shape, np.nan)
        np.divide(flux, light, out=share, where=seen)
        return share

    def aperture(self, image: Frames, k: int, dx: float, dy: float) -> float:
        """Sum in the aperture at an offset on the image of a channel."""
        middle = image.shape[0] // 2
        return aperture_sum(image, middle + dx, middle + dy, _width(self.reduction, k) / 2)


def _width(reduction: Reduction, k: int) -> float:
    """Width of the PSF of a channel [image px]."""
    return reduction.rows.channels[k].star.fwhm_px * reduction.rows.image_pixels(k)


def _noise(apertures: ApertureMap, radii_px: Floats) -> Floats:
    """Noise of rings; of the nearest known one where it cannot be measured."""
    noise = np.ones(radii_px.shape)
    used = np.flatnonzero(np.isfinite(radii_px))
    found, _ = ring_noise(apertures, radii_px[used])
    known = used[np.isfinite(found) & (found > 0)]
    if known.size:
        order = known[np.argsort(radii_px[known])]
        values = found[np.searchsorted(used, order)]
        noise[used] = np.interp(radii_px[used], radii_px[order], values)
    return noise


def _whole(apertures: ApertureMap, offsets: Floats) -> NDArray[np.bool_]:
    """Whether the apertures about the pixels nearest to offsets are valid."""
    side = apertures.sums.shape[0]
    x, y = (np.rint(np.nan_to_num(offsets.T, nan=side)) + side // 2).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < side) & (y < side)
    inside[inside] = np.isfinite(apertures.sums[y[inside], x[inside]])
    return np.asarray(inside)


def pushed(plan: Plan, way: Way) -> tuple[Floats, Floats]:
    """Throughput, shape (n, n_channel), and contrast of all companions, one at a time."""
    pushing = Pushing(plan.reduction, plan.spectrum)
    pushing.prepare()
    if plan.reduction.linear and not is_numpy_array(plan.reduction.base.values):
        return _pushed_together(plan, pushing, way)

    def one(number: int) -> tuple[Floats, float]:
        dx, dy = plan.offsets[number]
        if not np.isfinite(dx):
            return np.full(plan.spectrum.size, np.nan), float("nan")
        pushed = Pushed(pushing, float(dx), float(dy))

        def measure(contrast: float) -> Floats:
            return plan.share(number, pushed.flux(contrast, way), contrast)

        guess = np.full(plan.spectrum.size, _EXPECTED)
        if plan.reduction.linear:
            guess = plan.share(number, pushed.flux(1.0, "frozen"), 1.0)
            if way == "frozen":
                return guess, plan.contrast(number, guess)
        return _settled(plan, number, guess, measure)

    found = map_ordered(one, range(len(plan.offsets)))
    return np.stack([share for share, _ in found]), np.array([c for _, c in found])


def _pushed_together(plan: Plan, pushing: Pushing, way: Way) -> tuple[Floats, Floats]:
    """Do the same in batches, where many small problems cost little more than one."""
    values = np.full((len(plan.offsets), plan.spectrum.size), np.nan)
    contrast = np.full(len(plan.offsets), np.nan)
    numbers = np.flatnonzero(np.isfinite(plan.offsets[:, 0]))
    for part in blocks(numbers.size, batch_size(pushing)):
        batch = numbers[part]
        made = map_ordered(lambda n: Pushed(pushing, *plan.offsets[n].tolist()), batch)
        members = dict(zip(batch.tolist(), made, strict=True))

        def measure(chosen: NDArray[np.int64], brightness: Floats, how: Way) -> None:
            found = fluxes([members[n] for n in chosen.tolist()], brightness, how)  # noqa: B023
            for n, flux, c in zip(chosen.tolist(), found, brightness, strict=True):
                values[n] = plan.share(n, flux, float(c))

        measure(batch, np.ones(batch.size), "frozen")
        contrast[batch] = [plan.contrast(n, values[n]) for n in batch.tolist()]
        for _ in range(0 if way == "frozen" else _TRIALS):
            measure(batch, contrast[batch], way)
            better = np.array([plan.contrast(n, values[n]) for n in batch.tolist()])
            ratio = better / contrast[batch]
            off = (ratio <= 1 / _BRIGHTNESS) | (ratio >= _BRIGHTNESS)
            batch = batch[off]
            contrast[batch] = better[off]
            if not batch.size:
                break
    return values, contrast


def _settled(
    plan: Plan, number: int, guess: Floats, measure: Callable[[float], Floats]
) -> tuple[Floats, float]:
    """Repeat a measurement until the brightness is that of the level."""
    contrast = plan.contrast(number, guess)
    for _ in range(_TRIALS):
        share = measure(contrast)
        better = plan.contrast(number, share)
        if 1 / _BRIGHTNESS < better / contrast < _BRIGHTNESS:
            break
        contrast = better
    return share, contrast


def injected(plan: Plan) -> tuple[Floats, Floats]:
    """Do the same by repetitions of the whole reduction."""
    count, channels = len(plan.offsets), plan.spectrum.size
    values = np.full((count, channels), np.nan)
    expected = np.full((count, channels), _EXPECTED)
    if plan.reduction.linear:
        expected, _ = pushed(plan, "frozen")
    contrast = np.array([plan.contrast(i, expected[i]) for i in range(count)])
    waiting = np.flatnonzero(np.isfinite(plan.offsets[:, 0]))
    for _ in range(_TRIALS):
        for together in _passes(plan, waiting, contrast):
            values[together] = _repeated(plan, together, contrast[together])
        better = np.array([plan.contrast(int(i), values[i]) for i in waiting])
        ratio = better / contrast[waiting]
        off = (ratio <= 1 / _BRIGHTNESS) | (ratio >= _BRIGHTNESS)
        waiting = waiting[off]
        contrast[waiting] = better[off]
        if not waiting.size:
            break
    return values, contrast


def _passes(plan: Plan, waiting: NDArray[np.int64], contrast: Floats) -> list[list[int]]:
    """Share companions out among repetitions.

    Where the fast way exists, this one is its check, and every companion is alone; so it is
    where frames are treated one by one, as by their profile, which a ring has in common.
    """
    if plan.reduction.linear or plan.reduction.traits.framewise:
        return [[int(number)] for number in waiting]
    passes: list[list[int]] = []
    least = _APART_FWHM * _width(plan.reduction, 0)
    for number in waiting:
        for group in passes:
            apart = np.hypot(*(plan.offsets[group] - plan.offsets[number]).T)
            unlike = np.abs(np.log(contrast[group] / contrast[number]))
            if apart.min() > least and unlike.max() < np.log(_ALIKE):
                group.append(int(number))
                break
        else:
            passes.append([int(number)])
    return passes


def _repeated(plan: Plan, together: list[int], contrast: Floats) -> Floats:
    """Throughput of some companions in one repetition, shape (n, n_channel)."""
    reduction = plan.reduction
    added = [
        Companion(float(dx), float(dy), float(c) * plan.spectrum)
        for (dx, dy), c in zip(plan.offsets[together], contrast, strict=True)
    ]
    companions = (*reduction.companions, *added)
    change = as_numpy(Reduction(reduction.rows, reduction.method, companions).images())
    change = change - plan.images
    found = []
    for number, value in zip(together, contrast, strict=True):
        dx, dy = plan.offsets[number]
        flux = np.array([plan.aperture(image, k, dx, dy) for k, image in enumerate(change)])
        found.append(plan.share(number, flux, float(value)))
    return np.stack(found)
