"""K-band frames whose thermal background changes in level and in shape, with known truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ramp_truth import DEVICE, run

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.level1.io import Calibration
from spheredc_hpc.level1.parts.backgrounds import WHOLE_FIELD_PX, BackgroundModel
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings, FieldCleaner, Region

DIT_S = 16.0
STAR_XY = (484.0, 522.0)
RATE_ADU_S = 25.0
COMPANION_XY = (560.0, 470.0)
COMPANION_ADU = 40000.0
FWHM_PX = 4.6


@dataclass
class ThermalField:
    """The left field in K: a warm arc of fixed shape, and a gradient that comes and goes.

    Attributes
    ----------
    level_rms, shape_rms : float
        Change of the whole, and of the gradient, relative to the thermal light.
    halo_adu : float
        Halo of the star at 100 px [adu].
    """

    rng: np.random.Generator
    level_rms: float = 0.04
    shape_rms: float = 0.02
    halo_adu: float = 300.0
    bands_adu: float = 0.0
    fixed: np.ndarray = field(init=False)
    moving: np.ndarray = field(init=False)
    halo: np.ndarray = field(init=False)
    companion: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        y, x = np.indices(DEVICE.shape)
        arc = np.exp(-0.5 * ((np.hypot(x - 200, y - 1500) - 900) / 120) ** 2)
        self.fixed = 1 + 0.3 * arc + 0.1 * (y / 512 - 1)
        self.moving = (x % 1024) / 512 - 1 + 0.5 * np.cos(np.hypot(x - 700, y - 200) / 150)
        self.dark = self.rng.normal(3, 1.5, size=DEVICE.shape).astype(np.float32)
        radius = np.maximum(np.hypot(x - STAR_XY[0], y - STAR_XY[1]), 5)
        self.halo = self.halo_adu * (radius / 100) ** -2.7
        sigma = FWHM_PX / 2.3548
        place = (x - COMPANION_XY[0]) ** 2 + (y - COMPANION_XY[1]) ** 2
        self.companion = np.exp(-0.5 * place / sigma**2) * COMPANION_ADU / (2 * np.pi * sigma**2)

    def thermal(self, level: float, shape: float) -> np.ndarray:
        """Thermal light of one integration [adu]."""
        return RATE_ADU_S * DIT_S * ((1 + level) * self.fixed + shape * self.moving)

    def expose(self, light: np.ndarray) -> np.ndarray:
        """Add noise, dark and bands to light [adu]."""
        gain, noise = DEVICE.gain_e_per_adu, DEVICE.read_noise_e
        scatter = np.sqrt(np.maximum(light, 0) / gain + (noise / gain) ** 2)
        plane = light + scatter * self.rng.standard_normal(light.shape) + self.dark
        bands = self.bands_adu * self.rng.standard_normal(light.shape[1])
        return (plane + bands).astype(np.float32)

    def change(self) -> tuple[float, float]:
        """Draw level and shape of one instant."""
        level, shape = self.rng.standard_normal(2)
        return self.level_rms * level, self.shape_rms * shape

    def background(self, planes: int) -> Calibration:
        """Reduce sky planes taken at different instants."""
        sky = [self.expose(self.thermal(*self.change())) for _ in range(planes)]
        result = run("background", [(DIT_S, np.stack(sky))])
        return Calibration(result.images, result.quality)

    def science(self) -> tuple[np.ndarray, np.ndarray]:
        """One science plane, and what it holds of the star and companion [adu]."""
        source = self.halo + self.companion
        return self.expose(self.thermal(*self.change()) + source), source


def cleaned(
    thermal: ThermalField, product: Calibration, frames: list, settings: CosmeticSettings
) -> tuple[list[np.ndarray], Region, list]:
    """Clean the region around the star of every frame; images less the truth, and the fits."""
    context = (DEVICE, default_constants(), settings)
    window = DEVICE.illuminated[0]

    def cleaner(half: float) -> FieldCleaner:
        region = Region.around(STAR_XY, half, window)
        return FieldCleaner.of(0, region, {"background": product}, DIT_S, context)

    science, model = (
        cleaner(416.0),
        BackgroundModel.of(cleaner(WHOLE_FIELD_PX), settings.background_fit, settings),
    )
    rest, fits = [], []
    for raw, source in frames:
        field_raw = raw[:, :1024]
        extra, fit = model.correction(field_raw, STAR_XY, settings.scale_outside_px, science.region)
        image = science.clean(field_raw, extra=extra).image
        rest.append(image - source[:, :1024][science.region.rows, science.region.columns])
        fits.append(fit)
    return rest, science.region, fits


def inner_level(rest: np.ndarray, region: Region, radius_px: float = 250.0) -> tuple[float, float]:
    """Mean and smooth scatter (blocks of 32 px) of what is left within a radius [adu]."""
    x0, y0 = region.local(STAR_XY)
    rows, columns = (n // 32 * 32 for n in rest.shape)
    blocks = rest[:rows, :columns].reshape(rows // 32, 32, columns // 32, 32).mean(axis=(1, 3))
    y, x = np.indices(blocks.shape) * 32 + 15.5
    inside = (np.hypot(x - x0, y - y0) < radius_px) & (np.hypot(x - x0, y - y0) > 40)
    return float(blocks[inside].mean()), float(blocks[inside].std())


def companion_error(rest: np.ndarray, region: Region) -> float:
    """Aperture sum where the companion was taken out, over its flux."""
    x0, y0 = region.local(COMPANION_XY)
    y, x = np.indices(rest.shape)
    return float(rest[np.hypot(x - x0, y - y0) < 1.5 * FWHM_PX].sum() / COMPANION_ADU)
