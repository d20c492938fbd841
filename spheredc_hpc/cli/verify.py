"""`spheredc verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc verify demo"


def verify(
    path: Annotated[Path, typer.Argument(help="Result root, or one product.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check every file of every product against its receipt; exit code 3 if one is damaged."""
    from spheredc_hpc.cli._output import print_json
    from spheredc_hpc.errors import DataError
    from spheredc_hpc.store.inventory import to_verify
    from spheredc_hpc.store.receipt import verify as check

    found = to_verify(path)
    problems = {str(product): check(product) for product in found}
    damaged = {product: lines for product, lines in problems.items() if lines}
    if as_json:
        print_json({"schema_version": 1, "checked": len(found), "damaged": damaged})
    else:
        for lines in damaged.values():
            for line in lines:
                typer.echo(line)
        typer.echo(f"{len(found)} products checked, {len(damaged)} damaged")
    if damaged:
        raise typer.Exit(DataError.exit_code)
