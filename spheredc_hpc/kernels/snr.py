"""Detection statistics of a residual image: t map, its Gaussian equivalent, ring noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.aperture import aperture_kernel, aperture_sums
from spheredc_hpc.kernels.parallel import blocks, map_ordered

Floats = NDArray[np.float64]

# Fewer reference apertures than this tell nothing about a scatter.
MIN_REFERENCES = 3
_BLOCK_ROWS = 16


@dataclass(frozen=True)
class ApertureMap:
    """Aperture sums of an image, ready to be sampled between pixels.

    Attributes
    ----------
    sums : array of float64, shape (ny, nx)
        Sum in the aperture about each pixel; NaN where the aperture holds an invalid pixel.
    spline : array of float64
        Cubic spline coefficients of the sums, invalid pixels counted as zero.
    label : array of int32
        Number of the masked source that a pixel belongs to, 0 for none, -1 where `sums` is NaN.
    diameter_px : float
        Diameter of the aperture.
    """

    sums: Floats
    spline: Floats
    label: NDArray[np.int32]
    diameter_px: float


def aperture_map(
    image: NDArray[Any], diameter_px: float, sources: NDArray[np.int32] | None = None
) -> ApertureMap:
    """Prepare the aperture sums of an image.

    Parameters
    ----------
    image : array, shape (ny, nx)
        Residual image, NaN where it is not valid.
    diameter_px : float
        Diameter of the apertures, one FWHM [px].
    sources : array of int32, shape (ny, nx), optional
        Number of the source whose neighbourhood a pixel is in, 0 for none.

    Returns
    -------
    ApertureMap
    """
    if image.ndim != 2 or (sources is not None and sources.shape != image.shape):
        raise KernelInputError(f"image {image.shape} and source labels do not fit")
    valid = np.isfinite(image)
    sums = np.asarray(aperture_sums(np.where(valid, image, 0.0), diameter_px / 2))
    footprint = aperture_kernel(diameter_px / 2) > 0
    whole = ndimage.binary_erosion(valid, footprint, border_value=0)
    label = np.zeros(image.shape, np.int32) if sources is None else sources.astype(np.int32)
    label[~whole] = -1
    spline = ndimage.spline_filter(sums, order=3, output=np.float64, mode="mirror")
    return ApertureMap(np.where(whole, sums, np.nan), spline, label, float(diameter_px))


@numba.njit(cache=True, nogil=True, inline="always")
def _spline_at(spline, x, y):  # type: ignore[no-untyped-def]
    ix, iy = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - ix, y - iy
    gx, gy = 1.0 - fx, 1.0 - fy
    wx = (gx**3 / 6, 2 / 3 - fx**2 * (2 - fx) / 2, 2 / 3 - gx**2 * (2 - gx) / 2, fx**3 / 6)
    wy = (gy**3 / 6, 2 / 3 - fy**2 * (2 - fy) / 2, 2 / 3 - gy**2 * (2 - gy) / 2, fy**3 / 6)
    total = 0.0
    for j in range(4):
        row = 0.0
        for i in range(4):
            row += wx[i] * spline[iy - 1 + j, ix - 1 + i]
        total += wy[j] * row
    return total


@numba.njit(cache=True, nogil=True, inline="always")
def _allowed(label, x, y, own):  # type: ignore[no-untyped-def]
    """Whether the aperture at (x, y) may serve as reference for a pixel of source `own`."""
    ny, nx = label.shape
    if x < 1 or y < 1 or x >= nx - 2 or y >= ny - 2:
        return False
    found = label[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
    return found == 0 or (found > 0 and found == own)


@numba.njit(cache=True, nogil=True)
def _t_rows(spline, sums, label, diameter, skip, first, last, t_map, n_map):  # type: ignore[no-untyped-def]
    ny, nx = sums.shape
    cy, cx = ny // 2, nx // 2
    for y in range(first, last):
        for x in range(nx):
            if label[y, x] < 0:
                continue
            dx, dy = float(x - cx), float(y - cy)
            radius = np.sqrt(dx * dx + dy * dy)
            if 2.0 * radius <= diameter:
                continue
            step = 2.0 * np.arcsin(0.5 * diameter / radius)
            number = int(np.floor(2.0 * np.pi / step + 1e-9))
            cosine, sine = np.cos(step), np.sin(step)
            count, mean, square = 0, 0.0, 0.0
            for i in range(number - 1):
                dx, dy = cosine * dx + sine * dy, cosine * dy - sine * dx
                if i < skip or i >= number - 1 - skip:
                    continue
                if _allowed(label, cx + dx, cy + dy, label[y, x]):
                    value = _spline_at(spline, cx + dx, cy + dy)
                    count += 1
                    delta = value - mean
                    mean += delta / count
                    square += delta * (value - mean)
            n_map[y, x] = count
            if count >= 3 and square > 0:
                noise = np.sqrt(square / (count - 1) * (1.0 + 1.0 / count))
                t_map[y, x] = (sums[y, x] - mean) / noise


def t_statistic(apertures: ApertureMap, skip: int = 0) -> tuple[Floats, NDArray[np.int32]]:
    """Two-sample t statistic of every pixel against the other apertures of its ring.

    Parameters
    ----------
    apertures : ApertureMap
        Aperture sums of the image.
    skip : int
        Nearest apertures on either side that are left out of the ring, so that the negative
        lobes beside a source do not count as noise.

    Returns
    -------
    t : array of float64, shape (ny, nx)
        The statistic; NaN where the pixel's aperture is not valid or the ring holds fewer
        than `MIN_REFERENCES` references.
    references : array of int32
        Number of references; the degrees of freedom are one less.

    Notes
    -----
    Mawet et al. (2014), ApJ 792, 97, eq. 9. The apertures touch; the first is that of the
    pixel, the others follow clockwise. Apertures with invalid pixels and those on a masked
    source are left out, except that a source sees its own neighbourhood.
    Cost: O(ny * nx * ring length).
    """
    shape = apertures.sums.shape
    t_map = np.full(shape, np.nan)
    n_map = np.zeros(shape, np.int32)

    def rows(block: slice) -> None:
        _t_rows(
            apertures.spline,
            apertures.sums,
            apertures.label,
            apertures.diameter_px,
            skip,
            block.start,
            block.stop,
            t_map,
            n_map,
        )

    map_ordered(rows, blocks(shape[0], _BLOCK_ROWS))
    return t_map, n_map


def gaussian_equivalent(t: ArrayLike, degrees_of_freedom: ArrayLike) -> Floats:
    """Gaussian deviate with the false-alarm probability of a t statistic.

    Parameters
    ----------
    t : array_like
        Student's t; NaN stays NaN.
    degrees_of_freedom : array_like
        Its degrees of freedom; below 1 gives NaN.

    Returns
    -------
    array of float64
        Equivalent S/N, odd in `t`, unit variance for Gaussian noise. Probabilities that
        underflow are followed by their logarithm, so there is no ceiling.
    """
    t_values, nu = np.broadcast_arrays(
        np.asarray(t, np.float64), np.asarray(degrees_of_freedom, np.float64)
    )
    nu = np.where(nu >= 1, nu, np.nan)
    size = np.abs(t_values)
    with np.errstate(all="ignore"):
        tail = special.stdtr(nu, -size)
        result = -special.ndtri(tail)
        far = tail < 1e-250
        if np.any(far):
            result = np.where(far, -special.ndtri_exp(_log_tail(size, nu)), result)
    return np.asarray(np.sign(t_values) * result)


def _log_tail(t: Floats, nu: Floats) -> Floats:
    """Logarithm of the upper tail of Student's t by the series of the incomplete beta."""
    x = nu / (nu + t * t)
    a, b = nu / 2, 0.5
    series = special.hyp2f1(a + b, 1.0, a + 1, x)
    return np.asarray(
        a * np.log(x)
        + b * np.log1p(-x)
        - np.log(a)
        - special.betaln(a, b)
        + np.log(series)
        - np.log(2.0)
    )


