"""The infrared detectors: maps that stay, and what happens in one integration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.detectors import Detector, detector
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.streams import stream

Floats = NDArray[np.float32]
CHANNEL_COLUMNS = 64
EDGE_SOFTNESS_PX = 1.5
STRAY_RESPONSE = 0.01
LEVEL_OF_NON_LINEARITY = 0.003
"""Relative loss at the linear limit; it grows with the square of the level."""

COSMIC_RAY_E = 2000.0
SATURATION_ADU = {"IRDIS": 37000.0, "IFS": 62000.0}


@dataclass(frozen=True)
class DetectorMaps:
    """Maps of the whole raw plane, shape (rows, 2048) each.

    Attributes
    ----------
    response : array
        Relative response to light, including illumination, dead pixels and dark bands.
    dark_adu_s : array
        Dark current, glow and hot pixels [ADU/s].
    pattern_adu : array
        Offset pattern of every integration [ADU].
    saturation_adu : array
        Highest level of each pixel [ADU].
    bad : array of bool
        Pixels made hot or dead.
    """

    response: Floats
    dark_adu_s: Floats
    pattern_adu: Floats
    saturation_adu: Floats
    bad: NDArray[np.bool_]


def make_maps(scenario: IrdisScenario, constants: Constants, arm: str = "IRDIS") -> DetectorMaps:
    """Draw the maps of the detector of an arm from the seed of the scenario."""
    device = detector(arm, constants=constants)
    shape = device.shape
    rng = stream(scenario.seed, "detector" if arm == "IRDIS" else f"detector {arm}")
    settings = scenario.detector
    saturation = SATURATION_ADU[arm] * (1 + 0.03 * rng.standard_normal(shape, dtype=np.float32))
    if not scenario.effects.detector:
        zeros = np.zeros(shape, dtype=np.float32)
        return DetectorMaps(zeros + 1, zeros, zeros, saturation, np.zeros(shape, dtype=bool))
    response = _illumination(device, settings.illumination_amplitude, rng)
    response *= 1 + np.float32(settings.pixel_response_rms) * rng.standard_normal(
        shape, dtype=np.float32
    )
    dark = _dark_current(shape, settings.dark_e_s / device.gain_e_per_adu)
    hot, dead = _bad_pixels(shape, settings.bad_fraction, rng)
    level = np.exp(rng.normal(np.log(30.0), 1.5, size=int(hot.sum())))
    dark[hot] += level.astype(np.float32)
    response[dead] *= rng.uniform(0.0, 0.3, size=int(dead.sum())).astype(np.float32)
    pattern = _offset_pattern(shape, settings.band_amplitude_adu, rng)
    return DetectorMaps(response, dark, pattern, saturation, hot | dead)


def _illumination(device: Detector, amplitude: float, rng: np.random.Generator) -> Floats:
    """Smooth response of each field, falling off at the edges of its window."""
    rows, columns = device.field_shape
    y = np.linspace(-1, 1, rows)[:, None]
    x = np.linspace(-1, 1, columns)[None, :]
    plane = np.empty(device.shape, dtype=np.float32)
    for field, window in zip(device.fields, device.illuminated, strict=True):
        a = rng.uniform(-1, 1, size=6)
        smooth = 0.5 * a[0] * x + 0.5 * a[1] * y + 0.3 * a[2] * x * y - 0.6 * (x**2 + y**2)
        smooth = smooth + 0.15 * np.cos(np.pi * (2 * x + a[3])) * np.cos(np.pi * (2 * y + a[4]))
        smooth = amplitude * (smooth - smooth.mean()) / np.ptp(smooth)
        lit = _edge(np.arange(rows), window[0])[:, None] * _edge(np.arange(columns), window[1])
        plane[:, field] = STRAY_RESPONSE + (1 - STRAY_RESPONSE) * lit * (1 + smooth)
    return plane


def _edge(index: NDArray[np.int_], window: slice) -> NDArray[np.float64]:
    """One inside the window, falling to zero within a few pixels outside."""
    outside = np.maximum(window.start - index, index - (window.stop - 1))
    return np.asarray(np.exp(-(np.maximum(outside, 0) / EDGE_SOFTNESS_PX)))


def _dark_current(shape: tuple[int, int], level_adu_s: float) -> Floats:
    """Dark current with a glow that doubles towards the edges."""
    y = np.abs(np.linspace(-1, 1, shape[0]))[:, None]
    x = np.abs(np.linspace(-1, 1, shape[1]))[None, :]
    return np.asarray(level_adu_s * (1 + y**8 + x**8), dtype=np.float32)


def _bad_pixels(
    shape: tuple[int, int], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Hot and dead pixels: single ones, clusters, and pieces of columns."""
    singles = rng.random(shape, dtype=np.float32)
    hot, dead = singles < 0.45 * fraction, singles > 1 - 0.35 * fraction
    seeds = rng.random(shape, dtype=np.float32) < 0.18 * fraction / 9
    clusters = scipy.ndimage.binary_dilation(seeds, np.ones((3, 3), dtype=bool))
    dead |= clusters
    pieces = round(0.02 * fraction * shape[0] * shape[1] / 60)
    for _ in range(pieces):
        column, row = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
        hot[row : row + int(rng.integers(30, 90)), column] = True
    return hot, dead & ~hot


