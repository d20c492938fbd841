"""`spheredc scan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc scan raw --root results"


def scan(
    raw: Annotated[list[Path], typer.Argument(help="Raw files and folders.")],
    root: Annotated[Path, typer.Option(help="Result root; made if absent.")],
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read headers.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Read the headers of raw files into the catalogue; unchanged files are not read again."""
    from spheredc_hpc.campaign.owner import owning
    from spheredc_hpc.catalog.scan import scan as read
    from spheredc_hpc.cli._output import load_config, print_json

    settings = load_config(config)
    with owning(root):
        done = read(raw, root, settings, workers=workers)
    if as_json:
        print_json({"schema_version": 1, **asdict(done)})
        return
    typer.echo(f"{done.n_files} files, {done.n_read} read, {done.n_vanished} vanished")
    for name, count in done.classes.items():
        typer.echo(f"{count:>6}  {name}")
    for kind, notes in (("error", done.errors), ("unknown", done.unknown)):
        for note in notes:
            typer.echo(f"{kind}: {note.reason or note.path}")
    for line in done.notes:
        typer.echo(line)