def small_sample_threshold(sigma: float, elements: ArrayLike) -> Floats:
    """Threshold in units of the measured scatter that has the false-alarm rate of `sigma`.

    Parameters
    ----------
    sigma : float
        Gaussian significance asked for.
    elements : array_like
        Independent elements of the ring, the tested one included.

    Returns
    -------
    array of float64
        Threshold; NaN for fewer than three elements.

    Notes
    -----
    Mawet et al. (2014), ApJ 792, 97, eq. 10: Student's t of ``elements - 2`` degrees of freedom
    times ``sqrt(1 + 1 / (elements - 1))``.
    """
    n = np.asarray(elements, np.float64)
    n = np.where(n >= 3, n, np.nan)
    t = -special.stdtrit(n - 2, special.ndtr(-sigma))
    return np.asarray(t * np.sqrt(1 + 1 / (n - 1)))


@numba.njit(cache=True, nogil=True)
def _ring_scatter(spline, label, diameter, radii, phases, noise, number):  # type: ignore[no-untyped-def]
    ny, nx = label.shape
    cy, cx = ny // 2, nx // 2
    for k in range(radii.size):
        radius = radii[k]
        if 2.0 * radius <= diameter:
            continue
        step = 2.0 * np.arcsin(0.5 * diameter / radius)
        elements = int(np.floor(2.0 * np.pi / step + 1e-9))
        variance, used, total = 0.0, 0, 0
        for p in range(phases):
            count, mean, square = 0, 0.0, 0.0
            for i in range(elements):
                angle = (i + p / phases) * step
                x, y = cx + radius * np.cos(angle), cy + radius * np.sin(angle)
                if _allowed(label, x, y, 0):
                    value = _spline_at(spline, x, y)
                    count += 1
                    delta = value - mean
                    mean += delta / count
                    square += delta * (value - mean)
            if count >= 3:
                variance += square / (count - 1)
                total += count
                used += 1
        if used > 0:
            noise[k] = np.sqrt(variance / used)
            number[k] = total / used


def ring_noise(
    apertures: ApertureMap, radii_px: ArrayLike, phases: int = 8
) -> tuple[Floats, Floats]:
    """Scatter of aperture sums along rings.

    Parameters
    ----------
    apertures : ApertureMap
        Aperture sums; masked sources are left out.
    radii_px : array_like, shape (n,)
        Radii of the rings [px].
    phases : int
        Starting angles, from that of the positive x axis on, over which the variance is
        averaged. They lower the scatter of the estimate; they do not add independent elements.

    Returns
    -------
    noise : array of float64, shape (n,)
        Standard deviation of the sums; NaN where fewer than `MIN_REFERENCES` are valid.
    elements : array of float64, shape (n,)
        Mean number of valid apertures that fit on the ring; 0 where the noise is NaN.
    """
    radii = np.atleast_1d(np.asarray(radii_px, np.float64))
    noise, number = np.full(radii.shape, np.nan), np.zeros(radii.shape)
    _ring_scatter(
        apertures.spline, apertures.label, apertures.diameter_px, radii, phases, noise, number
    )
    return noise, number
