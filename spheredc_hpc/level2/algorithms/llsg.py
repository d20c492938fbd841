"""LLSG: low-rank plus sparse plus Gaussian-noise decomposition of every zone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.lowrank import sparse_part
from spheredc_hpc.level2.regions import ZoneSettings
from spheredc_hpc.registry import algorithm

Array = Any


class LlsgSettings(Section):
    """Low-rank plus sparse plus Gaussian-noise decomposition."""

    zones: ZoneSettings = Field(
        ZoneSettings(annulus_fwhm=2.0, sectors=4), description="How the field is cut."
    )
    n_modes: int = Field(5, ge=0, description="Rank of the common part of the frames.")
    threshold: float = Field(
        0.5, ge=0, le=20, description="Soft threshold of the sparse part [`unit`]."
    )
    iterations: int = Field(
        10, ge=1, le=1000, description="Times that common and sparse part are found anew."
    )
    centre: Literal["temporal", "none"] = Field(
        "none", description="Temporal mean beside the modes of the common part, or no mean."
    )
    unit: Literal["sigma", "root"] = Field(
        "sigma",
        description="Unit of the threshold: the noise of the zone, or the square root of its "
        "median absolute deviation as published, which depends on the unit of the frames.",
    )


@algorithm("llsg", settings=LlsgSettings)
def llsg(frames: Array, references: Array | None, settings: LlsgSettings) -> Array:
    """Keep the sparse part of the frames: what neither their modes nor noise explain.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite; the method is meant for small ones.
    references : array, shape (n_ref, n_pix), or None
        Further frames that take part in the decomposition.
    settings : LlsgSettings
        Rank, threshold and iterations.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`
        Zero where nothing stands out, so statistics of the noise do not hold on the result.

    Notes
    -----
    Gomez Gonzalez et al. (2016), A&A 589, A54.
    """
    return sparse_part(
        frames,
        references,
        settings.n_modes,
        threshold=settings.threshold,
        iterations=settings.iterations,
        centre=settings.centre == "temporal",
        root=settings.unit == "root",
    )
