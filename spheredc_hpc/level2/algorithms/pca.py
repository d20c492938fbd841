"""Principal-component subtraction, by default over the whole field."""

from __future__ import annotations

from typing import Any

from pydantic import Field, NonNegativeInt

from spheredc_hpc.kernels.coefficients import truncated_coefficients
from spheredc_hpc.level2.linear import subtract_linear
from spheredc_hpc.level2.traits import LinearSettings, Problem, acts
from spheredc_hpc.registry import algorithm

Array = Any


class PcaSettings(LinearSettings):
    """Principal-component subtraction."""

    n_modes: int = Field(
        5, ge=0, description="Karhunen-Loeve modes removed; 0 removes the mean only."
    )
    also_modes: tuple[NonNegativeInt, ...] = Field(
        (), description="Further mode counts, of which images are kept too."
    )

    @property
    def counts(self) -> tuple[int, ...]:
        """Mode counts of one pass, the main one first."""
        return tuple(dict.fromkeys((self.n_modes, *self.also_modes)))


def truncated(problem: Problem, settings: Any) -> Array:
    """Coefficients for all mode counts of the settings."""
    return truncated_coefficients(problem.gram, problem.targets, problem.allowed, settings.counts)


@algorithm("pca", settings=PcaSettings)
@acts(coefficients=truncated)
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

    Notes
    -----
    Amara & Quanz (2012), MNRAS 427, 948; Soummer, Pueyo & Larkin (2012), ApJ 755, L28.
    """
    return subtract_linear(frames, references, settings, truncated)
