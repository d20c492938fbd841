"""`spheredc recipes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc recipes --config my.yaml"


def recipes(
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the Level 2 recipes of a configuration with their labels and settings."""
    from spheredc_hpc.cli._output import load_config, print_json

    settings = load_config(config)
    entries = [
        {"name": name, "label": recipe.label(name), **recipe.plain()}
        for name, recipe in settings.level2.items()
    ]
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        typer.echo(f"{entry['label']}  {entry['algorithm']}, strategy {entry['strategy']}")
        for section in ("imaging", "settings"):
            for name, value in entry[section].items():
                typer.echo(f"    {section}.{name} = {value}")
