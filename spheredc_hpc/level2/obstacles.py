"""Why data do not allow a recipe."""

from __future__ import annotations

from typing import Any

import numpy as np

from spheredc_hpc.config.recipe import TWO_STEP, Recipe
from spheredc_hpc.level2.alignment import speckle_scales
from spheredc_hpc.level2.diversity import Diversity
from spheredc_hpc.level2.sequence import Sequence, field_rotation_deg
from spheredc_hpc.level2.traits import most_modes, spanned_by_model
from spheredc_hpc.level2.zones import all_equal

# Algorithms that take nothing from other frames, and those for which frames of other stars have
# no part of their own.
_WITHOUT_REFERENCES = ("noadi", "profile")
_WITHOUT_LIBRARY = ("llsg",)


def obstacle(prepared: Sequence, recipe: Recipe, diversity: Diversity) -> str:
    """Say why the data do not allow a recipe.

    Parameters
    ----------
    prepared : Sequence
        Channels and references.
    recipe : Recipe
        Algorithm, strategy and settings.
    diversity : Diversity
        What the strategy exploits.

    Returns
    -------
    str
        The figure that falls short and what is needed; nothing if nothing does.
    """
    if diversity.library and prepared.library is None:
        return f"strategy {recipe.strategy} needs references of other stars and has none"
    if recipe.strategy == "none" and recipe.algorithm not in _WITHOUT_REFERENCES:
        return f"{recipe.algorithm} subtracts other frames: it needs a strategy other than none"
    if diversity.library and recipe.algorithm in _WITHOUT_LIBRARY:
        return f"{recipe.algorithm} splits frames by what they share: it has no use for references"
    reason = _spectral_obstacle(prepared) if diversity.wavelength else ""
    if reason:
        return f"strategy {recipe.strategy} {reason}"
    if recipe.algorithm in _WITHOUT_REFERENCES or not diversity.subtracts:
        return ""
    if not diversity.wavelength and not diversity.library:
        reason = _angular_obstacle(prepared)
    return reason or _mode_obstacle(prepared, recipe, diversity)


def _reach_px(prepared: Sequence) -> float:
    """Outer radius of the first channel; its frames may end before its zone does [px]."""
    channel = prepared.channels[0]
    return float(min(channel.outer_px, channel.zone.shape[0] // 2))


def _angular_obstacle(prepared: Sequence) -> str:
    count = int(prepared.selection.keep.sum())
    if count < 2:
        return f"{count} usable frame: angular differential imaging needs at least 2"
    channel = prepared.channels[0]
    turn_deg = field_rotation_deg(channel.rotation)
    arc = np.deg2rad(turn_deg) * _reach_px(prepared)
    if arc < channel.star.fwhm_px:
        return (
            f"field rotation {turn_deg:.2f} deg: {arc:.2f} px at the outer radius, less than "
            f"one FWHM of {channel.star.fwhm_px:.2f} px"
        )
    if all(all_equal(channel.frames) for channel in prepared.channels):
        return f"all {count} usable frames are equal: no diversity is left to exploit"
    return ""


def _spectral_obstacle(prepared: Sequence) -> str:
    count = len(prepared.channels)
    if count < 2:
        return f"needs at least 2 channels, the cube has {count}"
    known = [channel.wavelength_um for channel in prepared.channels]
    if not np.all(np.isfinite(known)):
        return "needs the wavelength of every channel"
    scales = speckle_scales(prepared.channels)
    moved = (1 - scales.min() / scales.max()) * _reach_px(prepared)
    width = prepared.channels[0].star.fwhm_px
    if moved < width:
        return (
            f"needs speckles that move with the wavelength: {moved:.2f} px at the outer radius "
            f"from {min(known):.3f} to {max(known):.3f} um, less than one FWHM of {width:.2f} px"
        )
    return ""


def _mode_obstacle(prepared: Sequence, recipe: Recipe, diversity: Diversity) -> str:
    """Whether the modes that are removed span all the rows that serve."""
    time, channels = int(prepared.selection.keep.sum()), len(prepared.channels)
    library = 0 if prepared.library is None else len(prepared.library.labels)
    if recipe.strategy == TWO_STEP:
        first = recipe.first_step or recipe.settings
        return _too_many(first, channels, "channels, first step") or _too_many(
            recipe.settings, time, "frames, second step"
        )
    if diversity.wavelength:
        rows = channels * time if diversity.rotation else channels
        return _too_many(recipe.settings, rows, "rows" if diversity.rotation else "channels")
    if diversity.library and not diversity.rotation:
        # References do not hold the frame itself: as many modes as there are may be removed.
        modes = most_modes(recipe.settings)
        return f"{modes} modes of {library} references" if modes > library else ""
    rows = time + (library if diversity.library else 0)
    return _too_many(recipe.settings, rows, "frames")


def _too_many(settings: Any, rows: int, what: str) -> str:
    if spanned_by_model(settings) >= rows:
        return f"{most_modes(settings)} modes of {rows} {what} leave nothing"
    return ""
