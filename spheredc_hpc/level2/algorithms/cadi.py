"""Classical angular differential imaging: the median of the sequence is subtracted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.parallel import blocks, map_ordered
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Frames = NDArray[np.floating[Any]]

_BLOCK_PIXELS = 8192


class CadiSettings(Section):
    """Subtraction of the temporal median."""


@algorithm("cadi", settings=CadiSettings)
@acts(pixelwise=True)
def cadi(frames: Frames, references: Frames | None, settings: CadiSettings) -> Frames:
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
    source = frames if references is None else references

    def part(block: slice) -> Frames:
        return frames[:, block] - np.median(source[:, block], axis=0).astype(frames.dtype)

    parts = map_ordered(part, blocks(frames.shape[1], _BLOCK_PIXELS))
    return np.concatenate(parts, axis=1) if parts else frames.copy()
