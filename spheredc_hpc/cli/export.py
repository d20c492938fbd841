"""`spheredc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc export demo/observations/OBS/level2/LABEL --output pca.fits"


def export(
    product: Annotated[Path, typer.Argument(help="A Level 1 or Level 2 product.")],
    output: Annotated[Path, typer.Option(help="FITS file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a product as one FITS file with named extensions, units and a world coordinate."""
    from spheredc_hpc.store.fits import export_product

    directory = product.parent if product.name == "receipt.json" else product
    export_product(directory, output, overwrite=overwrite)
    typer.echo(str(output))
