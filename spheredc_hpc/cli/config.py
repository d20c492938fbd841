"""`spheredc config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc config --defaults > my.yaml"


def config(
    defaults: Annotated[bool, typer.Option("--defaults", help="Print all defaults.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema.")] = False,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check a file; print it completed.")
    ] = None,
) -> None:
    """Print the default configuration or its schema, or check a configuration file."""
    import yaml

    from spheredc_hpc.cli._output import print_json
    from spheredc_hpc.config import default_yaml, json_schema, load
    from spheredc_hpc.errors import ConfigError

    if [defaults, schema, check is not None].count(True) != 1:
        raise ConfigError("give one of --defaults, --schema, --check FILE")
    if defaults:
        typer.echo(default_yaml(), nl=False)
    elif schema:
        print_json(json_schema())
    elif check is not None:
        typer.echo(yaml.safe_dump(load(check).plain(), sort_keys=False, width=100), nl=False)
