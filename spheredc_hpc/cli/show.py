"""`spheredc show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc show demo/observations/OBS/level1"


def show(
    product: Annotated[Path, typer.Argument(help="A product, or its receipt.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole receipt.")] = False,
) -> None:
    """Show what a product is: status, reasons, inputs, settings, quality."""
    from spheredc_hpc.cli._output import print_json
    from spheredc_hpc.store.codec import read_json, to_plain
    from spheredc_hpc.store.receipt import RUN, read

    directory = product.parent if product.name == "receipt.json" else product
    receipt = read(directory)
    if as_json:
        print_json(to_plain(receipt))
        return
    run = read_json(directory / RUN)
    typer.echo(f"{receipt.id}  ({receipt.kind}, version {receipt.product_version})")
    typer.echo(f"status    {receipt.status}")
    for reason in receipt.reasons:
        typer.echo(f"          {reason}")
    if receipt.flags:
        typer.echo(f"flags     {' '.join(receipt.flags)}")
    typer.echo(f"made      {run['started']} on {run['host']}, {run['wall_s']:.1f} s")
    typer.echo(f"software  {receipt.software_version}, constants {receipt.constants_version}")
    for title, entries in (("settings", receipt.settings), ("quality", receipt.quality)):
        typer.echo(title)
        for name, value in entries.items():
            typer.echo(f"  {name} = {value}")
    typer.echo("inputs")
    for ref in receipt.inputs:
        typer.echo(f"  {ref.role:<12} {ref.id}  {ref.digest[:12]}")
    typer.echo(f"outputs   {len(receipt.outputs)} files")
    for output in receipt.outputs[:20]:
        typer.echo(f"  {output.size_bytes:>12} {output.path}")
    if len(receipt.outputs) > 20:
        typer.echo("  ...")
