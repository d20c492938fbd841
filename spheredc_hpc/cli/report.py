"""`spheredc report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc report results"


def report(
    root: Annotated[Path, typer.Argument(help="Result root.")] = Path(),
    plan: Annotated[str, typer.Option(help="Name of the plan.")] = "default",
    output: Annotated[
        Path | None, typer.Option(help="Page to write; report.html in the root if absent.")
    ] = None,
) -> None:
    """Write the report of a plan: one page with all that was made, flagged, rejected and why."""
    from spheredc_hpc.campaign.report import write_report

    typer.echo(str(write_report(root, plan, output)))
