"""`spheredc publish`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc publish results"


def publish(
    root: Annotated[Path, typer.Argument(help="Result root.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Enter the products of a root into its catalogue."""
    from spheredc_hpc.catalog.publish import publish as enter
    from spheredc_hpc.cli._output import print_json

    done = enter(root)
    if as_json:
        print_json({"schema_version": 1, **asdict(done)})
        return
    typer.echo(
        f"{done.n_products} products: {done.n_new} new, {done.n_changed} changed, "
        f"{done.n_removed} gone"
    )
    for status, count in done.statuses.items():
        typer.echo(f"{count:>6}  {status}")
    for product, problem in done.problems.items():
        typer.echo(f"damaged {product}: {problem}")