def _offset_pattern(shape: tuple[int, int], amplitude: float, rng: np.random.Generator) -> Floats:
    """Vertical bands, offsets of the 64-column channels, odd and even rows [ADU]."""
    columns = scipy.ndimage.gaussian_filter1d(rng.standard_normal(shape[1]), 3.0)
    columns *= amplitude / columns.std()
    channels = np.repeat(rng.standard_normal(shape[1] // CHANNEL_COLUMNS), CHANNEL_COLUMNS)
    rows = 0.5 * (-1.0) ** np.arange(shape[0])
    return np.asarray((columns + channels)[None, :] + rows[:, None], dtype=np.float32)


class Readout:
    """Turns rates into raw planes.

    Parameters
    ----------
    scenario : IrdisScenario
    maps : DetectorMaps
    constants : Constants
    arm : str
    """

    def __init__(
        self,
        scenario: IrdisScenario,
        maps: DetectorMaps,
        constants: Constants,
        arm: str = "IRDIS",
    ) -> None:
        self.maps = maps
        self.settings = scenario.detector
        self.noisy = scenario.effects.noise
        self.flawed = scenario.effects.detector
        self.seed = scenario.seed
        device = detector(arm, constants=constants)
        self.gain = device.gain_e_per_adu
        self.linear_limit = device.linear_limit_adu or 20000.0
        self._noise_e = device.read_noise_e
        self._noise_min_dit_e = constants.value("detector_read_noise_min_dit_e", arm=arm)
        self._min_dit_s = constants.value("min_dit_s", arm=arm)

    def read_noise_adu(self, dit_s: float) -> float:
        """Ramp-fitted noise, which falls from the shortest to long integrations [ADU]."""
        extra = (self._noise_min_dit_e**2 - self._noise_e**2) * self._min_dit_s / dit_s
        return float(np.sqrt(self._noise_e**2 + extra) / self.gain)

    def expose(self, light_adu_s: Floats | float, dit_s: float, key: tuple[int, int]) -> Floats:
        """Return one raw plane [ADU].

        Parameters
        ----------
        light_adu_s : array, shape (1024, 2048), or float
            Light per pixel of response 1 [ADU/s]. Used as scratch space if an array.
        dit_s : float
            Integration time [s].
        key : (int, int)
            File and plane; they select the noise, whatever the light is.
        """
        plane = np.multiply(light_adu_s, self.maps.response, dtype=np.float32)
        plane += self.maps.dark_adu_s
        plane *= np.float32(dit_s)
        if self.noisy:
            self._add_noise(plane, dit_s, key)
        if self.flawed:
            self._bend(plane)
        np.minimum(plane, self.maps.saturation_adu, out=plane)
        plane += self.maps.pattern_adu
        if self.noisy and self.flawed:
            plane += self._drift(key)
        return plane

    def _add_noise(self, plane: Floats, dit_s: float, key: tuple[int, int]) -> None:
        rng = stream(self.seed, "noise", *key)
        sigma = plane * np.float32(1 / self.gain)
        np.maximum(sigma, 0, out=sigma)
        sigma += np.float32(self.read_noise_adu(dit_s) ** 2)
        np.sqrt(sigma, out=sigma)
        sigma *= rng.standard_normal(plane.shape, dtype=np.float32)
        plane += sigma
        hits = int(rng.poisson(self.settings.cosmic_rays_per_s * dit_s))
        rows, columns = rng.integers(0, plane.shape[0], hits), rng.integers(0, plane.shape[1], hits)
        charge = rng.exponential(COSMIC_RAY_E / self.gain, hits).astype(np.float32)
        np.add.at(plane, (rows, columns), charge)

    def _bend(self, plane: Floats) -> None:
        """Apply the loss of the detector at high level, in place."""
        rows, columns = np.nonzero(plane > 0.1 * self.linear_limit)
        level = plane[rows, columns]
        relative = level / np.float32(self.linear_limit)
        plane[rows, columns] = level * (1 - np.float32(LEVEL_OF_NON_LINEARITY) * relative**2)

    def _drift(self, key: tuple[int, int]) -> Floats:
        rng = stream(self.seed, "pattern", *key)
        columns = self.maps.pattern_adu.shape[1]
        offsets = np.repeat(rng.standard_normal(columns // CHANNEL_COLUMNS), CHANNEL_COLUMNS)
        return np.asarray(self.settings.pattern_drift_adu * offsets[None, :], dtype=np.float32)
