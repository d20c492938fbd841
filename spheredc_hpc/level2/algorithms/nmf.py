"""Non-negative matrix factorisation: frames as positive mixtures of positive modes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.nmf import subtract_nonnegative
from spheredc_hpc.level2.regions import ZoneSettings
from spheredc_hpc.registry import algorithm

Array = Any


class NmfSettings(Section):
    """Non-negative matrix factorisation."""

    zones: ZoneSettings = Field(ZoneSettings(), description="How the field is cut.")
    n_modes: int = Field(10, ge=1, description="Non-negative modes.")
    max_iterations: int = Field(
        200, ge=1, le=100_000, description="Passes over the frames at most."
    )
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Relative change of the modes in a pass that ends the fit."
    )
    negative: Literal["shift", "clip"] = Field(
        "shift",
        description="Negative pixels: the smallest value is taken off all pixels, or they count "
        "as zero in the fit.",
    )


@algorithm("nmf", settings=NmfSettings)
def nmf(frames: Array, references: Array | None, settings: NmfSettings) -> Array:
    """Subtract the non-negative mixture of non-negative modes that is nearest to each frame.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames that define the modes; the frames themselves if None.
    settings : NmfSettings
        Number of modes and end of the fit.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`

    Notes
    -----
    Ren et al. (2018), ApJ 852, 104.
    """
    return subtract_nonnegative(
        frames,
        references,
        settings.n_modes,
        max_iterations=settings.max_iterations,
        tolerance=settings.tolerance,
        negative=settings.negative,
    )
