"""Template LOCI: references by the share of a companion that they would subtract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.level2.algorithms.loci import LeastSquaresSettings, least_squares
from spheredc_hpc.level2.eligibility import ReferenceSettings
from spheredc_hpc.level2.linear import subtract_linear
from spheredc_hpc.level2.regions import ZoneSettings
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class TlociZones(ZoneSettings):
    """Zones of TLOCI: annuli, fitted on their neighbours."""

    annulus_fwhm: float | None = Field(
        1.0, gt=0, description="Width of the subtraction annuli [FWHM]."
    )
    optimisation_fwhm: float | None = Field(
        2.0,
        gt=0,
        description="Width of the optimisation annuli on both sides [FWHM]; null: as subtracted.",
    )
    gap_fwhm: float = Field(
        0.5, ge=0, description="Gap between subtraction and optimisation pixels [FWHM]."
    )


class TlociReferences(ReferenceSettings):
    """References of TLOCI: those that subtract little of a companion."""

    self_subtraction: float | None = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of a companion that a single reference may take away, at most.",
    )
    max_references: int | None = Field(
        80, ge=1, description="The most correlated references only; null: all."
    )


class TlociSettings(LeastSquaresSettings):
    """Template LOCI."""

    zones: TlociZones = Field(TlociZones(), description="How the field is cut.")
    references: TlociReferences = Field(
        TlociReferences(), description="Which frames may serve a frame."
    )
    solution: Literal["truncated", "ridge", "positive"] = Field(
        "ridge",
        description="Least squares without ill-determined directions, damped, or without "
        "negative coefficients.",
    )


@algorithm("tloci", settings=TlociSettings)
@acts(coefficients=least_squares)
def tloci(frames: Array, references: Array | None, settings: TlociSettings) -> Array:
    """Subtract a combination of references that is fitted beside the companion.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames that are combined; all frames but the one fitted if None.
    settings : TlociSettings
        Solution of the least squares; zones and self-subtraction need geometry and are applied
        by the engine.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`

    Notes
    -----
    Marois et al. (2010), Proc. SPIE 7736, 77361J; Marois et al. (2014), IAU Symp. 299, 48;
    Galicher et al. (2018), A&A 615, A92. The optimisation pixels lie in annuli on both sides of
    the annulus that is subtracted, a gap away, so a companion in it does not change the
    coefficients: what they do to a companion is exact when they are frozen.
    """
    return subtract_linear(frames, references, settings, least_squares)
