"""`spheredc calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = (
    "spheredc calibrate plan/night/calibrations/flat-0123abcd.json"
    " calibrations/flat/0123abcd/receipt.json"
)


def calibrate(
    job: Annotated[Path, typer.Argument(help="Job file that the plan wrote.")],
    receipt: Annotated[Path, typer.Argument(help="Receipt of the calibration to make.")],
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to use.")] = 1,
    attempt: Annotated[int, typer.Option(min=1, help="Number of the attempt.")] = 1,
) -> None:
    """Make one calibration product: background, flat or bad pixels."""
    from spheredc_hpc.cli._job import job_context
    from spheredc_hpc.cli._output import load_config
    from spheredc_hpc.steps.calibrate import make_calibration

    settings = load_config(config)
    with job_context("calibrate", receipt, attempt):
        make_calibration(job, receipt, settings, threads)
