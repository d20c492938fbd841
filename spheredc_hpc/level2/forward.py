"""Position and flux of a source, by exact forward models.

A trial companion with negative flux is added to the frames and the reduction about it is
repeated until what is left fits an image without the source. Errors come from the image
itself: the same estimator is applied to source-free places of the same radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spheredc_hpc.level2.engine import Frames, Reduction
from spheredc_hpc.level2.misfit import Misfit, mean_width

Floats = NDArray[np.float64]

# How far the position may leave the start, in FWHM.
REACH_FWHM = 1.0
_ITERATIONS = 16
_RECENTRINGS = 3
_RECENTRE_PX = 0.7
_RENEW_PX = 0.3
_RENEW_FLUX = 0.1
_RENEWALS = 6
_LONGEST_STEP_PX = 1.0
# A step that makes the misfit larger by more than round-off is taken again with damping, first so
# much, then so much more; after each step downhill so much less.
_UPHILL = 1e-4
_FIRST_DAMPING = 1e-3
_HARDER = 10.0
_EASIER = 4.0
# A source accounts for the image about it if it leaves at most this share of the mean square, and
# what noise may be: that of pixels which are independent, this many times.
_LEFT_SHARE = 0.3
_LEFT_NOISE = 4.0
# A fit stops at the tight tolerances and counts as converged from the loose ones on.
_TIGHT = (0.001, 2e-4)
_LOOSE = (0.02, 5e-3)


@dataclass(frozen=True)
class Fit:
    """A source as fitted to all channels at once.

    Attributes
    ----------
    dx_px, dy_px : float
        Offset from the star on the final images [image px].
    contrast : array of float64, shape (n_channel,)
        Flux relative to the star, corrected for self-subtraction, not for the coronagraph.
    estimator : array of float64, shape (2 + n_channel, n_data)
        Linear map from a disturbance of the data to one of ``(dx, dy, contrast...)``.
    points : array of float64, shape (2, n_point)
        Offsets of the fitted pixels [px].
    converged : bool
        Whether the last step was negligible and the position stayed near its start.
    explains : bool
        Whether a source of positive flux accounts for what the image shows. A fit to the lobe
        of a source elsewhere, which may converge, does not.
    """

    dx_px: float
    dy_px: float
    contrast: Floats
    estimator: Floats
    points: Floats
    converged: bool
    explains: bool


def fit_source(
    reductions: Sequence[Reduction],
    profiles: Sequence[Floats],
    noise: Floats,
    start_px: tuple[float, float],
    start_contrast: Floats,
) -> Fit:
    """Fit position and contrast of one source.

    Parameters
    ----------
    reductions : sequence of Reduction
        Of all channels, with every other source removed.
    profiles : sequence of array
        Azimuthal mean of each channel's image at whole radii.
    noise : array, shape (n_channel,)
        Noise of each channel at the source's radius; only ratios matter.
    start_px : (float, float)
        First guess of the offset [image px].
    start_contrast : array, shape (n_channel,)
        First guess of the contrast.

    Returns
    -------
    Fit

    Notes
    -----
    Lagrange et al. (2010), Science 329, 57 (negative companion); least squares by
    Gauss-Newton steps. The patch is centred again if the source moves. A channel in which
    the source is absent gets a contrast about zero. Channels that are reduced together are
    evaluated together: each contrast acts on the images of all. The misfit is exact always;
    the derivatives are for few channels, see `misfit`.
    """
    width = mean_width(reductions)
    limit = REACH_FWHM * width
    p = np.concatenate([start_px, start_contrast])
    for _ in range(_RECENTRINGS):
        centre = (float(p[0]), float(p[1]))
        problem = Misfit(reductions, profiles, noise, centre)
        p, estimator, converged = _minimised(problem, p, start_px, limit)
        if not converged or np.hypot(p[0] - centre[0], p[1] - centre[1]) < _RECENTRE_PX:
            break
    weights = np.repeat(problem.weight, problem.points.shape[1])
    return Fit(
        float(p[0]),
        float(p[1]),
        p[2:],
        -estimator * weights[None, :],
        problem.points,
        converged,
        _explains(problem, p, width),
    )


def _explains(problem: Misfit, p: Floats, fwhm_px: float) -> bool:
    """Whether a source accounts for the image about it, see `Fit.explains`."""
    nothing = np.concatenate([p[:2], np.zeros(p.size - 2)])
    before, left = (float(np.mean(problem.all_left(q) ** 2)) for q in (nothing, p))
    # Of independent pixels, the mean square is that of the aperture over its pixels; of grains
    # as wide as the aperture it is less.
    pixel = 4 / (np.pi * fwhm_px**2)
    bright = float(np.sum(p[2:] * problem.weight)) > 0
    return bright and left <= _LEFT_SHARE * before + _LEFT_NOISE * pixel


def _minimised(
    problem: Misfit, p: Floats, start_px: tuple[float, float], limit_px: float
) -> tuple[Floats, Floats, bool]:
    """Gauss-Newton steps, damped where one leads uphill; a Jacobian serves as long as it may."""
    at, jacobian = np.full(p.shape, np.inf), np.zeros((0, p.size))
    left, damping, renewed = problem.all_left(p), 0.0, 0
    settled = False
    for _ in range(_ITERATIONS):
        unit = np.maximum(np.abs(p[2:]), 0.3 * np.abs(p[2:]).max())
        moved = np.hypot(p[0] - at[0], p[1] - at[1]) > _RENEW_PX
        brighter = bool(np.any(np.abs(p[2:] - at[2:]) > _RENEW_FLUX * unit))
        if moved or (renewed < _RENEWALS and brighter):
            jacobian, at, renewed = problem.jacobian(p, unit), p, renewed + 1
        step = _damped_step(jacobian, left, damping)
        trial = p + step
        if np.hypot(trial[0] - start_px[0], trial[1] - start_px[1]) > limit_px:
            p, settled = trial, False
            break
        there = problem.all_left(trial)
        if not _negligible(step, p, _LOOSE):
            jacobian = _learned(jacobian, step, there - left)
        uphill = there @ there > (1 + _UPHILL) * (left @ left)
        if uphill and not _negligible(step, p, _LOOSE):
            damping = max(_HARDER * damping, _FIRST_DAMPING)
            continue
        p, left = trial, there
        settled = damping == 0 and _negligible(step, p, _LOOSE)
        if damping == 0 and _negligible(step, p, _TIGHT):
            break
        damping = damping / _EASIER if damping > _FIRST_DAMPING else 0.0
    return p, np.asarray(np.linalg.pinv(jacobian), np.float64), settled


def _learned(jacobian: Floats, step: Floats, change: Floats) -> Floats:
    """Make a Jacobian right for a step that was taken.

    Notes
    -----
    Broyden (1965), Math. Comp. 19, 577, with parameters in units in which they act alike. Near
    the star, derivatives with kept coefficients may be half of the true ones: without this,
    steps leap to and fro.
    """
    weighted = (jacobian**2).sum(axis=0) * step
    length = weighted @ step
    if not length > 0:
        return jacobian
    return np.asarray(jacobian + np.outer(change - jacobian @ step, weighted / length))


def _damped_step(jacobian: Floats, left: Floats, damping: float) -> Floats:
    """Step towards the least squares; no longer in position than one pixel.

    Notes
    -----
    Marquardt (1963), J. SIAM 11, 431: the diagonal of the normal equations times `damping`.
    """
    scale = np.sqrt((jacobian**2).sum(axis=0))
    scale[scale == 0] = 1.0
    rows = np.concatenate([jacobian / scale, np.sqrt(damping) * np.eye(scale.size)])
    wanted = np.concatenate([-left, np.zeros(scale.size)])
    step = np.linalg.lstsq(rows, wanted, rcond=None)[0] / scale
    step[:2] *= min(1.0, _LONGEST_STEP_PX / max(np.hypot(step[0], step[1]), 1e-12))
    return np.asarray(step)


def _negligible(step: Floats, p: Floats, tolerance: tuple[float, float]) -> bool:
    """Whether a step is below tolerances in position [px] and in flux, relative."""
    small = np.abs(step[2:]).max() <= tolerance[1] * np.abs(p[2:]).max()
    return bool(small and np.hypot(step[0], step[1]) < tolerance[0])


def fit_covariance(
    fit: Fit,
    images: Frames,
    profiles: Sequence[Floats],
    fwhm_px: float,
    others_px: Sequence[tuple[float, float]],
) -> Floats:
    """Covariance of a fit from source-free places of the same radius.

    Parameters
    ----------
    fit : Fit
        The fit.
    images : array, shape (n_channel, side, side)
        Final images of the channels without any source.
    profiles : sequence of array
        Their azimuthal means.
    fwhm_px : float
        Mean width of the PSFs [image px].
    others_px : sequence of (float, float)
        Offsets of other sources, whose neighbourhood is left out [px].

    Returns
    -------
    array, shape (2 + n_channel, 2 + n_channel)
        Covariance of ``(dx, dy, contrast...)``; infinite if there is no source-free place.

    Notes
    -----
    The fitted pixels are turned about the star and the estimator is applied to what the image
    holds there. Its shape turns along with the field because the geometry of
    self-subtraction depends on the radius alone. The mean square is corrected for the few
    independent places of a small ring.
    """
    turns = _free_turns(fit, others_px, fwhm_px)
    if turns.size == 0:
        return np.full((fit.estimator.shape[0],) * 2, np.inf)
    radius = np.hypot(fit.points[0], fit.points[1])
    cosine, sine = np.cos(turns)[:, None], np.sin(turns)[:, None]
    x = cosine * fit.points[0] - sine * fit.points[1]
    y = sine * fit.points[0] + cosine * fit.points[1]
    data = []
    for image, profile in zip(images, profiles, strict=True):
        middle = image.shape[0] // 2
        filled = np.where(np.isfinite(image), image, 0.0).astype(np.float64)
        values = ndimage.map_coordinates(filled, [y + middle, x + middle], order=3)
        data.append(values - np.interp(radius, np.arange(profile.size), profile)[None, :])
    errors = np.concatenate(data, axis=1) @ fit.estimator.T
    independent = max(turns.size * _TURN_FWHM / 1.5, 1.5)
    covariance = errors.T @ errors / turns.size * (independent + 1) / max(independent - 1, 0.5)
    return np.asarray(covariance)


# Distance between neighbouring trial places along the ring, in FWHM.
_TURN_FWHM = 0.25
# Places nearer than this to a source are left out, in FWHM.
_FREE_FWHM = 2.5


def _free_turns(fit: Fit, others_px: Sequence[tuple[float, float]], fwhm_px: float) -> Floats:
    radius = float(np.hypot(fit.dx_px, fit.dy_px))
    count = max(int(2 * np.pi * radius / (_TURN_FWHM * fwhm_px)), 4)
    turns = np.arange(count) * 2 * np.pi / count
    x = np.cos(turns) * fit.dx_px - np.sin(turns) * fit.dy_px
    y = np.sin(turns) * fit.dx_px + np.cos(turns) * fit.dy_px
    free = np.ones(count, bool)
    for ox, oy in ((fit.dx_px, fit.dy_px), *others_px):
        free &= np.hypot(x - ox, y - oy) > _FREE_FWHM * fwhm_px
    return np.asarray(turns[free])
