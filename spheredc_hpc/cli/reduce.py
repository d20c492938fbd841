"""`spheredc reduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc reduce raw --root results --cores 8"


def reduce(
    raw: Annotated[list[Path], typer.Argument(help="Raw files and folders.")],
    root: Annotated[Path, typer.Option(help="Result root; made if absent.")],
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    profile: Annotated[str, typer.Option(help="Snakemake profile, name or folder.")] = "local",
    plan: Annotated[str, typer.Option(help="Name of the plan.")] = "default",
    cores: Annotated[
        int | None, typer.Option(min=1, help="Cores for all jobs; all of the machine if absent.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Most threads of one job.")] = 8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan; only list the jobs.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Reduce raw frames to Level 2: scan, plan, all jobs, report.

    Repeat the command to go on after an interruption, or after settings changed: only what is
    missing or out of date is made.
    """
    from spheredc_hpc.campaign.run import RunRequest
    from spheredc_hpc.campaign.run import reduce as run
    from spheredc_hpc.cli._output import load_config
    from spheredc_hpc.cli._run import engine_options, finish

    request = RunRequest(
        raw=tuple(raw),
        root=root,
        config=load_config(config),
        plan=plan,
        engine=engine_options(profile, cores, threads, dry_run),
        quiet=quiet,
    )
    finish(run(request), as_json)
