"""Karhunen-Loeve image projection (KLIP) in annuli and sectors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.level2.algorithms.pca import PcaSettings, truncated
from spheredc_hpc.level2.eligibility import ReferenceSettings
from spheredc_hpc.level2.linear import subtract_linear
from spheredc_hpc.level2.regions import ZoneSettings
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class KlipZones(ZoneSettings):
    """Zones of KLIP: annuli."""

    annulus_fwhm: float | None = Field(2.0, gt=0, description="Width of the annuli [FWHM].")


class KlipReferences(ReferenceSettings):
    """References of KLIP: those in which a companion has moved."""

    exclusion_fwhm: float | None = Field(
        0.5,
        ge=0,
        description="Motion of a companion between target and reference, at least [FWHM]; "
        "0: all but the target itself; null: all, the target too.",
    )
    min_references: int = Field(
        5, ge=0, description="A frame with fewer gets the least harmful others, up to this many."
    )


class KlipSettings(PcaSettings):
    """KLIP in annuli and sectors, with frames left out in which a companion has not moved."""

    n_modes: int = Field(
        10, ge=0, description="Karhunen-Loeve modes removed; 0 removes the mean only."
    )
    zones: KlipZones = Field(KlipZones(), description="How the field is cut.")
    references: KlipReferences = Field(
        KlipReferences(), description="Which frames may serve a frame."
    )
    centre: Literal["temporal", "spatial", "none"] = Field(
        "spatial",
        description="What is taken off before: the mean of the frames, the mean of each frame "
        "over its zone, or nothing.",
    )


@algorithm("klip", settings=KlipSettings)
@acts(coefficients=truncated)
def klip(frames: Array, references: Array | None, settings: KlipSettings) -> Array:
    """Subtract the projection of every frame on the leading modes of its own references.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames that define the modes; the other frames if None.
    settings : KlipSettings
        Number of modes and centring.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`

    Notes
    -----
    Soummer, Pueyo & Larkin (2012), ApJ 755, L28: the mean of each frame over its zone is taken
    off first.
    """
    return subtract_linear(frames, references, settings, truncated)
