"""What verbs share: printing of JSON and tables, loading of the configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from spheredc_hpc.config import Config


def print_json(values: object) -> None:
    """Print JSON-compatible values."""
    typer.echo(json.dumps(values, indent=1, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns, two blanks apart."""
    cells = [list(head), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        typer.echo("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip())


def load_config(path: Path | None) -> Config:
    """Read a configuration, or give the defaults."""
    from spheredc_hpc.config import Config, load

    return load(path) if path is not None else Config()
