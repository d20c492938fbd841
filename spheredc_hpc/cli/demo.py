"""`spheredc demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc demo --root demo"


def demo(
    root: Annotated[Path, typer.Option(help="Result root; made if absent.")] = Path("demo"),
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    scenario: Annotated[str, typer.Option(help="Night to simulate.")] = "first-light",
    cores: Annotated[
        int | None, typer.Option(min=1, help="Cores for all jobs; all of the machine if absent.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Most threads of one job.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Simulate the built-in night if it is not there, reduce it, say where the report is."""
    from spheredc_hpc.campaign.demo import ensure_raw
    from spheredc_hpc.campaign.run import RunRequest
    from spheredc_hpc.campaign.run import reduce as run
    from spheredc_hpc.cli._output import load_config
    from spheredc_hpc.cli._run import engine_options, finish

    settings = load_config(config)
    options = engine_options("local", cores, threads)
    raw = ensure_raw(root, scenario, options.cores)
    request = RunRequest((raw,), root, settings, engine=options, quiet=quiet)
    finish(run(request), as_json)
