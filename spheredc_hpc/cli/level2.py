"""`spheredc level2`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

EXAMPLE = (
    "spheredc level2 observations/OBS/level1/receipt.json"
    " observations/OBS/level2/pca-adi/receipt.json --recipe pca-adi"
)


def level2(
    source: Annotated[Path, typer.Argument(help="Receipt of a Level 1 product.")],
    receipt: Annotated[
        Path | None,
        typer.Argument(
            help="Receipt of the Level 2 product to write; beside the Level 1 product if absent."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Name or label of a recipe, see `spheredc recipes`.")
    ] = "pca-adi",
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to use.")] = 1,
    device: Annotated[
        Literal["cpu", "gpu"], typer.Option(help="Where the frames are reduced.")
    ] = "cpu",
    memory_mb: Annotated[
        float | None,
        typer.Option(min=1, help="Memory of the job [MB]; larger cubes go through scratch files."),
    ] = None,
    scratch: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scratch files, on a local disk; beside the product if absent."
        ),
    ] = None,
    attempt: Annotated[int, typer.Option(min=1, help="Number of the attempt.")] = 1,
) -> None:
    """Subtract the star from one Level 1 cube: images, S/N maps, contrast."""
    from spheredc_hpc.cli._job import job_context
    from spheredc_hpc.cli._output import load_config
    from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2

    settings = load_config(config)
    target = receipt or level2_receipt(source, recipe, settings)
    with job_context("level2", target, attempt):
        means = Means(threads, device, memory_mb, scratch)
        made = reduce_level2(source, target, recipe, settings, means)
    typer.echo(f"{made.status}  {target.parent}")
    for reason in made.reasons:
        typer.echo(f"  {reason}")
