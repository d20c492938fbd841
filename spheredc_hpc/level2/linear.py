"""From the sums of a zone to the matrix of its residuals.

The base of a reduction holds every row less the mean over all rows, then that mean. A zone is
summed up by the Gram matrix of the base and a row of ones over its optimisation pixels. All
that a linear method needs follows from it: whatever is taken off the rows first (their mean,
the mean of each over the zone, nothing) is a linear map of base and ones.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from array_api_compat import array_namespace

from spheredc_hpc.kernels.modes import zone_gram
from spheredc_hpc.level2.traits import Coefficients, LinearSettings, Problem

Array = Any
Centre = Literal["temporal", "spatial", "none"]


class Lift(NamedTuple):
    """Linear map from base and ones to the centred rows.

    The centred row `i` is ``base_i - share @ base + mean * mean_row - level_i * ones``. Kept in
    these parts, products with it cost no more than reading what it is applied to.

    Attributes
    ----------
    share : array of float64, shape (n,), or None
        Weights of the rows in the mean that is taken off; None: no mean is.
    level : array of float64, shape (..., n), or None
        Mean of each row over the zone that is taken off, the mean row put back first; None: not.
    """

    share: Array | None
    level: Array | None


def centring(sums: Array, centre: Centre, serving: Array | None = None) -> Lift:
    """Find the map from base and ones to the centred rows.

    Parameters
    ----------
    sums : array of float64, shape (..., n + 2, n + 2)
        Gram matrix of n rows of the base, their common mean and ones; or several.
    centre : {"temporal", "spatial", "none"}
        What is taken off: the mean of these rows, the mean of each over the zone, or nothing.
    serving : array of bool, shape (n,), optional
        Rows that the temporal mean is taken over; all if absent.

    Returns
    -------
    Lift
    """
    xp = array_namespace(sums)
    n = sums.shape[-1] - 2
    if centre == "temporal":
        weight = xp.ones((n,), dtype=sums.dtype)
        if serving is not None:
            weight = xp.astype(serving, sums.dtype)
        return Lift(weight / xp.sum(weight), None)
    if centre == "none":
        return Lift(None, None)
    total = sums[..., :n, n + 1] + sums[..., n, n + 1][..., None]
    return Lift(None, total / sums[..., n + 1, n + 1][..., None])


def centred_gram(sums: Array, lift: Lift) -> Array:
    """Gram matrix of the centred rows, exactly symmetric.

    Parameters
    ----------
    sums : array of float64, shape (..., n + 2, n + 2)
        Gram matrix of n rows of the base, their common mean and ones; or several.
    lift : Lift
        From `centring`.

    Returns
    -------
    array of float64, shape (..., n, n)
    """
    xp = array_namespace(sums)
    n = sums.shape[-1] - 2
    rows = sums[..., :n, :n]
    if lift.share is not None:
        towards = rows @ lift.share
        middle = xp.sum(towards * lift.share, axis=-1)
        gram = rows - towards[..., None, :] - towards[..., :, None] + middle[..., None, None]
    else:
        towards, middle = sums[..., :n, n], sums[..., n, n]
        gram = rows + towards[..., None, :] + towards[..., :, None] + middle[..., None, None]
        if lift.level is not None:
            number = sums[..., n + 1, n + 1][..., None, None]
            gram = gram - number * lift.level[..., :, None] * lift.level[..., None, :]
    return 0.5 * (gram + xp.matrix_transpose(gram))


def residual_matrices(coefficients: Array, targets: Array, lift: Lift) -> Array:
    """Matrices from base and ones to the residuals of the targets.

    Parameters
    ----------
    coefficients : array of float64, shape (n_count, ..., n_target, n)
        Of the centred rows.
    targets : array of int, shape (n_target,)
        Which rows are targets.
    lift : Lift
        From `centring`.

    Returns
    -------
    array of float64, shape (n_count, ..., n_target, n + 2)
    """
    xp = array_namespace(coefficients)
    n = coefficients.shape[-1]
    # Filled in place: for several mode counts these are the largest arrays of a zone.
    found = xp.zeros((*coefficients.shape[:-1], n + 2), dtype=coefficients.dtype)
    left = found[..., :n]
    left -= coefficients
    left += xp.astype(targets[:, None] == xp.arange(n)[None, :], coefficients.dtype)
    total = xp.sum(left, axis=-1)
    if lift.share is not None:
        left -= total[..., None] * lift.share
        return found
    found[..., n] = total
    if lift.level is not None:
        found[..., n + 1] = -(left @ lift.level[..., None])[..., 0]
    return found


def subtract_linear(
    frames: Array,
    references: Array | None,
    settings: LinearSettings,
    coefficients: Coefficients,
) -> Array:
    """Run a linear method on the rows of one zone, all at once.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Rows of the zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Rows that may serve; the frames themselves if None.
    settings : LinearSettings
        Zones and rules of eligibility that need geometry do not apply; without an exclusion a
        frame serves itself too, with one it does not.
    coefficients : callable
        Of the method.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`
        Residuals for the first mode count.
    """
    xp = array_namespace(frames)
    n = frames.shape[0]
    rows = frames if references is None else xp.concat([frames, references])
    wide = xp.astype(rows, xp.float64)
    served = wide if references is None else wide[n:, :]
    mean = xp.mean(served, axis=0, keepdims=True)
    base = xp.concat([wide - mean, mean])
    sums = zone_gram(base)
    serving = None if references is None else xp.arange(rows.shape[0]) >= n
    lift = centring(sums, settings.centre, serving)
    targets = xp.arange(n)
    if references is None:
        others = settings.references.by_motion
        allowed = ~xp.eye(n, dtype=xp.bool) if others else xp.ones((n, n), dtype=xp.bool)
    else:
        allowed = xp.concat(
            [
                xp.zeros((n, n), dtype=xp.bool),
                xp.ones((n, references.shape[0]), dtype=xp.bool),
            ],
            axis=1,
        )
    found = coefficients(Problem(centred_gram(sums, lift), targets, allowed), settings)
    matrix = residual_matrices(found[:1, ...], targets, lift)[0, ...]
    residuals = matrix[:, :-1] @ base + matrix[:, -1:]
    return xp.astype(residuals, frames.dtype)
