"""Fit of a two-dimensional Gaussian on a constant, round or elongated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]

SIGMA_TO_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class GaussianFit:
    """Parameters of a fitted Gaussian and their covariance.

    Attributes
    ----------
    x, y : float
        Centre [px].
    sigma_u, sigma_v : float
        Widths along and across the long axis [px]; equal for a round fit.
    amplitude, offset : float
        Peak above the constant, and the constant [unit of the image].
    covariance : array, shape (2, 2)
        Of (x, y) [px2], from the scatter of the residuals.
    residual_rms : float
        Of the fit [unit of the image].
    converged : bool
        Whether the minimum was found away from the bounds of position and width.
    """

    x: float
    y: float
    sigma_u: float
    sigma_v: float
    amplitude: float
    offset: float
    covariance: Floats
    residual_rms: float
    converged: bool

    @property
    def fwhm(self) -> float:
        """Full width at half maximum, geometric mean of both axes [px]."""
        return float(SIGMA_TO_FWHM * np.sqrt(self.sigma_u * self.sigma_v))


@dataclass(frozen=True)
class Shape:
    """What the fit may do.

    Attributes
    ----------
    angle_deg : float or None
        Direction of the long axis, counter-clockwise from +x; None fits a round Gaussian.
    sigma_px : (float, float)
        Smallest and largest width [px].
    reach_px : float
        How far the centre may lie from the first guess along x and y [px].
    """

    angle_deg: float | None = None
    sigma_px: tuple[float, float] = (0.5, 20.0)
    reach_px: float = 8.0


def gaussian_model(
    parameters: Floats, x: Floats, y: Floats, angle_deg: float | None
) -> tuple[Floats, Floats]:
    """Evaluate the Gaussian and its derivatives.

    Parameters
    ----------
    parameters : array
        ``x0, y0, amplitude, offset, sigma`` (round) or ``..., sigma_u, sigma_v``.
    x, y : array, shape (n,)
        Where [px].
    angle_deg : float or None
        As in `Shape`.

    Returns
    -------
    values : array, shape (n,)
    jacobian : array, shape (n, len(parameters))
    """
    x0, y0, amplitude, offset = parameters[:4]
    turn = np.radians(angle_deg or 0.0)
    cos, sin = np.cos(turn), np.sin(turn)
    u = (x - x0) * cos + (y - y0) * sin
    v = -(x - x0) * sin + (y - y0) * cos
    sigma_u, sigma_v = parameters[4], parameters[-1]
    bell = np.exp(-0.5 * ((u / sigma_u) ** 2 + (v / sigma_v) ** 2))
    slope_u, slope_v = u / sigma_u**2, v / sigma_v**2
    light = amplitude * bell
    columns = [
        light * (slope_u * cos - slope_v * sin),
        light * (slope_u * sin + slope_v * cos),
        bell,
        np.ones_like(bell),
    ]
    wide_u, wide_v = light * slope_u * u / sigma_u, light * slope_v * v / sigma_v
    columns += [wide_u + wide_v] if angle_deg is None else [wide_u, wide_v]
    return offset + light, np.stack(columns, axis=1)


def fit_gaussian(
    image: NDArray[np.floating],
    guess_xy: tuple[float, float],
    sigma_px: float,
    shape: Shape | None = None,
    good: NDArray[np.bool_] | None = None,
) -> GaussianFit:
    """Fit a Gaussian on a constant by bounded least squares.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Cut-out around one source. Pixels that are not finite are left out.
    guess_xy : (float, float)
        First guess of the centre in the cut-out, (x, y) [px].
    sigma_px : float
        First guess of the width [px].
    shape : Shape, optional
        Bounds and elongation; a round Gaussian if absent.
    good : array of bool, shape of `image`, optional
        Pixels to use.

    Returns
    -------
    GaussianFit

    Raises
    ------
    KernelInputError
        If fewer than ten pixels can be used.

    Notes
    -----
    Trust-region reflective least squares with analytic derivatives. The covariance takes the
    residuals as independent; what they share (speckles) is not in it.
    """
    limits = shape or Shape()
    used = np.isfinite(image) if good is None else np.isfinite(image) & good
    if used.sum() < 10:
        raise KernelInputError(f"{int(used.sum())} usable pixels; ten are needed for a Gaussian")
    y, x = (axis.astype(np.float64) for axis in np.nonzero(used))
    values = image[used].astype(np.float64)
    offset = float(np.median(values))
    scale = max(float(values.max()) - offset, 1e-300)
    low_sigma, high_sigma = limits.sigma_px
    width = float(np.clip(sigma_px, low_sigma * 1.01, high_sigma * 0.99))
    n_width = 1 if limits.angle_deg is None else 2
    start = np.array([*guess_xy, 1.0, 0.0, *[width] * n_width])
    reach = np.array([limits.reach_px, limits.reach_px, np.inf, np.inf])
    low = np.concatenate([start[:4] - reach, [low_sigma] * n_width])
    high = np.concatenate([start[:4] + reach, [high_sigma] * n_width])
    low[2] = 0.0
    scaled = (values - offset) / scale

    def residual(p: Floats) -> Floats:
        return np.asarray(gaussian_model(p, x, y, limits.angle_deg)[0] - scaled)

    def jacobian(p: Floats) -> Floats:
        return gaussian_model(p, x, y, limits.angle_deg)[1]

    found = least_squares(residual, start, jac=jacobian, bounds=(low, high), xtol=1e-9, ftol=1e-12)
    best = found.x
    rms = float(np.sqrt(2 * found.cost / max(len(values) - len(best), 1)))
    normal = found.jac.T @ found.jac
    covariance = np.linalg.pinv(normal)[:2, :2] * rms**2
    free = np.r_[0, 1, 4 : len(best)]
    inside = np.all((best[free] > low[free] + 1e-6) & (best[free] < high[free] - 1e-6))
    return GaussianFit(
        x=float(best[0]),
        y=float(best[1]),
        sigma_u=float(best[4]),
        sigma_v=float(best[-1]),
        amplitude=float(best[2] * scale),
        offset=float(offset + best[3] * scale),
        covariance=covariance,
        residual_rms=rms * scale,
        converged=bool(found.success and inside and best[2] > 0),
    )
