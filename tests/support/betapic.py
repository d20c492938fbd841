"""The real NACO sequence of beta Pictoris, prepared as the published reductions of it were.

Programs that run under the interpreters of other packages read this too, so what belongs to
`spheredc_hpc` is imported inside functions.
"""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from scipy import optimize

FWHM = 4.80
SCALE_MAS = 27.19
STAR = 764939.6
# Pixel (x, y) of b.
B = (58, 36)
# VIP's fit of a negative companion: separation [px], angle from the x axis [deg], flux.
B_FITTED = (16.7045, 299.736, 734.336)
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


def offset_of_b():
    """Place of the fitted b from the star (x, y) [px]."""
    radius, angle_deg, _ = B_FITTED
    return radius * np.cos(np.deg2rad(angle_deg)), radius * np.sin(np.deg2rad(angle_deg))


def core_of(psf, side, flux=1.0):
    """PSF about its centre, with a flux in an aperture of one FWHM."""
    from spheredc_hpc.kernels.aperture import aperture_sum
    from spheredc_hpc.kernels.psf import centred_psf, fit_psf

    core = centred_psf(psf, fit_psf(psf, FWHM), side)
    return core * (flux / aperture_sum(core, side // 2, side // 2, FWHM / 2))


def star_of(psf, side, flux=None):
    """Give the star with a flux, or of unit flux and not calibrated."""
    from spheredc_hpc.kernels.inject import Stamp
    from spheredc_hpc.level2.sequence import Star

    stamp = Stamp.of(core_of(psf, side, 1.0 if flux is None else flux))
    return Star(stamp, FWHM, float("nan") if flux is None else flux, 0.0)


def take_b_out(frames, angles_deg, star):
    """Subtract b from frames in place, as fitted."""
    from spheredc_hpc.kernels.inject import Rotation, add_companion

    unit = star.flux if star.calibrated else 1.0
    rotation = Rotation(angles_deg, angles_deg, angles_deg)
    add_companion(frames, star.stamp, offset_of_b(), rotation, -B_FITTED[2] / unit)


def channel_of(frames, angles_deg, star, masks, reach_px):
    """Channel of frames of equal weight.

    Masks are those of pixels with data and of the zone, or the one that is both; None is every
    pixel. The reach is the inner and outer radius of the zone.
    """
    from spheredc_hpc.kernels.inject import Rotation
    from spheredc_hpc.level2.sequence import Channel

    common, zone = masks if isinstance(masks, tuple) else (masks, masks)
    common, zone = (
        np.ones(frames.shape[-2:], bool) if mask is None else mask for mask in (common, zone)
    )
    rotation, weight = Rotation(angles_deg, angles_deg, angles_deg), np.ones(len(frames))
    return Channel(frames, common, zone, rotation, star, SCALE_MAS, *reach_px, weight, 0.0)


def peak_and_snr(image):
    """Value at the pixel of b and its t statistic."""
    from spheredc_hpc.kernels.snr import aperture_map, t_statistic

    t, _ = t_statistic(aperture_map(image, FWHM))
    x, y = B
    return image[y, x], float(t[y, x])
