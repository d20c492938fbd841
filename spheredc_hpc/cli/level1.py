"""`spheredc level1`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc level1 plan/night/associations/OBS.json observations/OBS/level1/receipt.json"


def level1(
    association: Annotated[Path, typer.Argument(help="Association that the plan wrote.")],
    receipt: Annotated[Path, typer.Argument(help="Receipt of the Level 1 product to write.")],
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to use.")] = 1,
    attempt: Annotated[int, typer.Option(min=1, help="Number of the attempt.")] = 1,
) -> None:
    """Make the master cube of one observation."""
    from spheredc_hpc.cli._job import job_context
    from spheredc_hpc.cli._output import load_config
    from spheredc_hpc.steps.level1 import reduce_level1

    settings = load_config(config)
    with job_context("level1", receipt, attempt):
        reduce_level1(association, receipt, settings, threads)
