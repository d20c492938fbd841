"""Principal-component subtraction over one zone (full-frame PCA, KLIP)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.modes import pca_operator, subtract_modes
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class PcaSettings(Section):
    """Principal-component subtraction."""

    n_modes: int = Field(
        5, ge=0, description="Karhunen-Loeve modes removed; 0 removes the mean only."
    )
    centre: Literal["temporal", "none"] = Field(
        "temporal", description="What is taken off before the modes: the temporal mean or nothing."
    )


def _operator(gram: Array, settings: PcaSettings) -> Array:
    return pca_operator(gram, settings.n_modes, centre=settings.centre == "temporal")


@algorithm("pca", settings=PcaSettings)
@acts(operator=_operator)
def pca(frames: Array, references: Array | None, settings: PcaSettings) -> Array:
    """Subtract the mean and the leading modes of the references from every frame.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames that define mean and modes; the frames themselves if None.
    settings : PcaSettings
        Number of modes and centring.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`
    """
    centre = settings.centre == "temporal"
    return subtract_modes(frames, references, settings.n_modes, centre=centre)
