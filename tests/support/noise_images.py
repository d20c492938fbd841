"""Images of noise alone: white, with the grain of the PSF, and speckles after a subtraction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import synthetic_sequence
from scipy import fft, ndimage

from spheredc_hpc.config.recipe import ImagingSettings
from spheredc_hpc.level2 import sequence
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.registry import ALGORITHMS

FWHM = 4.0


def white(seed: int, side: int) -> np.ndarray:
    """Noise that differs from pixel to pixel."""
    return np.random.default_rng(seed).standard_normal((side, side))


def grain(seed: int, side: int) -> np.ndarray:
    """Noise as smooth as the PSF."""
    return ndimage.gaussian_filter(white(seed, side), FWHM / 2.3548, mode="wrap")


def speckle_frames(
    seed: int, side: int, n_time: int, *, pinned: bool = False, life: float = 4.0
) -> np.ndarray:
    """Frames of a coronagraphic halo: a pattern that stands still, one that drifts, photons.

    Speckles are fields of the PSF's grain; the drifting one forgets itself within `life` frames.
    Either both are added to the halo (Gaussian), or they are complex amplitudes and the frame
    is the square of their sum, the drifting part 5 % of the mean: speckles are then pinned to
    the pattern that stands still and vary most where it is bright (modified Rician).
    """
    rng = np.random.default_rng(seed)
    frequency = fft.fftfreq(side)
    pupil = np.hypot(frequency[:, None], frequency[None]) <= 0.5 * 1.03 / FWHM
    y, x = np.mgrid[:side, :side] - side // 2
    halo = 200 / (1 + (np.hypot(x, y) / (6 * FWHM)) ** 2)

    def amplitude() -> np.ndarray:
        parts = rng.standard_normal((2, side, side)).astype(np.float32)
        field = fft.ifft2(fft.fft2(parts[0] + 1j * parts[1]) * pupil)
        return field / np.sqrt(np.mean(np.abs(field) ** 2))

    static, drifting = amplitude(), amplitude()
    memory = np.exp(-1 / life)
    frames = np.empty((n_time, side, side), np.float32)
    for frame in frames:
        if pinned:
            intensity = halo * np.abs(static + np.sqrt(0.05) * drifting) ** 2
        else:
            intensity = halo * np.maximum(1 + 0.2 * static.real + 0.2 * drifting.real, 0)
        frame[:] = rng.poisson(intensity)
        drifting = memory * drifting + np.sqrt(1 - memory**2) * amplitude()
    return frames


def after_adi(
    frames: np.ndarray, algorithm: str = "pca", turn_deg: float = 50.0, **settings
) -> np.ndarray:
    """Final image of speckle frames; NaN beyond them."""
    n_time, side = frames.shape[:2]
    psf = synthetic_sequence.gaussian((41, 41), 20, 20, FWHM)[None, None].astype(np.float32)
    cube = synthetic_sequence.level1_cube(frames[None], psf, np.linspace(0, turn_deg, n_time))
    outer = (side // 2 - 3) * synthetic_sequence.SCALE_MAS
    channel = sequence.prepare(cube, ImagingSettings(inner_mas=15, outer_mas=outer)).channels[0]
    entry = ALGORITHMS[algorithm]
    return Reduction(channel, Method(entry, entry.settings(**settings), "mean")).image()


def images(kind: str, seeds: range, side: int) -> Iterator[np.ndarray]:
    """Images of one kind of noise, one a seed."""
    for seed in seeds:
        if kind == "white":
            yield white(seed, side)
        elif kind == "grain":
            yield grain(seed, side)
        elif kind == "cadi":
            yield after_adi(speckle_frames(seed, side, 40), "cadi")
        elif kind == "pca":
            yield after_adi(speckle_frames(seed, side, 40), "pca", n_modes=5)
        elif kind == "pinned":
            yield after_adi(speckle_frames(seed, side, 40, pinned=True), "pca", n_modes=5)
        elif kind == "pinned-cadi":
            yield after_adi(speckle_frames(seed, side, 40, pinned=True), "cadi")
        else:
            raise ValueError(kind)
