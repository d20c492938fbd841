"""Student's t statistic and the Gaussian deviate of the same false-alarm probability."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

# Arrays from this size on are read off a table per degree of freedom.
TABLE_FROM = 2000
# The tables end at t = 4 sqrt(nu), that is 8 for 4 and 40 for 100 degrees of freedom.
_REACH = 4.0
_CELLS = 128
_STEP = _REACH / (1 + _REACH) / _CELLS


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

    Notes
    -----
    Arrays of `TABLE_FROM` and more values with whole degrees of freedom are interpolated between
    exact values and derivatives (quintic, to 1e-9 of the value) up to ``4 sqrt(nu)``.
    """
    t_values, nu = np.broadcast_arrays(
        np.asarray(t, np.float64), np.asarray(degrees_of_freedom, np.float64)
    )
    whole = np.all(nu == np.floor(nu)) and np.all(nu < 10_000)
    if t_values.size < TABLE_FROM or not whole:
        return _exact(t_values, nu)
    result = _from_tables(t_values.ravel(), nu.ravel().astype(np.int64)).reshape(t_values.shape)
    beyond = np.isnan(result) & ~np.isnan(t_values) & (nu >= 1)
    if beyond.any():
        result[beyond] = _exact(t_values[beyond], nu[beyond])
    return result


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


def _exact(t: Floats, degrees_of_freedom: Floats) -> Floats:
    nu = np.where(degrees_of_freedom >= 1, degrees_of_freedom, np.nan)
    size = np.abs(t)
    with np.errstate(all="ignore"):
        tail = special.stdtr(nu, -size)
        result = -special.ndtri(tail)
        far = tail < 1e-250
        if np.any(far):
            result = np.where(far, -special.ndtri_exp(_log_tail(size, nu)), result)
    return np.asarray(np.sign(t) * result)


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


@lru_cache(maxsize=1024)
def _table(nu: int) -> Floats:
    """Deviate, first and second derivative at equal steps of ``s / (1 + s)``, s = t / sqrt(nu).

    Derivatives are per step. With f and g for the densities of Student and Gauss, the deviate z
    has ``dz/dt = f / g`` and ``d2z/dt2 = dz/dt * (z dz/dt - (nu + 1) t / (nu + t**2))``.
    """
    w = np.arange(_CELLS + 1) * _STEP
    t = np.sqrt(nu) * w / (1 - w)
    z = _exact(t, np.full(t.shape, float(nu)))
    log_student = (
        -special.betaln(nu / 2, 0.5) - 0.5 * np.log(nu) - (nu + 1) / 2 * np.log1p(t * t / nu)
    )
    slope = np.exp(log_student + 0.5 * z * z + 0.5 * np.log(2 * np.pi))
    bend = slope * (z * slope - (nu + 1) * t / (nu + t * t))
    t_slope = np.sqrt(nu) / (1 - w) ** 2
    t_bend = 2 * np.sqrt(nu) / (1 - w) ** 3
    first = slope * t_slope * _STEP
    second = (bend * t_slope**2 + slope * t_bend) * _STEP**2
    return np.stack([z, first, second], axis=1)


def _from_tables(t: Floats, nu: NDArray[np.int64]) -> Floats:
    present = np.flatnonzero(np.bincount(np.clip(nu, 0, None)))
    present = present[present >= 1]
    place = np.full(int(nu.max(initial=0)) + 2, -1)
    place[present] = np.arange(present.size)
    tables = np.zeros((present.size, _CELLS + 1, 3))
    for i, number in enumerate(present.tolist()):
        tables[i] = _table(number)
    return np.asarray(_interpolate(t, nu, place, tables))


@numba.njit(cache=True, nogil=True)
def _interpolate(t, nu, place, tables):  # type: ignore[no-untyped-def]
    """Quintic Hermite interpolation; NaN beyond the tables and where nu is below 1."""
    result = np.full(t.size, np.nan)
    for i in range(t.size):
        if nu[i] < 1 or not np.abs(t[i]) < np.inf:
            continue
        s = np.abs(t[i]) / np.sqrt(float(nu[i]))
        u = s / (1 + s) / _STEP
        cell = int(u)
        if cell >= _CELLS:
            continue
        a, b = tables[place[nu[i]], cell], tables[place[nu[i]], cell + 1]
        u -= cell
        # Taylor polynomial at the left, and what three more powers must add at the right.
        value = b[0] - (a[0] + a[1] + 0.5 * a[2])
        slope = b[1] - (a[1] + a[2])
        bend = b[2] - a[2]
        c3 = 10 * value - 4 * slope + 0.5 * bend
        c4 = -15 * value + 7 * slope - bend
        c5 = 6 * value - 3 * slope + 0.5 * bend
        z = a[0] + u * (a[1] + u * (0.5 * a[2] + u * (c3 + u * (c4 + u * c5))))
        result[i] = z if t[i] >= 0 else -z
    return result
