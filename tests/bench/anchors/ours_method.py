"""What all our cases start from: channels made of arrays, methods made of names."""

from __future__ import annotations

from typing import Any

import numpy as np

from anchors.inputs import Input
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.combine import Combination
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.kernels.psf import centred_psf, fit_psf
from spheredc_hpc.level2.engine import Method
from spheredc_hpc.level2.sequence import Channel, Star
from spheredc_hpc.registry import ALGORITHMS

# Radius from which on the others cut the field into annuli [px].
INNER_PX = 4.0


def channels(
    data: Input, inner_px: float = 0.0, outer_px: float | None = None
) -> tuple[Channel, ...]:
    """Frames of each wavelength with every pixel in the zone, as the other packages take them."""
    side = data.frames.shape[-1]
    core = centred_psf(data.psf, fit_psf(data.psf, data.fwhm_px), min(15, data.psf.shape[0]))
    middle = core.shape[0] // 2
    core *= data.star_flux / aperture_sum(core, middle, middle, data.fwhm_px / 2)
    star = Star(Stamp.of(core), data.fwhm_px, data.star_flux, 0.0)
    angles = data.angles_deg
    everywhere = np.ones((side, side), bool)
    cube = data.frames.reshape(-1, angles.size, side, side)
    colours = data.wavelengths_um if data.wavelengths_um.size else [float("nan")]
    return tuple(
        Channel(
            frames,
            everywhere,
            everywhere,
            Rotation(angles, angles, angles),
            star,
            data.scale_mas,
            inner_px,
            float(side) if outer_px is None else outer_px,
            np.ones(angles.size),
            0.0,
            float(colour),
        )
        for frames, colour in zip(cube, colours, strict=True)
    )


def method_of(
    algorithm: str, combination: Combination, rotation: str, settings: dict[str, Any]
) -> Method:
    """Look an algorithm up and check its settings."""
    entry = ALGORITHMS[algorithm]
    return Method(entry, entry.settings(**settings), combination, rotation)


def ring_settings(data: Input, width_px: float) -> tuple[dict[str, Any], float]:
    """Annuli as VIP cuts them, so many of one width as fit, and the radius at which they end.

    References are those in which a companion is half a FWHM away, measured on the tangent.
    """
    number = int((data.frames.shape[-1] / 2 - INNER_PX) / width_px)
    settings = {
        "zones": {"annulus_fwhm": width_px / data.fwhm_px},
        "references": {"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"},
        "centre": "none",
    }
    return settings, INNER_PX + number * width_px
