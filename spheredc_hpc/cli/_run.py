"""What `reduce` and `demo` share: options of the engine, the last words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from spheredc_hpc.campaign.engine import EngineOptions
    from spheredc_hpc.campaign.run import RunResult


def engine_options(
    profile: str, cores: int | None, threads: int, dry_run: bool = False
) -> EngineOptions:
    """Fill in the cores of this machine."""
    from spheredc_hpc.campaign.engine import EngineOptions

    usable = len(os.sched_getaffinity(0))
    return EngineOptions(profile, cores or usable, threads, dry_run)


def finish(result: RunResult, as_json: bool) -> None:
    """Print what was made and leave with the exit code of the run."""
    from spheredc_hpc.cli._output import print_json

    if result.unreadable and not as_json:
        typer.echo(f"{len(result.unreadable)} unreadable")
        for reason in result.unreadable:
            typer.echo(f"          {reason}")
    if as_json:
        print_json(result.plain())
    elif result.summary is None:
        for job in result.engine.jobs:
            typer.echo(f"{job.rule:<10} {job.subject}: {job.reason}")
        typer.echo(f"{len(result.engine.jobs)} jobs to do")
    else:
        if result.engine.total == 0:
            typer.echo("nothing to do: everything is there and up to date")
        for line in result.summary.lines():
            typer.echo(line)
        if result.report is not None:
            typer.echo(f"report: {result.report}")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
