"""Classical angular differential imaging: the median of the sequence is subtracted."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class CadiSettings(Section):
    """Subtraction of the temporal median."""


@algorithm("cadi", settings=CadiSettings)
@acts(pixelwise=True)
def cadi(frames: Array, references: Array | None, settings: CadiSettings) -> Array:
    """Subtract the temporal median of the references from every frame.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone, finite.
    references : array, shape (n_ref, n_pix), or None
        Frames whose median is taken; the frames themselves if None.
    settings : CadiSettings
        Empty.

    Returns
    -------
    array, shape (n_frame, n_pix), dtype of `frames`

    Notes
    -----
    Marois et al. (2006), ApJ 641, 556, first step.
    """
    xp = array_namespace(frames)
    source = frames if references is None else references
    median = combine_frames(source[:, None, :], "median")
    return frames - xp.astype(median, frames.dtype)
