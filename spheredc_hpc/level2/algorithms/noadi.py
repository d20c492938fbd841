"""No subtraction: frames are derotated and combined."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from spheredc_hpc.config.base import Section
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class NoAdiSettings(Section):
    """Rotation and combination only."""


@algorithm("noadi", settings=NoAdiSettings)
@acts(pixelwise=True)
def noadi(frames: Array, references: Array | None, settings: NoAdiSettings) -> Array:
    """Leave the frames as they are.

    Parameters
    ----------
    frames : array, shape (n_frame, n_pix)
        Frames of one zone.
    references : array or None
        Not used.
    settings : NoAdiSettings
        Empty.

    Returns
    -------
    array, shape (n_frame, n_pix)
        A copy of the frames.
    """
    return array_namespace(frames).asarray(frames, copy=True)
