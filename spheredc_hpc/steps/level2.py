"""Step: one Level 1 product and a recipe to one Level 2 product."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from spheredc_hpc.config import Config, Recipe
from spheredc_hpc.errors import ResourceError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.kernels.buffers import scratch_arrays
from spheredc_hpc.level2.device import Asked, Device
from spheredc_hpc.level2.memory import Shape, predicted_mb
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.model.product import Receipt, Status
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.steps.guard import make
from spheredc_hpc.steps.inputs import sound
from spheredc_hpc.steps.layout import product_directory, split_product
from spheredc_hpc.steps.preview import PREVIEW, write_level2_preview
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.cube import open_cube
from spheredc_hpc.store.images import write_images
from spheredc_hpc.store.runinfo import run_info, stage

logger = logging.getLogger(__name__)

CUBE = "cube.zarr"
IMAGES = "level2.zarr"


@dataclass(frozen=True)
class Means:
    """What a job may use.

    Attributes
    ----------
    threads : int
        Threads; the result does not depend on it.
    device : {"cpu", "gpu"}
        Where the frames are reduced.
    memory_mb : float or None
        Memory of the job [MB]; None: as much as it takes.
    scratch : Path or None
        Folder on a local disk for large arrays that do not fit; beside the product if None.
    """

    threads: int = 1
    device: Asked = "cpu"
    memory_mb: float | None = None
    scratch: Path | None = None

    def scratch_for(self, shape: Shape, recipe: Recipe, product: Path) -> Path | None:
        """Where large arrays go: None for memory.

        Raises
        ------
        ResourceError
            If the job is predicted to exceed its memory even so.
        """
        if self.memory_mb is None:
            return None
        whole = predicted_mb(shape, recipe, self.threads)
        if whole <= self.memory_mb:
            return None
        least = predicted_mb(shape, recipe, self.threads, scratch=True)
        if least > self.memory_mb:
            raise ResourceError(
                f"memory {self.memory_mb:.0f} MB: this reduction is predicted to take "
                f"{whole:.0f} MB, and {least:.0f} MB with large arrays on disk"
            )
        logger.info("%.0f of %.0f MB: large arrays go to disk", whole, self.memory_mb)
        return self.scratch or product


def level2_receipt(level1_receipt: Path, recipe: str, config: Config) -> Path:
    """Give the place of the Level 2 product of a recipe beside its Level 1 product.

    Raises
    ------
    ConfigError
        If the configuration has no such recipe.
    """
    name, found = config.recipe_by_label(recipe)
    observation = product_directory(level1_receipt).parent
    return observation / "level2" / found.label(name) / receipts.RECEIPT


def reduce_level2(
    level1_receipt: Path,
    receipt: Path,
    recipe: str,
    config: Config,
    means: Means,
) -> Receipt:
    """Reduce one Level 1 cube by one recipe.

    Parameters
    ----------
    level1_receipt : Path
        Receipt of the Level 1 product.
    receipt : Path
        Receipt of the Level 2 product to make; its folder is the product.
    recipe : str
        Name or label of a recipe of `config`.
    config : Config
        All settings.
    means : Means
        Threads, device and memory of the job; ``run.json`` says what was used.

    Returns
    -------
    Receipt
        Of the product; ``rejected`` if Level 1 was, or if the data allow no subtraction.

    Raises
    ------
    ConfigError
        If the recipe is unknown or a path is no receipt below a result root.
    DataError
        If the Level 1 product is damaged.
    ResourceError
        If there is no GPU, or the frames do not fit on it, or the memory is too small even with
        large arrays on disk.
    """
    source, target = product_directory(level1_receipt), product_directory(receipt)
    name, settings = config.recipe_by_label(recipe)
    upstream = receipts.read(source)

    def build(writer: receipts.ProductWriter) -> None:
        _pass_on(upstream, writer)
        if upstream.status is Status.REJECTED:
            return
        with run_info() as run:
            run.threads = means.threads
            used = Device.find(means.device, ALGORITHMS[settings.algorithm])
            run.device = used.name
            sound(source)
        _build(source, settings, config, (means, used), writer)

    return make(target, _draft(source, target, name, settings, config), build, config.output)


def _draft(source: Path, target: Path, name: str, recipe: Recipe, config: Config) -> receipts.Draft:
    constants = default_constants().with_overrides(config.constants)
    values = {"name": name, **recipe.plain()}
    return receipts.Draft(
        kind="level2",
        id=split_product(target)[1],
        inputs=(receipts.product_ref("level1", source, split_product(source)[1]),),
        settings=values,
        settings_digest=recipe.digest,
        constants_version=constants.version,
        constants_digest=constants.digest,
    )


def _pass_on(upstream: Receipt, writer: receipts.ProductWriter) -> None:
    """Hand the verdict on Level 1 on to the product."""
    if upstream.status is Status.REJECTED:
        writer.reject("Level 1 was rejected: " + "; ".join(upstream.reasons))
        return
    if upstream.status is Status.FLAGGED:
        writer.status = Status.FLAGGED
        writer.flags += upstream.flags
        writer.reasons += [f"Level 1: {reason}" for reason in upstream.reasons]


def _build(
    source: Path,
    recipe: Recipe,
    config: Config,
    with_what: tuple[Means, Device],
    writer: receipts.ProductWriter,
) -> None:
    means, device = with_what
    with stage("read"):
        cube = open_cube(source / CUBE)
    scratch = means.scratch_for(Shape.of(cube), recipe, writer.path)
    with stage("reduce"), scratch_arrays(scratch):
        constants = default_constants().with_overrides(config.constants)
        result = reduce(cube, recipe, means.threads, constants, device=device)
    writer.quality |= result.quality
    if result.images is None or result.status is Status.REJECTED:
        inherited, writer.reasons = writer.reasons, []
        for reason in result.reasons or ("the data allow no subtraction",):
            writer.reject(reason)
        writer.reasons += inherited  # the verdict first, what Level 1 already said after it
        return
    for flag in result.flags:
        if flag not in writer.flags:
            writer.flag(flag, FLAGS[flag])
    writer.reasons += [reason for reason in result.reasons if reason not in writer.reasons]
    with stage("write"):
        write_images(result.images, writer.path / IMAGES, config.output.compression_level)
    with stage("preview"):
        write_level2_preview(result.images, writer.path / PREVIEW)
