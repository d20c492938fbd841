"""Images of the star during one integration: behind the mask and beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.instrument.filters import Band
from spheredc_hpc.simulate.pupil import (
    PUPIL_PX,
    Grid,
    Transform,
    intensity,
    pupil_amplitude,
    pupil_axis,
)
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.speckles import REFERENCE_UM, Shapes, draw_screens, make_shapes

Floats = NDArray[np.float32]
CROP_PX = 256
TAPER_PX = 24
LEAKAGE = 2e-3
"""Starlight that the coronagraph lets through as a weak image of the star."""

BUTTERFLY_BELOW_MS = 3.0
LOW_WIND_BELOW_M_S = 3.0
LOW_WIND_NM = 80.0
SLOW_LIFETIME_S = 4.0
CONTROL_CYCLES = 20.0
_RAD_TO_MAS = np.degrees(1.0) * 3.6e6


@dataclass(frozen=True)
class Aberrations:
    """What disturbs the wavefront during one integration.

    Attributes
    ----------
    path_nm : tuple of array, shape (160, 160)
        Lasting path difference in each band [nm].
    variance : float
        Variance of the atmospheric residual at 1.6 um [rad2].
    tau0_ms, wind_m_s : float
        Coherence time and wind speed.
    waffle : str
        Orientation of the spots, empty without.
    """

    path_nm: tuple[Floats, Floats]
    variance: float
    tau0_ms: float
    wind_m_s: float
    waffle: str = ""


@dataclass(frozen=True)
class StarImages:
    """Images of a star of flux 1 around its position on one field.

    Attributes
    ----------
    grid : Grid
        Where the images lie.
    beside, behind : array, shape (256, 256)
        Without and with coronagraph; share of the light in each pixel.
    smooth : float
        Share of the light in the smooth halo.
    strehl : float
        Strehl ratio: peak over the peak of the undisturbed image.
    """

    grid: Grid
    beside: Floats
    behind: Floats
    smooth: float
    strehl: float


class Telescope:
    """Everything about the optics that stays the same during a night.

    Parameters
    ----------
    scenario : IrdisScenario
    bands : tuple of Band
        Of the left and right field.
    constants : Constants
    mjd : float, optional
        Date of the night, for constants that changed with time [d].
    """

    def __init__(
        self,
        scenario: IrdisScenario,
        bands: tuple[Band, Band],
        constants: Constants,
        mjd: float | None = None,
    ) -> None:
        self.settings = scenario.wavefront
        self.speckles = scenario.effects.speckles
        self.jitter = scenario.effects.motion
        self.wind_axis_deg = scenario.atmosphere.wind_direction_deg
        self.bands = bands
        self.diameter_m = constants.value("telescope_diameter_m")
        self.obstruction = constants.value("telescope_obscuration_m") / self.diameter_m
        self.spider = constants.value("telescope_spider_width_m") / self.diameter_m
        self.waffle_cycles = constants.value("waffle_radius_lambda_over_d", mjd=mjd)
        self.anamorphism = constants.value("anamorphism_y", arm="IRDIS", mjd=mjd)
        self.scale_mas = tuple(
            constants.value("pixel_scale_mas", arm="IRDIS", band=band.name, mjd=mjd)
            for band in bands
        )
        self.shapes: Shapes = make_shapes(self.settings, self.resolution_mas(REFERENCE_UM))
        self._mask_mas = np.arange(0.0, 2000.0, 2.0)
        curve = off_axis_transmission(scenario.coronagraph, "IRDIS", self._mask_mas, constants)
        self._mask_curve = np.ones_like(self._mask_mas) if curve is None else curve
        self.has_mask = scenario.has_mask

    def resolution_mas(self, wavelength_um: float) -> float:
        """lambda/D [mas]."""
        return float(wavelength_um * 1e-6 / self.diameter_m * _RAD_TO_MAS)

    def transmission(self, distance_mas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transmission of the coronagraph against distance from the mask [mas]."""
        return np.asarray(np.interp(distance_mas, self._mask_mas, self._mask_curve))

    def grid(self, field: int, star: tuple[float, float]) -> Grid:
        """Pixels around the star on one field."""
        return Grid.around(star, CROP_PX, self.scale_mas[field], self.anamorphism)

    def path_differences(
        self, aberrations: Aberrations, dit_s: float, rng: np.random.Generator
    ) -> Floats:
        """Path difference of each short-lived state of the wavefront [nm].

        The states are common to both bands, shape (n, 160, 160).
        """
        settings = self.settings
        count = int(np.clip(round(dit_s / SLOW_LIFETIME_S), 3, max(settings.substeps, 3)))
        if not self.speckles:
            return np.zeros((3, PUPIL_PX, PUPIL_PX), dtype=np.float32)
        slow_rad = np.sqrt(self.shapes.slow_share * aberrations.variance)
        slow_nm = slow_rad * REFERENCE_UM * 1000 / (2 * np.pi)
        states = draw_screens(rng, self.shapes.slow, count) * np.float32(slow_nm)
        tilts = rng.standard_normal((2, count))
        tilts -= tilts.mean(axis=1, keepdims=True)
        amplitude = settings.jitter_mas / np.sqrt(2) if self.jitter else 0.0
        tilts *= amplitude / _RAD_TO_MAS * self.diameter_m * 1e9
        axis = pupil_axis()
        states += tilts[0][:, None, None].astype(np.float32) * axis[None, :].astype(np.float32)
        states += tilts[1][:, None, None].astype(np.float32) * axis[:, None].astype(np.float32)
        if aberrations.wind_m_s < LOW_WIND_BELOW_M_S:
            share = 1 - aberrations.wind_m_s / LOW_WIND_BELOW_M_S
            states += np.float32(LOW_WIND_NM * share) * _petals(rng)
        return states

    def images(
        self,
        field: int,
        grid: Grid,
        aberrations: Aberrations,
        states: Floats,
        spiders_deg: float = 0.0,
    ) -> StarImages:
        """Average the states over one integration.

        Parameters
        ----------
        field : int
            0 left, 1 right.
        grid : Grid
            From :meth:`grid`.
        aberrations : Aberrations
        states : array, shape (n, 160, 160)
            From :meth:`path_differences`; state ``i`` is seen at wavelength ``i % 3`` of the
            band, which makes the images radially elongated as a band pass does.
        spiders_deg : float
            Turn of the spiders on the detector [deg].
        """
        band = self.bands[field]
        pupil = pupil_amplitude(self.obstruction, self.spider, round(spiders_deg, 1))
        power = float((pupil**2).sum())
        path = aberrations.path_nm[field] + states
        if aberrations.waffle:
            path = path + self.waffle_nm(aberrations.waffle)
        beside = np.zeros((grid.size, grid.size), dtype=np.float64)
        behind = np.zeros_like(beside)
        coherent = 0.0
        for i in range(3):
            wavelength = band.wavelength_um + (i - 1) / 3 * band.bandwidth_um
            transform = Transform.to(grid, self.resolution_mas(wavelength), power)
            wave = pupil * np.exp(np.complex64(2j * np.pi / (wavelength * 1000)) * path[i::3])
            fields = transform.field(wave)
            amplitudes = wave.sum(axis=(1, 2)) / pupil.sum()
            perfect = transform.field(pupil.astype(np.complex64))
            beside += intensity(fields).sum(axis=0)
            behind += intensity(fields - amplitudes[:, None, None] * perfect).sum(axis=0)
            behind += len(wave) * LEAKAGE * intensity(perfect)
            coherent += float((np.abs(amplitudes) ** 2).sum())
        return self._assemble(
            field, grid, aberrations, (beside / len(path), behind / len(path)), coherent / len(path)
        )

    def _assemble(
        self,
        field: int,
        grid: Grid,
        aberrations: Aberrations,
        coherent: tuple[NDArray[np.float64], NDArray[np.float64]],
        strehl: float,
    ) -> StarImages:
        fast = self.fast_variance(field, aberrations)
        kept = np.exp(-fast)
        halo = (1 - kept) * self.halo(field, grid, aberrations)
        distance = grid.distance_mas
        radius = distance / grid.scale_mas
        edge = grid.size / 2
        taper = np.clip((edge - radius) / TAPER_PX, 0, 1)
        taper = np.sin(taper * np.pi / 2) ** 2
        beside = kept * coherent[0] * taper + halo
        behind = beside
        if self.has_mask:
            behind = (kept * coherent[1] * taper + halo) * self.transmission(distance)
        return StarImages(
            grid=grid,
            beside=beside.astype(np.float32),
            behind=behind.astype(np.float32),
            smooth=float(1 - kept),
            strehl=float(kept * strehl),
        )

    def fast_variance(self, field: int, aberrations: Aberrations) -> float:
        """Variance that makes the smooth halo, at the wavelength of the band [rad2]."""
        if not self.speckles:
            return 0.0
        colour = (REFERENCE_UM / self.bands[field].wavelength_um) ** 2
        return float((1 - self.shapes.slow_share) * aberrations.variance * colour)

    def halo(self, field: int, grid: Grid, aberrations: Aberrations) -> NDArray[np.float64]:
        """Smooth halo of flux 1 on a grid, share of the light in each pixel."""
        resolution = self.resolution_mas(self.bands[field].wavelength_um)
        density = np.interp(
            grid.distance_mas / resolution, self.shapes.smooth_cycles, self.shapes.smooth_density
        )
        halo = density * (grid.scale_mas / resolution) ** 2 * grid.anamorphism
        angle = np.arctan2(-grid.dx_mas[None, :], grid.dy_mas[:, None])
        cycles = grid.distance_mas / resolution
        return np.asarray(halo * self.butterfly(angle, cycles, aberrations.tau0_ms))

    def butterfly(
        self, angle: NDArray[np.float64], cycles: NDArray[np.float64], tau0_ms: float
    ) -> NDArray[np.float64] | float:
        """Factor on the halo that makes it longer along the wind when the air changes fast.

        `angle` counts from +y to -x on the detector [rad], `cycles` is the distance [lambda/D].
        """
        strength = 0.5 * max(0.0, 1 - tau0_ms / BUTTERFLY_BELOW_MS)
        if not strength:
            return 1.0
        inside = np.exp(-((cycles / CONTROL_CYCLES) ** 4))
        wings = np.cos(2 * (angle - np.radians(self.wind_axis_deg)))
        return np.asarray(1 + strength * inside * wings)

    def waffle_nm(self, orientation: str) -> Floats:
        """Two crossed gratings on the deformable mirror [nm]."""
        amplitude = 2 * np.sqrt(self.settings.waffle_contrast) * REFERENCE_UM * 1000 / (2 * np.pi)
        axis = pupil_axis()
        first = 45.0 if orientation == "x" else 0.0
        waves = np.zeros((PUPIL_PX, PUPIL_PX))
        balance = self.settings.waffle_balance
        for angle, phase, height in ((first, 0.3, 1.0), (first + 90.0, 1.1, balance)):
            x, y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
            along = axis[None, :] * x + axis[:, None] * y
            waves += height * np.cos(2 * np.pi * self.waffle_cycles * along + phase)
        return np.asarray(amplitude * waves, dtype=np.float32)


