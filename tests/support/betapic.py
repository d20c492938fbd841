"""The real NACO sequence of beta Pictoris, prepared as the published reductions of it were."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from scipy import optimize

FWHM = 4.80
SCALE_MAS = 27.19
STAR = 764939.6
# Pixel (x, y) of b.
B = (58, 36)
# The angles of the tutorial that made the literals: stored angle less a constant.
OFFSET_DEG = -104.84


def read(real_data):
    """Frames as delivered, derotation angles [deg] and the PSF."""
    folder = real_data / "naco-betapic-adi"
    frames = fits.getdata(folder / "cube.fits.gz").astype(np.float64)
    angles = fits.getdata(folder / "angles.fits").astype(np.float64).ravel() + OFFSET_DEG
    psf = fits.getdata(folder / "psf.fits").astype(np.float64)
    return frames, angles, psf


def hole_centre(frame, half):
    """Centre of the dark hole about pixel (51, 51): a tilted Gaussian fitted to its negative."""
    part = frame[51 - half : 52 + half, 51 - half : 52 + half]
    part = part.max() - part
    y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(float)

    def misfit(p):
        dx, dy = x - p[1], y - p[2]
        u = np.cos(p[5]) * dx + np.sin(p[5]) * dy
        v = np.cos(p[5]) * dy - np.sin(p[5]) * dx
        return (p[0] * np.exp(-0.5 * ((u / p[3]) ** 2 + (v / p[4]) ** 2)) - part).ravel()

    start = [np.ptp(part), *((q * part).sum() / part.sum() for q in (x, y)), 1.95, 1.95, 0.0]
    found = optimize.least_squares(misfit, start, method="lm", xtol=1e-12, ftol=1e-12).x
    return 51 - half + found[1], 51 - half + found[2]


def shifted(frame, dx, dy):
    """Shift by a phase ramp on a frame with the least padding that keeps the edges apart."""
    pad = int(np.ceil(max(abs(dx), abs(dy))))
    side = frame.shape[0] + 2 * pad
    side += side % 2
    left, low = (pad if s > 0 else pad + 1 for s in (dx, dy))
    big = np.zeros((side, side))
    big[low : low + frame.shape[0], left : left + frame.shape[1]] = frame
    k = np.fft.fftfreq(side)
    ramp = np.exp(-2j * np.pi * (k[None, :] * dx + k[:, None] * dy))
    moved = np.fft.ifft2(np.fft.fft2(big) * ramp).real
    return moved[low : low + frame.shape[0], left : left + frame.shape[1]]


def recentred(frames, half=2):
    """Frames with the star on pixel (50, 50); half = 2 is the fit of the published values."""
    centres = [hole_centre(frame, half) for frame in frames]
    moved = [shifted(f, 50 - x, 50 - y) for f, (x, y) in zip(frames, centres, strict=True)]
    return np.stack(moved).astype(np.float32)
