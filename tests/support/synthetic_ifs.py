"""A multi-wavelength coronagraphic sequence with known truth, from pupil to pixels.

Nothing of the package under test makes an image: the electric field in the pupil is carried to
the focal plane by a matrix Fourier transform whose sampling follows the wavelength. So speckles
stretch as they do in nature, and the second order of the aberrations, which does not, is there too.
"""

from __future__ import annotations

import numpy as np
import synthetic_sequence

SCALE_MAS = 7.46
DIAMETER_M = 8.0
STAR_PEAK = 1.0e6
_MAS_PER_RAD = 180 / np.pi * 3.6e6
_PSF_HALF = 31


def wavelengths(n_wave=39, first_um=0.957, last_um=1.329):
    """Equally spaced channels, as the data reduction of the instrument makes them."""
    return np.linspace(first_um, last_um, n_wave)


class Telescope:
    """A circular pupil with slowly changing aberrations and an ideal coronagraph."""

    def __init__(self, seed, n_time, n_pupil, phase_rms, drift):
        rng = np.random.default_rng(seed)
        self.axis = (np.arange(n_pupil) + 0.5) / n_pupil - 0.5
        radius = np.hypot(self.axis[:, None], self.axis[None, :])
        self.aperture = (radius <= 0.5).astype(float)
        screens = np.array([self._screen(rng, n_pupil) for _ in range(7)])
        walks = np.cumsum(rng.standard_normal((n_time, 6)), axis=0) / np.sqrt(n_time * 6)
        self.phases = phase_rms * (screens[0] + drift * np.tensordot(walks, screens[1:], 1))

    def _screen(self, rng, n):
        """Phase with a spatial power law of index -2 in the pupil, unit rms at 1 um."""
        frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n)[None, :]) * n
        white = np.fft.fft2(rng.standard_normal((n, n)))
        screen = np.fft.ifft2(white / np.maximum(frequency, 1.0)).real * self.aperture
        inside = self.aperture > 0
        # A tilt would move star and companions, and their true places with them.
        y, x = np.meshgrid(self.axis, self.axis, indexing="ij")
        plane = np.stack([np.ones(inside.sum()), x[inside], y[inside]], axis=1)
        fitted = np.linalg.lstsq(plane, screen[inside], rcond=None)[0]
        screen[inside] -= plane @ fitted
        return screen / screen[inside].std()

    def field(self, time, wavelength_um, x_px, y_px, scale_mas, coronagraph):
        """Intensity at positions from the star, relative to the peak without coronagraph."""
        factor = scale_mas / _MAS_PER_RAD * DIAMETER_M / (wavelength_um * 1e-6)
        wave_x = np.exp(-2j * np.pi * factor * np.outer(x_px, self.axis))
        wave_y = np.exp(-2j * np.pi * factor * np.outer(y_px, self.axis))
        pupil = self.aperture * np.exp(1j * self.phases[time] / wavelength_um)
        if coronagraph:
            inside = self.aperture > 0
            pupil[inside] -= pupil[inside].mean()
        image = wave_y @ pupil @ wave_x.T / self.aperture.sum()
        return np.abs(image) ** 2


def sequence(
    seed=0,
    wavelength_um=None,
    n_time=8,
    side=131,
    rotation_deg=40.0,
    companions=(),
    smear_deg=0.8,
    noise=2e-7,
    phase_rms=0.12,
    drift=0.3,
    scale_mas=SCALE_MAS,
    star_flux=None,
    dtype=np.float32,
):
    """Make a Level 1 cube of speckles, white noise and companions smeared over each integration.

    Parameters
    ----------
    companions : sequence of (separation_mas, position_angle_deg, contrast)
        Contrast per channel, or one for all of them.
    noise : float
        Standard deviation per pixel, relative to the peak of the star.
    star_flux : array, shape (n_wave,), optional
        Peak of the star in each channel relative to `STAR_PEAK`; by default it falls by a third
        over the band.
    scale_mas : float or array, shape (n_wave,)
        Pixel scale.
    """
    waves = wavelengths(7) if wavelength_um is None else np.asarray(wavelength_um, float)
    scales = np.broadcast_to(np.asarray(scale_mas, float), waves.shape)
    peak = np.linspace(1.0, 0.67, waves.size) if star_flux is None else np.asarray(star_flux)
    # A pupil of n samples repeats the image after n resolution elements: twice the field here.
    element = waves.min() * 1e-6 / DIAMETER_M * _MAS_PER_RAD / scales.max()
    n_pupil = max(48, int(np.ceil(1.1 * side / element)))
    telescope = Telescope(seed, n_time, n_pupil, phase_rms, drift)
    rng = np.random.default_rng([seed, 1])
    offset = np.arange(side) - side // 2
    stamp = np.arange(-_PSF_HALF, _PSF_HALF + 1)
    derotation = np.linspace(-15.0, rotation_deg - 15.0, n_time)
    science = np.empty((waves.size, n_time, side, side), dtype)
    psf = np.empty((waves.size, 1, stamp.size, stamp.size), np.float32)
    for k, (wave, scale) in enumerate(zip(waves, scales, strict=True)):
        flux = STAR_PEAK * peak[k]
        psf[k, 0] = flux * telescope.field(0, wave, stamp, stamp, scale, coronagraph=False)
        for t in range(n_time):
            frame = telescope.field(t, wave, offset, offset, scale, coronagraph=True)
            frame += noise * rng.standard_normal(frame.shape)
            for separation, angle, contrast in companions:
                level = np.broadcast_to(np.asarray(contrast, float), waves.shape)[k]
                for x, y in track(separation / scale, angle, derotation[t], smear_deg):
                    _add_psf(frame, telescope, (k, t, wave, scale), (x, y), level)
            science[k, t] = flux * frame
    cube = synthetic_sequence.level1_cube(science, psf, derotation, smear_deg, arm="IFS")
    cube.wavelength_um[:] = waves
    cube.bandwidth_um[:] = np.gradient(waves) if waves.size > 1 else 0.05
    cube.pixel_scale_mas[:] = scales
    return cube


def track(radius_px, angle_deg, derotation_deg, smear_deg, steps=7):
    """Positions of a companion within one integration, as offsets from the star [px]."""
    for step in range(steps):
        turn = derotation_deg + smear_deg * ((step + 0.5) / steps - 0.5)
        direction = np.deg2rad(angle_deg - turn)
        yield -radius_px * np.sin(direction), radius_px * np.cos(direction)


def _add_psf(frame, telescope, at, place, contrast, steps=7, reach=24):
    """Add the star's own PSF of the first frame, moved to a place: the Level 1 PSF is that one."""
    _, _, wave, scale = at
    if contrast == 0:
        return
    side = frame.shape[0]
    x0, y0 = (round(value) + side // 2 for value in place)
    left, right = max(x0 - reach, 0), min(x0 + reach + 1, side)
    low, high = max(y0 - reach, 0), min(y0 + reach + 1, side)
    if left >= right or low >= high:
        return
    x = np.arange(left, right) - side // 2 - place[0]
    y = np.arange(low, high) - side // 2 - place[1]
    image = telescope.field(0, wave, x, y, scale, coronagraph=False)
    frame[low:high, left:right] += contrast / steps * image
