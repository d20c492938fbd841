"""A coronagraphic sequence with known truth, made without the kernels under test."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube

SCALE_MAS = 12.25
STAR_PEAK = 1.0e6


def gaussian(shape, x, y, fwhm):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-4 * np.log(2) * ((xx - x) ** 2 + (yy - y) ** 2) / fwhm**2)


def add_gaussian(frame, x, y, fwhm, peak):
    """Add a Gaussian within 4 FWHM of its centre, sampled at pixel centres."""
    reach = int(4 * fwhm)
    x0, y0 = max(int(x) - reach, 0), max(int(y) - reach, 0)
    x1, y1 = min(int(x) + reach + 1, frame.shape[1]), min(int(y) + reach + 1, frame.shape[0])
    if x0 < x1 and y0 < y1:
        frame[y0:y1, x0:x1] += peak * gaussian((y1 - y0, x1 - x0), x - x0, y - y0, fwhm)


def speckles(rng, side, fwhm, n):
    field = rng.standard_normal((n, side, side)).astype(np.float32)
    for plane in field:
        ndimage.gaussian_filter(plane, fwhm / 2.3548, output=plane)
    return field / field.std()


def sequence(
    seed=0,
    n_wave=2,
    n_time=48,
    side=409,
    rotation_deg=62.0,
    companions=(),
    fwhm=(3.9, 4.1),
    smear_deg=1.2,
    noise=0.3,
    static=1.0,
    drift=0.25,
    halo=2e-4,
):
    """Make a Level 1 cube of speckles, noise and companions.

    `companions` holds (separation_mas, position_angle_deg, contrast per channel). Speckles have
    the spatial scale of the PSF; part stands still, part drifts as eight random walks.
    """
    rng = np.random.default_rng(seed)
    centre = side // 2
    y, x = np.mgrid[:side, :side] - centre
    radius = np.hypot(x, y)
    envelope = (halo * STAR_PEAK / (1 + (radius / 25.0) ** 1.5)).astype(np.float32)
    derotation = np.linspace(-20.0, rotation_deg - 20.0, n_time)
    science = np.empty((n_wave, n_time, side, side), np.float32)
    psf = np.empty((n_wave, 2, 63, 63), np.float32)
    walks = np.cumsum(rng.standard_normal((n_time, 8)), axis=0) / np.sqrt(n_time)
    for k in range(n_wave):
        base = speckles(rng, side, fwhm[k], 9)
        for t in range(n_time):
            moving = np.tensordot(walks[t].astype(np.float32), base[1:], 1)
            frame = envelope * (2 + static * base[0] + drift * moving)
            frame = frame + np.sqrt(envelope / envelope.max() + 0.02) * noise * np.sqrt(
                halo * STAR_PEAK
            ) * rng.standard_normal((side, side))
            for separation, angle, contrast in companions:
                for step in range(9):
                    turn = derotation[t] + smear_deg * ((step + 0.5) / 9 - 0.5)
                    direction = np.deg2rad(angle - turn)
                    r = separation / SCALE_MAS
                    add_gaussian(
                        frame,
                        centre - r * np.sin(direction),
                        centre + r * np.cos(direction),
                        fwhm[k],
                        STAR_PEAK * contrast[k] / 9,
                    )
            science[k, t] = frame
        psf[k] = STAR_PEAK * gaussian((63, 63), 31, 31, fwhm[k])
    return level1_cube(science, psf, derotation, smear_deg)


def level1_cube(science, psf, derotation, smear_deg=0.0, scale_mas=SCALE_MAS, **attrs):
    n_wave, n_time = science.shape[:2]
    return Level1Cube(
        science=science,
        weight=np.ones_like(science),
        psf=psf,
        centre_px=np.full((n_wave, n_time, 2), 500.0),
        centre_err_px=np.zeros((n_wave, n_time, 2)),
        ao=np.full((n_time, len(AO_QUANTITIES)), np.nan),
        quality=np.zeros((n_time, 1)),
        metrics=("flux",),
        wavelength_um=np.linspace(1.593, 1.667, n_wave),
        bandwidth_um=np.full(n_wave, 0.05),
        pixel_scale_mas=np.full(n_wave, scale_mas),
        mjd=58000.0 + np.arange(n_time) / 1440,
        dit_s=np.full(n_time, 64.0),
        parang_deg=derotation.copy(),
        derotation_deg=derotation,
        derotation_start_deg=derotation - smear_deg / 2,
        derotation_end_deg=derotation + smear_deg / 2,
        airmass=np.ones(n_time),
        attrs={"arm": "IRDIS", "coronagraph": "N_NS_CLEAR", **attrs},
    )
