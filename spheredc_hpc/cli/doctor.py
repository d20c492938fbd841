"""`spheredc doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc doctor --root demo"


def doctor(
    root: Annotated[Path, typer.Option(help="Result root that would be used.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this machine and environment; exit code 5 if something does not work."""
    from spheredc_hpc.campaign.doctor import examine
    from spheredc_hpc.cli._output import print_json
    from spheredc_hpc.errors import ExternalError

    checks = examine(root)
    if as_json:
        print_json({"schema_version": 1, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            typer.echo(f"{check.status:<8} {check.name:<16} {check.found}")
            if check.advice:
                typer.echo(f"{'':<25} {check.advice}")
    if any(check.status == "error" for check in checks):
        raise typer.Exit(ExternalError.exit_code)
