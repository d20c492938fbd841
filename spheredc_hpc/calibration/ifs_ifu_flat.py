"""Transmission of the lenslets, from a lamp with a smooth spectrum."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from spheredc_hpc.calibration.io import (
    CalibrationInputs,
    CalibrationResult,
    left_out_flags,
    rejected,
)
from spheredc_hpc.calibration.lenslet_frames import lamp_image, prism_of_job, unscattered
from spheredc_hpc.calibration.lenslet_solution import SpectralSolution
from spheredc_hpc.config import Section
from spheredc_hpc.instrument.lenslets import (
    Dispersion,
    Placement,
    channel_wavelengths_um,
    lit_lenslets,
)
from spheredc_hpc.kernels.extraction import TraceExtractor
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.registry import calibration

MARGIN_PX = 2.0


class LensletFlatSettings(Section):
    """Transmission of the lenslets."""

    edge_channels: int = Field(3, ge=0, le=15, description="Channels left out at both ends.")
    lowest: float = Field(0.5, gt=0, lt=1, description="Transmission below which one is lost.")
    highest: float = Field(1.5, gt=1, description="Transmission above which one is not believed.")


@calibration("ifs_ifu_flat", settings=LensletFlatSettings)
def ifs_ifu_flat(
    job: CalibrationJob, inputs: CalibrationInputs, settings: LensletFlatSettings
) -> CalibrationResult:
    """Extract the lamp in every lenslet and compare with the median lenslet.

    Spectra are located by the wavelength calibration, else by the positions of the spectra.

    Returns
    -------
    CalibrationResult
        ``LAMP``, the mean image; ``LENSLETS``, rows i and j of the lenslets; ``THROUGHPUT``, their
        transmission and its error, 1 in the median, NaN where lost; ``SPECTRUM``, the median
        spectrum of the lamp per channel, mean 1.

    Raises
    ------
    DataError
        If the setup names no prism, or a frame has another shape than the detector.
    """
    prism, constants = prism_of_job(job), inputs.constants
    lamp = lamp_image(job, inputs)
    if lamp is None:
        return rejected(f"no usable plane among {len(job.frames)} lenslet flats")
    lamp = unscattered(lamp, constants)
    flags = list(left_out_flags(lamp.left_out))
    located = inputs.upstream.get("wave") or inputs.upstream.get("specpos")
    if located:
        solution = SpectralSolution.read(prism, located)
    else:
        solution = SpectralSolution.placed(prism, Placement())
        flags.append(("SPECPOS_MISSING", "spectra of the lenslet flat from the table alone"))
    lenslets = lit_lenslets(Dispersion.of(prism, constants), constants, MARGIN_PX)
    channels = channel_wavelengths_um(prism, constants)
    extractor = TraceExtractor(
        solution.traces(lenslets, constants),
        channels,
        float(channels[1] - channels[0]),
        lamp.image.shape,
    )
    spectra, variance = extractor.extract(lamp.image, lamp.variance, lamp.good)
    inner = slice(settings.edge_channels, len(channels) - settings.edge_channels)
    mean_spectrum = np.nanmedian(spectra, axis=1)
    if not np.nanmedian(mean_spectrum) > 0:
        return rejected(f"the lamp gives no light: {np.nanmedian(mean_spectrum):.1f} adu a channel")
    relative = spectra[inner] / mean_spectrum[inner, np.newaxis]
    weight = mean_spectrum[inner, np.newaxis] ** 2 / variance[inner]
    known = np.isfinite(relative) & (weight > 0)
    total = np.sum(np.where(known, weight, 0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        throughput = np.sum(np.where(known, weight * relative, 0), axis=0) / total
        error = 1 / np.sqrt(total)
    middle = np.nanmedian(throughput)
    throughput, error = throughput / middle, error / middle
    lost = ~np.isfinite(throughput)
    lost |= (throughput < settings.lowest) | (throughput > settings.highest)
    throughput[lost] = np.nan
    return CalibrationResult(
        images={
            "LAMP": lamp.image,
            "LENSLETS": np.stack([lenslets.i, lenslets.j]).astype(np.int32),
            "THROUGHPUT": np.stack([throughput, error]).astype(np.float32),
            "SPECTRUM": (mean_spectrum / np.nanmean(mean_spectrum))[np.newaxis].astype(np.float32),
        },
        facts={"NPLANES": lamp.planes, "NLENSLET": len(lenslets)},
        quality={
            "prism": prism,
            "lenslets": len(lenslets),
            "lost": int(lost.sum()),
            "rms": float(np.nanstd(throughput)),
            "error": float(np.nanmedian(error)),
            "light_adu": float(np.nanmedian(mean_spectrum)),
            "planes": lamp.planes,
            "left_out": lamp.left_out,
        },
        flags=tuple(flags),
    )
