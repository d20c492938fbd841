"""The list of sources in sky coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.kernels.polar import sky_from_offset
from spheredc_hpc.level2.contrast import MIN_TRANSMISSION
from spheredc_hpc.level2.scene import Scene
from spheredc_hpc.level2.sources import Source
from spheredc_hpc.level2.transmission import Transmission
from spheredc_hpc.store.images import SOURCE_COLUMNS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SourceRows:
    """Sources as they are stored.

    Attributes
    ----------
    table : array, shape (n_source, len(SOURCE_COLUMNS))
        Positions, their errors and S/N.
    contrast, contrast_err : array, shape (n_source, n_channel)
        Companion to star flux ratio, coronagraph taken into account; NaN where the star was
        not measured, the image holds nothing, or less than `MIN_TRANSMISSION` passes the
        coronagraph.
    """

    table: Floats
    contrast: Floats
    contrast_err: Floats


def source_rows(coronagraph: Transmission, scene: Scene, sources: Sequence[Source]) -> SourceRows:
    """Convert fits to separations, position angles and contrasts.

    Parameters
    ----------
    coronagraph : Transmission
        By which fluxes are divided.
    scene : Scene
        Pixel scale of the images and the stars of the channels.
    sources : sequence of Source
        Fits and covariances.

    Returns
    -------
    SourceRows
        Position errors are along axes, separation and position angle; those of the plate
        scale, of true north and of the coronagraph's transmission are not included.
    """
    scale, side, channels = scene.pixel_scale_mas, scene.side, scene.channels
    known = scene.alive & np.array([channel.star.calibrated for channel in channels])
    table = np.zeros((len(sources), len(SOURCE_COLUMNS)))
    contrast = np.full((len(sources), len(channels)), np.nan)
    error = np.full((len(sources), len(channels)), np.nan)
    for i, source in enumerate(sources):
        fit, covariance = source.fit, source.covariance
        separation, angle = sky_from_offset(fit.dx_px, fit.dy_px)
        unit = np.array([fit.dx_px, fit.dy_px]) / separation
        along = np.sqrt(unit @ covariance[:2, :2] @ unit)
        across_unit = np.array([-unit[1], unit[0]])
        across = np.sqrt(across_unit @ covariance[:2, :2] @ across_unit)
        row = {
            "x_px": side // 2 + fit.dx_px,
            "y_px": side // 2 + fit.dy_px,
            "x_err_px": np.sqrt(covariance[0, 0]),
            "y_err_px": np.sqrt(covariance[1, 1]),
            "separation_mas": separation * scale,
            "separation_err_mas": along * scale,
            "position_angle_deg": angle,
            "position_angle_err_deg": np.rad2deg(across / separation),
            "snr": source.snr,
        }
        table[i] = [row[name] for name in SOURCE_COLUMNS]
        passed = float(coronagraph.at([float(separation) * scale])[0])
        passed = passed if passed >= MIN_TRANSMISSION else np.nan
        contrast[i] = np.where(known, fit.contrast / passed, np.nan)
        error[i] = np.where(known, np.sqrt(np.diag(covariance)[2:]) / passed, np.nan)
    return SourceRows(table, contrast, error)
