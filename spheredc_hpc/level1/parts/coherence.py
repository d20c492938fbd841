"""How the light beside the mask follows the coherence time of the atmosphere."""

from __future__ import annotations

from typing import Any

import numpy as np

from spheredc_hpc.level1.io import Floats

LEAST_FRAMES = 5


def tau0_relation(intensity: Floats, tau0_ms: Floats) -> dict[str, Any]:
    """Fit the logarithm of the intensity at 10 lambda/D against that of 1 / tau0.

    Parameters
    ----------
    intensity : array, shape (n,)
        Mean intensity from 9 to 11 lambda/D of each frame, any unit.
    tau0_ms : array, shape (n,)
        Coherence time [ms]; NaN without telemetry.

    Returns
    -------
    dict
        ``frames`` (number used), ``slope`` and ``slope_err`` of log10(intensity) over
        log10(1 / tau0), ``correlation`` (Pearson), and the points (``log_intensity`` and
        ``log_inverse_tau0``, tau0 in seconds); figures are None for fewer than five frames or
        an even tau0.
    """
    known = (intensity > 0) & (tau0_ms > 0) & np.isfinite(intensity) & np.isfinite(tau0_ms)
    y, x = np.log10(intensity[known]), -np.log10(tau0_ms[known] * 1e-3)
    found: dict[str, Any] = {
        "frames": int(known.sum()),
        "slope": None,
        "slope_err": None,
        "correlation": None,
        "log_intensity": y.tolist(),
        "log_inverse_tau0": x.tolist(),
    }
    if known.sum() < LEAST_FRAMES or np.ptp(x) <= 0 or np.ptp(y) <= 0:
        return found
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    rest = dy - slope * dx
    error = float(np.sqrt(rest @ rest / (x.size - 2) / (dx @ dx)))
    correlation = float(dx @ dy / np.sqrt((dx @ dx) * (dy @ dy)))
    return found | {"slope": slope, "slope_err": error, "correlation": correlation}
