"""Constants behind the astrometry of a cube, with their errors, validity and source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spheredc_hpc.instrument.constants import Constant, Constants
from spheredc_hpc.instrument.filters import Band
from spheredc_hpc.level1.parts.angles import PUPIL


def astrometry(
    bands: Sequence[Band], mjd: Sequence[float], law: str, arm: str, constants: Constants
) -> dict[str, Any]:
    """Say which constants made the scale and the angles of a cube.

    Parameters
    ----------
    bands : sequence of Band
        Of the channels.
    mjd : sequence of float
        Middle of the integrations [d]; constants hold by the date of each.
    law : str
        Of the derotator, ``ELEV`` or ``SKY``.
    arm : str
    constants : Constants

    Returns
    -------
    dict
        ``terms``: every constant that was used, with value, error, unit, validity, source, and
        the number of frames; ``derotation_err_deg``, the root of the summed squares of the
        errors of one frame's angle, the largest of all frames; ``pixel_scale_err_mas`` by
        channel. Errors of constants are common to all frames and stand beside those of the
        centre.
    """
    angles = ["true_north_deg", "instrument_offset_deg"]
    if law == PUPIL:
        angles.append("pupil_offset_deg")
    terms: dict[Constant, int] = {}
    errors = []
    for instant in mjd:
        rows = [constants.get(name, mjd=instant, arm=arm) for name in angles]
        for row in rows:
            terms[row] = terms.get(row, 0) + 1
        errors.append(float(np.sqrt(sum(row.error**2 for row in rows))))
    middle = float(np.mean(mjd))
    scales = [
        constants.get("pixel_scale_mas", mjd=middle, arm=arm, band=band.name) for band in bands
    ]
    stretches = [constants.get(f"anamorphism_{axis}", mjd=middle, arm=arm) for axis in "xy"]
    for row in dict.fromkeys((*scales, *stretches)):
        terms[row] = len(mjd)
    return {
        "terms": [_plain(row, count) for row, count in terms.items()],
        "derotation_err_deg": max(errors),
        "pixel_scale_err_mas": [row.error for row in scales],
    }


def _plain(row: Constant, frames: int) -> dict[str, Any]:
    return {
        "constant": row.label,
        "value": row.value,
        "error": row.error,
        "unit": row.unit,
        "valid_from_mjd": row.valid_from_mjd,
        "valid_to_mjd": row.valid_to_mjd,
        "source": row.source,
        "status": row.status,
        "frames": frames,
    }
