"""Magnitude of the star of the FLUX exposures, by the photometric zero point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spheredc_hpc.instrument.constants import Constant, Constants
from spheredc_hpc.instrument.filters import Band

MAGNITUDE = 2.5 / np.log(10.0)


def zero_point(band: Band, filter_name: str, arm: str, constants: Constants) -> tuple[float, float]:
    """Magnitude of a star that gives 1 adu/s above the atmosphere, and its error [mag].

    It follows from the photon rate of magnitude zero, the telescope's area, the width of the band,
    the throughput and the gain; ``filter_density`` where the filter holds a neutral density.
    """
    terms: list[tuple[Constant, int]] = [
        (constants.get("photon_rate_zero_mag", band=band.name), 1),
        (constants.get("telescope_area_m2"), 1),
        (constants.get("system_throughput", arm=arm), 1),
        (constants.get("detector_gain_e_per_adu", arm=arm), -1),
    ]
    terms += [
        (row, 1) for row in constants.rows("filter_density", filter=filter_name, band=band.name)[:1]
    ]
    rate = band.bandwidth_um * float(np.prod([row.value**power for row, power in terms]))
    error = float(np.sqrt(sum((row.error / row.value) ** 2 for row, _ in terms)))
    return float(2.5 * np.log10(rate)), MAGNITUDE * error


def star_magnitudes(
    flux_adu_s: Sequence[float],
    densities: Sequence[float],
    bands: Sequence[Band],
    setup: tuple[str, str],
    constants: Constants,
) -> dict[str, Any]:
    """Give zero points and the magnitudes of the star that they make.

    Parameters
    ----------
    flux_adu_s : sequence of float
        Flux of the star in each channel, at the neutral density of the science [adu/s].
    densities : sequence of float
        Transmission of that neutral density in each channel.
    bands : sequence of Band
    setup : (str, str)
        Filter combination and arm.
    constants : Constants

    Returns
    -------
    dict
        ``zero_point_mag``, ``zero_point_err_mag`` and ``star_mag`` by channel. The light that the
        aperture misses and stops of the coronagraph are in the error of the throughput.
    """
    points = [zero_point(band, *setup, constants) for band in bands]
    stars = [
        float(point - 2.5 * np.log10(flux / density)) if flux > 0 else None
        for (point, _), flux, density in zip(points, flux_adu_s, densities, strict=True)
    ]
    return {
        "zero_point_mag": [point for point, _ in points],
        "zero_point_err_mag": [error for _, error in points],
        "star_mag": stars,
    }
