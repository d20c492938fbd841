"""`spheredc simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc simulate first-light --output raw"


def simulate(
    scenario: Annotated[
        str, typer.Argument(help="Name of a built-in scenario, or a YAML file.")
    ] = "first-light",
    output: Annotated[Path, typer.Option(help="Folder for the raw files.")] = Path("raw"),
    threads: Annotated[int, typer.Option(min=1, help="Threads to use.")] = 1,
    scenarios: Annotated[
        bool, typer.Option("--list", help="List the built-in scenarios and leave.")
    ] = False,
) -> None:
    """Write a simulated raw night with known truth (`truth.json` beside the files)."""
    from spheredc_hpc.simulate import load_scenario, scenario_names, simulate_irdis

    if scenarios:
        for name in scenario_names():
            typer.echo(name)
        return
    simulate_irdis(load_scenario(scenario), output, threads=threads)
    typer.echo(str(output))
