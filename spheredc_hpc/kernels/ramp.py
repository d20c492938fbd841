"""Straight lines through exposures of rising level, pixel by pixel, weighted by their noise."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.kernels.smooth import block_medians, smooth_part

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

BLOCK_ROWS = 32
BLOCK_PX = 64
SLANT_BLOCK_PX = 16
# An offset this many errors away from those around is believed against them.
OWN_OFFSET_SIGMA = 5.0
# The offsets around are never taken to be known better than this share of the variance of one.
LEAST_SHARE = 0.01


class RampNoise(NamedTuple):
    """What the noise of an exposure is made of.

    Attributes
    ----------
    gain_e_per_adu : float
        Conversion [e-/adu].
    read_noise_e : float
        Of one plane [e-].
    highest_adu : float
        Level above which a value is left out of its pixel.
    """

    gain_e_per_adu: float
    read_noise_e: float
    highest_adu: float = np.inf


class Ramp(NamedTuple):
    """Result of `fit_ramp`, each of shape (ny, nx), float32.

    Attributes
    ----------
    slope : array
        Counts per unit of the common level; NaN where fewer than two levels count.
    error : array
        Standard error of `slope` from photon and read noise.
    intercept : array
        Counts at level zero [adu].
    nonlinearity : array
        Largest departure from the line over the span of the line; NaN where the slope is not
        positive.
    misfit : array
        How unlikely the departures from the line are as noise, in standard deviations of a
        normal distribution: that of all of them or that of their curvature, whichever is more;
        NaN with fewer than three levels.
    """

    slope: Image
    error: Image
    intercept: Image
    nonlinearity: Image
    misfit: Image


def fit_ramp(levels: Image, common_adu: Floats, planes: Floats, noise: RampNoise) -> Ramp:
    """Fit ``counts = intercept + slope * common level`` to every pixel.

    Parameters
    ----------
    levels : array of float32, shape (n, ny, nx)
        Mean exposures [adu], finite; NaN spreads to the results of its pixel.
    common_adu : array, shape (n,)
        Level of each exposure that all pixels share, their median for one [adu]; at least
        two differ.
    planes : array, shape (n,)
        Planes behind each exposure.
    noise : RampNoise

    Returns
    -------
    Ramp

    Raises
    ------
    KernelInputError
        If the numbers do not fit together or all common levels are equal.

    Notes
    -----
    A lamp is not steady to better than its photon noise, so counts are compared with the level
    that all pixels had and not with the integration time; what all pixels lose at high level
    drops out with it. Weights are the inverse variance of the counts expected of the pixel.

    A line with a free intercept knows its slope about twice worse than the photons of the ramp
    allow. The intercepts of a detector are alike along rows and columns, so the fit is
    repeated with what those around say of it as one more measurement; its scatter is that of
    the intercepts in excess of their errors. A pixel whose own intercept differs by five
    errors keeps it. The misfit is that of the free line, of all departures as a cube root
    (Wilson & Hilferty 1931, PNAS 17, 684). Sums are taken in float64. Cost: O(n * ny * nx).
    """
    common = np.asarray(common_adu, dtype=np.float64)
    counts = np.asarray(planes, dtype=np.float64)
    if levels.ndim != 3 or not common.shape == counts.shape == levels.shape[:1]:
        raise KernelInputError(
            f"levels {levels.shape}, common levels {common.shape} and planes {counts.shape} "
            "do not fit"
        )
    if not np.ptp(common) > 0:
        raise KernelInputError(f"a line needs two levels, got {common.tolist()}")
    shape = levels.shape[1:]
    free = np.empty((6, *shape), dtype=np.float32)
    nowhere = np.zeros((1, 1), dtype=np.float32)
    arguments = (levels, common, counts, *noise)

    def own(rows: slice) -> None:
        _fit_rows(*arguments, nowhere, -1.0, rows.start, rows.stop, free)

    parts = blocks(shape[0], BLOCK_ROWS)
    map_ordered(own, parts)
    expected, scatter2 = _offsets_around(free[2], free[0], free[5])
    joint = np.empty_like(free)

    def with_others(rows: slice) -> None:
        _fit_rows(*arguments, expected, scatter2, rows.start, rows.stop, joint)

    map_ordered(with_others, parts)
    return Ramp(joint[0], joint[1], joint[2], free[3], free[4])


def _offsets_around(intercept: Image, slope: Image, variance: Image) -> tuple[Image, float]:
    """Intercept that rows, columns and the surroundings suggest, and the variance about it.

    An offset of the common level shows as intercepts in proportion to the slopes.
    """
    if not np.isfinite(intercept).any():
        return np.zeros(intercept.shape, dtype=np.float32), 0.0
    if min(intercept.shape) < 2 * BLOCK_PX:
        expected = np.full(intercept.shape, np.nanmedian(intercept))
    else:
        slanted = _slant(intercept, slope) * slope
        rest = intercept - slanted
        rest = np.where(np.isfinite(rest), rest, np.nanmedian(rest))
        columns = np.median(rest, axis=0)
        rest = rest - columns
        rows = np.median(rest, axis=1)[:, np.newaxis]
        expected = slanted + columns + rows + smooth_part(rest - rows, BLOCK_PX)
    typical = float(np.nanmedian(variance))
    excess = robust_sigma(intercept - expected) ** 2 - typical
    return expected.astype(np.float32), max(excess, LEAST_SHARE * typical)


def _slant(intercept: Image, slope: Image) -> float:
    """Change of the intercepts with the slopes [adu], from medians of blocks."""
    offsets = block_medians(intercept, SLANT_BLOCK_PX)[2].ravel()
    steepness = block_medians(slope, SLANT_BLOCK_PX)[2].ravel()
    for _ in range(2):
        if not np.ptp(steepness) > 0:
            return 0.0
        line = np.polyfit(steepness, offsets, 1)
        departure = offsets - np.polyval(line, steepness)
        kept = np.abs(departure) <= OWN_OFFSET_SIGMA * max(robust_sigma(departure), 1e-6)
        offsets, steepness = offsets[kept], steepness[kept]
    return float(line[0])


@numba.njit(cache=True, nogil=True)
def _bend(values, common, weights, line):  # type: ignore[no-untyped-def]
    """Curvature of what departs from a line, over its error; no sign."""
    top = common.max()
    s, sx, sxx, sq, sxq = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(values.size):
        x = common[k] / top
        s += weights[k]
        sx += weights[k] * x
        sxx += weights[k] * x * x
        sq += weights[k] * x * x
        sxq += weights[k] * x * x * x
    det = s * sxx - sx * sx
    slope, intercept = (s * sxq - sx * sq) / det, (sxx * sq - sx * sxq) / det
    product, norm = 0.0, 0.0
    for k in range(values.size):
        if weights[k] > 0:
            x = common[k] / top
            shape = x * x - intercept - slope * x
            product += weights[k] * shape * (values[k] - line[0] - line[1] * common[k])
            norm += weights[k] * shape * shape
    return abs(product) / np.sqrt(norm) if norm > 0 else 0.0


@numba.njit(cache=True, nogil=True)
def _fit_rows(  # type: ignore[no-untyped-def]
    levels, common, planes, gain, read_noise, highest, expected, scatter2, start, stop, out
):
    n = levels.shape[0]
    weights = np.empty(n)
    for y in range(start, stop):
        for x in range(levels.shape[2]):
            used, total, reach = 0, 0.0, 0.0
            broken = False
            for k in range(n):
                value = levels[k, y, x]
                if np.isnan(value):
                    broken = True
                if value <= highest:
                    total += value
                    reach += common[k]
                    used += 1
            rate = max(total / reach, 0.0) if reach > 0 else 0.0
            s, sx, sxx, sc, sxc = 0.0, 0.0, 0.0, 0.0, 0.0
            low, high = np.inf, -np.inf
            for k in range(n):
                value = levels[k, y, x]
                weights[k] = 0.0
                if value <= highest:
                    photons = max(rate * common[k], 0.0) * gain
                    weights[k] = planes[k] * gain * gain / (photons + read_noise * read_noise)
                    s += weights[k]
                    sx += weights[k] * common[k]
                    sxx += weights[k] * common[k] * common[k]
                    sc += weights[k] * value
                    sxc += weights[k] * common[k] * value
                    low, high = min(low, common[k]), max(high, common[k])
            det = s * sxx - sx * sx
            if broken or used < 2 or not high > low or not det > 0:
                out[:, y, x] = np.nan
                continue
            slope = (s * sxc - sx * sc) / det
            intercept = (sxx * sc - sx * sxc) / det
            own_variance = sxx / det
            worst, chi2 = 0.0, 0.0
            for k in range(n):
                if weights[k] > 0:
                    departure = levels[k, y, x] - intercept - slope * common[k]
                    worst = max(worst, abs(departure))
                    chi2 += weights[k] * departure * departure
            out[3, y, x] = worst / (slope * (high - low)) if slope > 0 else np.nan
            out[4, y, x] = np.nan
            if used > 2:
                narrow = 2.0 / (9.0 * (used - 2))
                chance = ((chi2 / (used - 2)) ** (1 / 3) - (1 - narrow)) / np.sqrt(narrow)
                bend = _bend(levels[:, y, x], common, weights, (intercept, slope))
                out[4, y, x] = max(chance, bend)
            if scatter2 > 0:
                apart = intercept - expected[y, x]
                if apart * apart <= OWN_OFFSET_SIGMA**2 * (own_variance + scatter2):
                    s += 1 / scatter2
                    sc += expected[y, x] / scatter2
                    det = s * sxx - sx * sx
                    slope = (s * sxc - sx * sc) / det
                    intercept = (sxx * sc - sx * sxc) / det
            out[0, y, x] = slope
            out[1, y, x] = np.sqrt(s / det)
            out[2, y, x] = intercept
            out[5, y, x] = own_variance
