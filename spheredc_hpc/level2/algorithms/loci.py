"""Locally optimised combination of images (LOCI)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.kernels.coefficients import (
    positive_coefficients,
    ridge_coefficients,
    thresholded_coefficients,
)
from spheredc_hpc.level2.eligibility import ReferenceSettings
from spheredc_hpc.level2.linear import subtract_linear
from spheredc_hpc.level2.regions import ZoneSettings
from spheredc_hpc.level2.traits import LinearSettings, Problem, acts
from spheredc_hpc.registry import algorithm

Array = Any


class LociZones(ZoneSettings):
    """Zones of LOCI: small where it subtracts, large where it fits."""

    annulus_fwhm: float | None = Field(
        1.5, gt=0, description="Width of the subtraction annuli [FWHM]."
    )
    optimisation_area: float | None = Field(
        300.0, gt=0, description="Area of the optimisation zones [PSF cores]; null: as subtracted."
    )


class LociReferences(ReferenceSettings):
    """References of LOCI: those in which a companion has moved."""

    exclusion_fwhm: float | None = Field(
        0.5,
        ge=0,
        description="Motion of a companion between target and reference, at least [FWHM].",
    )
    max_references: int | None = Field(
        150, ge=1, description="The most correlated references only; null: all."
    )


class LeastSquaresSettings(LinearSettings):
    """How a combination of references is fitted."""

    centre: Literal["temporal", "spatial", "none"] = Field(
        "none", description="What is taken off before: nothing, as the method was published."
    )
    solution: Literal["truncated", "ridge", "positive"] = Field(
        "truncated",
        description="Least squares without ill-determined directions, damped, or without "
        "negative coefficients.",
    )
    tolerance: float = Field(
        1e-3,
        ge=0,
        lt=1,
        description="truncated: singular values of the references below this share of the "
        "largest are left out.",
    )
    strength: float = Field(
        1e-6,
        ge=0,
        description="ridge: damping, in units of the mean square of the references.",
    )

    def unfit_for_own_frames(self) -> str:
        """Say why the rules do not serve where the frames of a sequence fit each other."""
        if self.references.by_motion:
            return ""
        return (
            "references: exclusion_fwhm and self_subtraction are both null, so that a frame "
            "would be fitted by itself; exclusion_fwhm: 0 is all frames but itself"
        )


class LociSettings(LeastSquaresSettings):
    """Locally optimised combination of images."""

    zones: LociZones = Field(LociZones(), description="How the field is cut.")
    references: LociReferences = Field(
        LociReferences(), description="Which frames may serve a frame."
    )


def least_squares(problem: Problem, settings: LeastSquaresSettings) -> Array:
    """Coefficients of the references of each target, shape (1, n_target, n)."""
    given = problem.gram, problem.targets, problem.allowed
    if settings.solution == "truncated":
        return thresholded_coefficients(*given, settings.tolerance**2)[None, ...]
    if settings.solution == "ridge":
        return ridge_coefficients(*given, settings.strength)[None, ...]
    return positive_coefficients(*given)[None, ...]


@algorithm("loci", settings=LociSettings)
@acts(coefficients=least_squares)
def loci(frames: Array, references: Array | None, settings: LociSettings) -> Array:
    """Subtract from every frame the combination of references that fits it best.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames that are combined; all frames but the one fitted if None.
    settings : LociSettings
        Solution of the least squares; zones and the motion of companions need geometry and are
        applied by the engine.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`

    Notes
    -----
    Lafreniere et al. (2007), ApJ 660, 770, whose choices the defaults are. Coefficients forced to
    be positive: Pueyo et al. (2012), ApJS 199, 6. Cost per zone: O(n**2 n_pix) for the Gram
    matrix and O(m**3) for each frame with m references; the ridge costs a tenth of the
    truncation, the positive solution several times as much.
    """
    return subtract_linear(frames, references, settings, least_squares)
