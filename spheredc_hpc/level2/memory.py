"""How much memory a Level 2 reduction takes, from shapes and settings alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spheredc_hpc.config.recipe import Recipe
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.level2.base import BLOCK_PIXELS
from spheredc_hpc.level2.regions import ZoneSettings, zone_count
from spheredc_hpc.level2.traits import traits_of
from spheredc_hpc.level2.zones import BLOCK_FRAMES, BORDER_PX
from spheredc_hpc.model.memory import CubeShape, MemoryLaw
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.store.cube import Level1Cube

_BYTES = 4
_MB = 1e6
_MAS_PER_RAD = 180 / np.pi * 3.6e6
_JOINT = ("sdi", "asdi", "asdi-two-step")
# Interpreter, libraries and compiled kernels.
_FIXED_MB = 325.0
# Images of the product and of its making, per channel: scenes, statistics, masks, in units of
# one float32 image.
_IMAGES = 45
# Whole stacks of frames beside the base of each scene: residuals and, for a moment, the frames
# of the next scene.
_STACKS = 2
# Reductions alive at a time: as it is, without its sources, without all but one, and the next
# of those.
_SCENES = 4
# Arrays of a block of frames while they are read: values, weights, masks.
_READ = 4
# Blocks of the pixels of all rows, and images, in work per thread.
_BLOCKS = 6
_BLOCK_IMAGES = 8
# A Gram matrix that waits, an element: half of float64. An operator while it is made.
_GRAM_BYTES = 4
_SOLVED_BYTES = 32
# Copies of its zone that an algorithm without traits works on.
_WORK = 6
# Frames on their way from residuals to images, in memory where all of them are not.
_BATCH = 128


@dataclass(frozen=True)
class Shape:
    """What the memory of a reduction depends on besides its settings.

    Attributes
    ----------
    cube : CubeShape
        Channels and frames of the cube.
    frames : int
        Frames per channel.
    references : int
        Library frames per channel.
    """

    cube: CubeShape
    frames: int
    references: int = 0

    @classmethod
    def of(cls, cube: Level1Cube, references: int = 0) -> Shape:
        """Shape of a cube, which may lie on disk."""
        channels, frames, *stored = cube.science.shape
        scale = float(np.min(cube.pixel_scale_mas))
        diameter_m = default_constants().value("telescope_diameter_m")
        shortest = np.nanmin(np.append(cube.wavelength_um, np.inf))
        element = float(shortest) * 1e-6 / diameter_m * _MAS_PER_RAD / scale
        width = element if np.isfinite(element) else 4.0
        return cls(CubeShape(channels, max(stored), scale, width), frames, references)


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
        Resident memory of the process [MB]: within 15 % of what was measured (`docs/memory.md`).
    """
    law = memory_law(shape.cube, recipe, scratch=scratch)
    return law.mb(shape.frames + shape.references, threads)


def memory_law(cube: CubeShape, recipe: Recipe, *, scratch: bool = False) -> MemoryLaw:
    """Peak memory of a reduction as a function of frames, those of a library included.

    Parameters
    ----------
    cube : CubeShape
        Channels and frames.
    recipe : Recipe
        Algorithm, strategy and settings.
    scratch : bool
        Whether large arrays lie in scratch files.

    Returns
    -------
    MemoryLaw
    """
    outer_px = recipe.imaging.outer_mas / cube.pixel_scale_mas
    side = min(2 * (int(np.ceil(outer_px)) + BORDER_PX) + 1, cube.side)
    image_mb = side**2 * _BYTES / _MB
    together = cube.channels if recipe.strategy in _JOINT else 1
    zones = _zones(cube, recipe, min(outer_px, cube.side / 2))
    fixed = _FIXED_MB + _IMAGES * image_mb * min(cube.channels, 8)
    fixed += _READ * BLOCK_FRAMES * image_mb
    stacks = cube.channels * (1 + _SCENES + int(recipe.imaging.keep_residuals))
    stacks += _STACKS * together
    row_mb = _BLOCKS * min(BLOCK_PIXELS, side**2 / zones) * _BYTES / _MB
    return MemoryLaw(
        fixed=fixed + (_BATCH * image_mb if scratch else 0.0),
        frame=(_whole(recipe) * together / zones if scratch else stacks) * image_mb,
        pair=_SCENES * zones * _matrices_mb(cube, recipe, cube.channels, _BYTES),
        thread=row_mb + _BLOCK_IMAGES * image_mb,
        thread_frame=row_mb * together,
        thread_pair=_matrices_mb(cube, recipe, 1, _SOLVED_BYTES),
    )


def _whole(recipe: Recipe) -> int:
    """Count the copies of a zone in all its frames that an algorithm works on at once."""
    traits = traits_of(ALGORITHMS[recipe.algorithm].run)
    streamed = traits.coefficients is not None or traits.pixelwise or traits.framewise
    return 0 if streamed else _WORK


def _zones(cube: CubeShape, recipe: Recipe, outer_px: float) -> int:
    settings: Any = recipe.settings
    zones = getattr(settings, "zones", ZoneSettings())
    inner_px = min(recipe.imaging.inner_mas / cube.pixel_scale_mas, outer_px)
    return zone_count(inner_px, outer_px, cube.fwhm_px, zones)


def _matrices_mb(cube: CubeShape, recipe: Recipe, alone: int, count_bytes: int) -> float:
    """Matrices of one zone for each pair of frames: of `alone` channels, or of all together."""
    settings: Any = recipe.settings
    rows = {"asdi": cube.channels**2, "asdi-two-step": cube.channels**2, "sdi": 0}
    counts = len(getattr(settings, "counts", (0,)))
    return rows.get(recipe.strategy, alone) * (_GRAM_BYTES + count_bytes * counts) / _MB
