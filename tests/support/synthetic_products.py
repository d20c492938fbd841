"""Products with known content, made without any of the rooms that make real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube
from spheredc_hpc.store.images import SOURCE_COLUMNS, Level2Images

MJD = 57646.0154
BANDS = ["H2", "H3"]
WAVELENGTH_UM = np.array([1.5888, 1.6671])
SCALE_MAS = np.array([12.255, 12.250])
FWHM_PX = np.array([3.34, 3.51])
# Name, separation [mas], position angle [deg], contrast per channel, S/N.
COMPANIONS = ((410.0, 210.0, (2.1e-4, 1.6e-4), 22.4), (1240.0, 75.0, (3.4e-6, 4.1e-6), 8.7))


def level1_cube(n: int = 96, n_time: int = 34, seed: int = 5, **attrs: Any) -> Level1Cube:
    """Make a cube: halo, coronagraph, noise; centres that drift and a four-point dither."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n] - n // 2
    radius = np.hypot(x, y)
    halo = 900.0 / (1 + (radius / 6) ** 2.4) * (1 - 0.97 * np.exp(-((radius / 7) ** 4)))
    speckles = rng.normal(size=(n, n)) * np.sqrt(halo) * 2
    noise = rng.normal(size=(2, n_time, n, n)) * 2
    science = ((halo + speckles)[None, None] + noise).astype(np.float32)
    science[:, :, :3] = np.nan
    psf = 4e5 * np.exp(-(np.hypot(*(np.mgrid[:33, :33] - 16)) ** 2) / 4.4)
    phase = np.arange(n_time)
    mjd = MJD + phase * 72 / 86400
    dither = np.array([(phase // 2) % 2, (phase // 4) % 2], dtype=float).T
    drift = np.stack([0.4 * phase / n_time, -0.25 * phase / n_time], axis=-1)
    centre = np.array([[478.2, 523.9], [485.1, 511.4]])[:, None] + drift + dither
    parang = -31.0 + 64.0 * phase / max(n_time - 1, 1)
    ao = np.full((n_time, len(AO_QUANTITIES)), np.nan)
    for name, value in (("seeing_arcsec", 0.72), ("tau0_ms", 4.1), ("strehl", 0.84)):
        ao[:, AO_QUANTITIES.index(name)] = value * (1 + 0.06 * rng.normal(size=n_time))
    ao[:, AO_QUANTITIES.index("wind_speed_mps")] = 8 + rng.normal(size=n_time)
    quality = np.stack(
        [1 + 0.02 * rng.normal(size=n_time), 0.97 + 0.01 * rng.random(n_time)], axis=-1
    )
    return Level1Cube(
        science=science,
        weight=np.where(np.isfinite(science), np.float32(0.25), np.float32(0)),
        psf=np.broadcast_to(psf, (2, 1, 33, 33)).astype(np.float32),
        centre_px=centre,
        centre_err_px=np.full_like(centre, 0.06),
        ao=ao,
        quality=quality,
        metrics=("flux", "correlation"),
        wavelength_um=WAVELENGTH_UM,
        bandwidth_um=np.array([0.0531, 0.0556]),
        pixel_scale_mas=SCALE_MAS,
        mjd=mjd,
        dit_s=np.full(n_time, 64.0),
        parang_deg=parang,
        derotation_deg=parang + 134.24,
        derotation_start_deg=parang + 133.5,
        derotation_end_deg=parang + 135.0,
        airmass=np.full(n_time, 1.12),
        attrs={
            "target": "HD 95086",
            "bands": BANDS,
            "coronagraph": "N_ALC_YJH_S",
            "dither_px": dither.tolist(),
            "centres_measured": [
                {
                    "channel": channel,
                    "mjd": mjd[0] - 0.004,
                    "x_px": x,
                    "y_px": y,
                    "x_err_px": 0.05,
                    "y_err_px": 0.05,
                    "dither_x_px": 0.0,
                    "dither_y_px": 0.0,
                    "used": True,
                }
                for channel, (x, y) in enumerate([(478.2, 523.9), (485.1, 511.4)])
            ],
            **attrs,
        },
    )


def level2_images(
    n: int = 129, seed: int = 3, companions: tuple[Any, ...] = COMPANIONS, **attrs: Any
) -> Level2Images:
    """Make images of unit-variance noise with companions, and smooth curves."""
    rng = np.random.default_rng(seed)
    centre = n // 2
    y, x = np.mgrid[:n, :n] - centre
    radius = np.hypot(x, y)
    mask = (radius > 7) & (radius < centre - 2)
    snr = rng.normal(size=(2, n, n))
    sources, contrasts, errors = [], [], []
    for separation, angle, contrast, value in companions:
        if separation / SCALE_MAS[0] > centre - 4:
            separation = (centre - 8) * SCALE_MAS[0]
        px = separation / SCALE_MAS[0]
        cx, cy = -px * np.sin(np.radians(angle)), px * np.cos(np.radians(angle))
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2))
        snr += blob * value / np.sqrt(2)
        sources.append((centre + cx, centre + cy, 0.05, 0.06, separation, 0.7, angle, 0.11, value))
        contrasts.append(contrast)
        errors.append([c / value * 1.5 for c in contrast])
    snr = np.where(mask, snr, np.nan).astype(np.float32)
    image = (snr.mean(axis=0) * 6 / np.sqrt(np.maximum(radius, 1))).astype(np.float32)
    separation_mas = np.arange(100.0, (centre - 2) * SCALE_MAS[0], 12.0)
    curve = 3e-4 * (separation_mas / 150) ** -2.2 + 6e-7
    contrast = np.stack([np.stack([curve, 1.2 * curve]), np.stack([1.3 * curve, 1.5 * curve])])
    throughput = 1 - 0.75 * np.exp(-separation_mas / 400)
    return Level2Images(
        image=image,
        image_corrected=(image * 1.6).astype(np.float32),
        image_snr=snr.mean(axis=0),
        image_contrast=contrast.mean(axis=1),
        cube=np.stack([image, image]),
        snr=snr * np.float32(1.1),
        snr_gaussian=snr,
        contrast=contrast,
        throughput=np.stack([throughput, throughput * 0.96]),
        transmission=np.stack([1 - np.exp(-separation_mas / 90)] * 2),
        separation_mas=separation_mas,
        mask=mask,
        sources=np.array(sources, dtype=np.float64).reshape(-1, len(SOURCE_COLUMNS)),
        source_contrast=np.array(contrasts, dtype=np.float64).reshape(-1, 2),
        source_contrast_err=np.array(errors, dtype=np.float64).reshape(-1, 2),
        wavelength_um=WAVELENGTH_UM,
        pixel_scale_mas=SCALE_MAS,
        fwhm_px=FWHM_PX,
        star_flux=np.array([4.2e6, 4.0e6]),
        attrs={"bands": BANDS, **attrs},
    )
