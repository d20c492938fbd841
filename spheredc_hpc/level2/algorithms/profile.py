"""Azimuthal-profile subtraction: every frame loses its own radial profile."""

from __future__ import annotations

from typing import Any, Literal

from array_api_compat import array_namespace
from pydantic import Field

from spheredc_hpc.config.base import Section
from spheredc_hpc.kernels.profile import subtract_profile
from spheredc_hpc.level2.traits import acts
from spheredc_hpc.registry import algorithm

Array = Any


class ProfileSettings(Section):
    """Subtraction of the azimuthal profile."""

    statistic: Literal["mean", "median"] = Field(
        "median", description="What is taken over each ring of pixels."
    )
    width_px: float = Field(
        1.0, ge=0.5, le=50, description="Width of a ring [px]; a smooth curve joins the rings."
    )


@algorithm("profile", settings=ProfileSettings)
@acts(framewise=True)
def profile(frames: Array, references: Array | None, settings: ProfileSettings) -> Array:
    """Subtract its own azimuthal profile from every frame.

    Parameters
    ----------
    frames : array, shape (n_frame, side, side) or (n_frame, n_pix)
        Square frames with the star on pixel ``(side // 2, side // 2)``, finite; a pixel that is
        zero in every frame holds no data. Or the rows of one zone, which then is one ring.
    references : array or None
        Not used: a frame needs no other one.
    settings : ProfileSettings
        Statistic and width of the rings.

    Returns
    -------
    array, shape and dtype of `frames`
        Residuals; of square frames without any data, a copy.

    Notes
    -----
    Nothing of a companion is lost but its share of its ring, so the throughput is high; what
    is not round about the star stays.
    """
    xp = array_namespace(frames)
    if frames.ndim == 3:
        seen = xp.any(frames != 0, axis=0)
        if not bool(xp.any(seen)):
            return xp.asarray(frames, copy=True)
        return subtract_profile(frames, settings.width_px, settings.statistic, seen)
    rows = xp.astype(frames, xp.float64)
    if settings.statistic == "mean":
        level = xp.mean(rows, axis=1, keepdims=True)
    else:
        ranked, count = xp.sort(rows, axis=1), rows.shape[1]
        level = 0.5 * (ranked[:, (count - 1) // 2] + ranked[:, count // 2])[:, None]
    return xp.astype(rows - level, frames.dtype)
