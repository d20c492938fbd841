"""How much memory a Level 2 reduction takes, from shapes and settings alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.level2.zones import BLOCK_FRAMES, BORDER_PX
from spheredc_hpc.store.cube import Level1Cube

_BYTES = 4
_MB = 1e6
# Interpreter, libraries and compiled kernels.
_FIXED_MB = 520.0
# Images of the product and of its making, per channel: scenes, statistics, masks, in units of
# one float32 image.
_IMAGES = 45
# Whole stacks of frames beside the base of each scene: residuals and, for a moment, the frames
# of the next scene.
_STACKS = 2
# Reductions alive at a time: as it is, without its sources, and the next attempt.
_SCENES = 3
# Blocks of frames or pixels in work per thread.
_BLOCKS = 6
_BLOCK_COLUMNS = 16384


@dataclass(frozen=True)
class Shape:
    """What the memory of a reduction depends on besides its settings.

    Attributes
    ----------
    channels, frames : int
        Of the cube.
    stored_side, side : int
        Side of the stored frames, and of the window that is reduced [px].
    references : int
        Library frames per channel.
    """

    channels: int
    frames: int
    stored_side: int
    side: int
    references: int = 0

    @classmethod
    def of(cls, cube: Level1Cube, recipe: Recipe, references: int = 0) -> Shape:
        """Shapes of a cube, which may lie on disk, as a recipe uses it."""
        channels, frames, *stored = cube.science.shape
        outer_px = recipe.imaging.outer_mas / float(np.min(cube.pixel_scale_mas))
        side = min(2 * (int(np.ceil(outer_px)) + BORDER_PX) + 1, *stored)
        return cls(channels, frames, max(stored), side, references)

    @property
    def stack_mb(self) -> float:
        """One copy of the frames of one channel [MB]."""
        return (self.frames + self.references) * self.side**2 * _BYTES / _MB


def predicted_mb(shape: Shape, recipe: Recipe, threads: int = 1, *, scratch: bool = False) -> float:
    """Predict the peak memory of a reduction.

    Parameters
    ----------
    shape : Shape
        Of the cube.
    recipe : Recipe
        Algorithm, strategy and settings.
    threads : int
        Threads of the job.
    scratch : bool
        Whether large arrays lie in scratch files.

    Returns
    -------
    float
        Resident memory of the process [MB]: what was measured, to about a quarter.
    """
    joint = recipe.strategy in ("sdi", "asdi", "asdi-two-step")
    rows = (shape.frames + shape.references) * (shape.channels if joint else 1)
    image_mb = shape.side**2 * _BYTES / _MB
    fixed = _FIXED_MB + _IMAGES * image_mb * min(shape.channels, 8) + _operators_mb(rows, recipe)
    loading = 4 * BLOCK_FRAMES * shape.stored_side**2 * _BYTES / _MB
    per_thread = _BLOCKS * (rows + 1) * _BLOCK_COLUMNS * _BYTES / _MB + 8 * image_mb
    work = fixed + loading + threads * per_thread
    if scratch:
        return work
    stacks = shape.channels * (1 + _SCENES + int(recipe.imaging.keep_residuals))
    stacks += _STACKS * (shape.channels if joint else 1)
    return work + stacks * shape.stack_mb


def _operators_mb(rows: int, recipe: Recipe) -> float:
    """Gram matrices and operators of all zones of one reduction."""
    settings: Any = recipe.settings
    counts = len(getattr(settings, "counts", (0,)))
    zones = getattr(settings, "zones", None)
    number = 1
    if zones is not None:
        rings = zones.annuli or 1
        if zones.annulus_fwhm is not None:
            # A width of a resolution element is about 4 px; the field about 50 of them.
            rings = int(np.ceil(50 / zones.annulus_fwhm))
        number = rings * zones.sectors
    return _SCENES * number * rows**2 * (8 + _BYTES * counts) / _MB