def _petals(rng: np.random.Generator) -> Floats:
    """Random piston of the four quadrants between the spiders, rms 1, shape (160, 160)."""
    axis = pupil_axis()
    quadrant = (axis[None, :] > 0).astype(int) + 2 * (axis[:, None] > 0).astype(int)
    return np.asarray(rng.standard_normal(4)[quadrant], dtype=np.float32)


def shifted(image: Floats, dx_px: NDArray[np.float64], dy_px: NDArray[np.float64]) -> Floats:
    """Average of an image shifted to several places; band-limited, so exact.

    Parameters
    ----------
    image : array, shape (n, n)
        Well sampled, faint at its borders.
    dx_px, dy_px : array, shape (m,)
        Shifts towards +x and +y [px].
    """
    n = image.shape[0]
    fx = scipy.fft.rfftfreq(n)
    fy = scipy.fft.fftfreq(n)
    turn_x = np.exp(-2j * np.pi * np.outer(dx_px, fx))
    turn_y = np.exp(-2j * np.pi * np.outer(dy_px, fy))
    factor = np.einsum("mi,mj->ij", turn_y, turn_x) / len(dx_px)
    return np.asarray(
        scipy.fft.irfft2(scipy.fft.rfft2(image) * factor, s=image.shape), dtype=np.float32
    )


def add_stamp(plane: Floats, stamp: Floats, x0: int, y0: int) -> None:
    """Add `stamp` to `plane` in place with its first pixel at ``(x0, y0)``; overhang is lost."""
    rows, columns = plane.shape
    top, bottom = max(y0, 0), min(y0 + stamp.shape[0], rows)
    left, right = max(x0, 0), min(x0 + stamp.shape[1], columns)
    if top < bottom and left < right:
        plane[top:bottom, left:right] += stamp[top - y0 : bottom - y0, left - x0 : right - x0]
