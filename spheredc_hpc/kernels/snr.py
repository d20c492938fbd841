"""Detection statistics of a residual image: t map and ring noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.aperture import aperture_kernel, aperture_sums
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.student import gaussian_equivalent as gaussian_equivalent
from spheredc_hpc.kernels.student import small_sample_threshold as small_sample_threshold

Floats = NDArray[np.float64]

# Fewer reference apertures than this tell nothing about a scatter.
MIN_REFERENCES = 3
_BLOCK_ROWS = 8


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


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _weights(fraction):  # type: ignore[no-untyped-def]
    """Cubic B-spline at the four samples about a place."""
    rest = 1.0 - fraction
    first = rest * rest * rest / 6
    last = fraction * fraction * fraction / 6
    second = 2 / 3 - fraction * fraction * (1.0 - 0.5 * fraction)
    return first, second, 1.0 - first - second - last, last


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _weighted(spline, y, x, v, w):  # type: ignore[no-untyped-def]
    """Sum of 4 x 4 coefficients from row y and column x on, weights `v` along y and `w` along x."""
    a, b, c, d = spline[y], spline[y + 1], spline[y + 2], spline[y + 3]
    one = v[0] * a[x] + v[1] * b[x] + v[2] * c[x] + v[3] * d[x]
    two = v[0] * a[x + 1] + v[1] * b[x + 1] + v[2] * c[x + 1] + v[3] * d[x + 1]
    three = v[0] * a[x + 2] + v[1] * b[x + 2] + v[2] * c[x + 2] + v[3] * d[x + 2]
    four = v[0] * a[x + 3] + v[1] * b[x + 3] + v[2] * c[x + 3] + v[3] * d[x + 3]
    return (w[0] * one + w[1] * two) + (w[2] * three + w[3] * four)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _spline_at(spline, x, y):  # type: ignore[no-untyped-def]
    ix, iy = int(np.floor(x)), int(np.floor(y))
    return _weighted(spline, iy - 1, ix - 1, _weights(y - iy), _weights(x - ix))


@numba.njit(cache=True, nogil=True)
def _allowed(label, x, y, own):  # type: ignore[no-untyped-def]
    """Whether the aperture at (x, y) may serve as reference for a pixel of source `own`."""
    ny, nx = label.shape
    if x < 1 or y < 1 or x >= nx - 2 or y >= ny - 2:
        return False
    found = label[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
    return found == 0 or (found > 0 and found == own)


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _t_of(value, references):  # type: ignore[no-untyped-def]
    count = references.size
    mean = 0.0
    for i in range(count):
        mean += references[i]
    mean /= count
    square = 0.0
    for i in range(count):
        square += (references[i] - mean) ** 2
    if square == 0:
        return np.nan
    return (value - mean) / np.sqrt(square / (count - 1) * (1 + 1 / count))


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _rings(spline, label, free, place, turn, own, values, count):  # type: ignore[no-untyped-def]
    """Sample the reference apertures of four pixels a quarter turn apart.

    They share the interpolation weights. `place` is the offset of the first pixel, `turn` cosine
    and sine of the step, `own` the labels of the pixels. With `free`, all apertures are valid.
    """
    cy, cx = spline.shape[0] // 2, spline.shape[1] // 2
    x, y = place
    count[:] = 0
    for _ in range(values.shape[1]):
        x, y = turn[0] * x + turn[1] * y, turn[0] * y - turn[1] * x
        ix, iy = int(np.floor(x)), int(np.floor(y))
        w, v = _weights(x - ix), _weights(y - iy)
        back_w, back_v = (w[3], w[2], w[1], w[0]), (v[3], v[2], v[1], v[0])
        if free or _allowed(label, cx + x, cy + y, own[0]):
            values[0, count[0]] = _weighted(spline, cy + iy - 1, cx + ix - 1, v, w)
            count[0] += 1
        if free or _allowed(label, cx - y, cy + x, own[1]):
            values[1, count[1]] = _weighted(spline, cy + ix - 1, cx - iy - 2, w, back_v)
            count[1] += 1
        if free or _allowed(label, cx - x, cy - y, own[2]):
            values[2, count[2]] = _weighted(spline, cy - iy - 2, cx - ix - 2, back_v, back_w)
            count[2] += 1
        if free or _allowed(label, cx + y, cy - x, own[3]):
            values[3, count[3]] = _weighted(spline, cy - ix - 2, cx + iy - 1, back_w, v)
            count[3] += 1


@numba.njit(cache=True, nogil=True)
def _t_rows(maps, free, diameter, skip, rows, t_map, n_map):  # type: ignore[no-untyped-def]
    """Fill in pixels at offsets x > 0 and some y >= 0, and those quarter turns away."""
    spline, sums, label = maps
    ny, nx = sums.shape
    cy, cx = ny // 2, nx // 2
    count, own = np.empty(4, np.int64), np.empty(4, np.int64)
    values = np.empty((4, int(4 * (nx + ny) / diameter) + 8))
    for y in range(rows[0], rows[1]):
        for x in range(1, max(nx, ny) // 2 + 1):
            radius = np.sqrt(float(x * x + y * y))
            if 2.0 * radius <= diameter:
                continue
            half = 0.5 * diameter / radius
            number = int(np.floor(np.pi / np.arcsin(half) + 1e-9)) - 1 - 2 * skip
            turn = 1.0 - 2.0 * half * half, 2.0 * half * np.sqrt(1.0 - half * half)
            place = float(x), float(y)
            for _ in range(skip):
                place = (
                    turn[0] * place[0] + turn[1] * place[1],
                    turn[0] * place[1] - turn[1] * place[0],
                )
            pixels = ((cy + y, cx + x), (cy + x, cx - y), (cy - y, cx - x), (cy - x, cx + y))
            for k, (py, px) in enumerate(pixels):
                inside = py >= 0 and px >= 0 and py < ny and px < nx
                own[k] = label[py, px] if inside else -1
            if number < 1 or own.max() < 0:
                continue
            found = values[:, :number]
            _rings(spline, label, free[int(radius)], place, turn, own, found, count)
            for k, (py, px) in enumerate(pixels):
                if own[k] >= 0:
                    n_map[py, px] = count[k]
                    if count[k] >= 3:
                        t_map[py, px] = _t_of(sums[py, px], values[k, : count[k]])


def _free_radii(label: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell for each whole radius if all apertures between it and the next one are valid."""
    ny, nx = label.shape
    y, x = np.ogrid[:ny, :nx]
    radius = np.hypot(y - ny // 2, x - nx // 2)
    length = int(radius.max()) + 4
    free = np.ones(length, np.bool_)
    taken = np.unique(radius[label != 0].astype(np.int64))
    for near in (-2, -1, 0, 1, 2):
        free[np.clip(taken + near, 0, length - 1)] = False
    free[max(min(ny, nx) // 2 - 4, 0) :] = False
    return free


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
    Pixels a quarter turn apart share
    their interpolation weights. Cost: O(ny * nx * ring length).
    """
    shape = apertures.sums.shape
    t_map = np.full(shape, np.nan)
    n_map = np.zeros(shape, np.int32)

    free = _free_radii(apertures.label)
    maps = apertures.spline, apertures.sums, apertures.label

    def rows(block: slice) -> None:
        part = block.start, block.stop
        _t_rows(maps, free, apertures.diameter_px, skip, part, t_map, n_map)

    map_ordered(rows, blocks(max(shape) // 2 + 1, _BLOCK_ROWS))
    return t_map, n_map


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
