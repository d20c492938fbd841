"""One run: scan, plan, Snakemake, publish, report."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.assets import profile_path
from spheredc_hpc.campaign.engine import EngineOptions, EngineResult, run_snakemake
from spheredc_hpc.campaign.owner import Ownership, owning
from spheredc_hpc.campaign.progress import Progress
from spheredc_hpc.campaign.summary import Summary, summarise
from spheredc_hpc.campaign.workflow import write_workflow
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ExternalError

logger = logging.getLogger(__name__)

PLAN = "default"
PAGE = "report.html"


@dataclass(frozen=True)
class RunRequest:
    """What to reduce, where to, and how.

    Attributes
    ----------
    raw : tuple of Path
        Raw files and folders.
    root : Path
        Result root.
    config : Config
        All settings.
    plan : str
        Name of the plan.
    engine : EngineOptions
        Profile, cores, threads.
    quiet : bool
        No progress.
    report : bool
        Write the report at the end.
    """

    raw: tuple[Path, ...]
    root: Path
    config: Config
    plan: str = PLAN
    engine: EngineOptions = field(default_factory=EngineOptions)
    quiet: bool = False
    report: bool = True


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Attributes
    ----------
    summary : Summary or None
        Outcome of every product; None after a dry run.
    engine : EngineResult
        How Snakemake ended.
    report : Path or None
        The page.
    unreadable : tuple of str
        Raw files that could not be read, each with the reason.
    """

    summary: Summary | None
    engine: EngineResult
    report: Path | None
    unreadable: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if every observation has a receipt or a reason, 1 if a job failed."""
        return 1 if self.summary is not None and self.summary.failed else 0

    def plain(self) -> dict[str, Any]:
        """Give JSON-compatible values."""
        values: dict[str, Any] = {
            "schema_version": 1,
            "jobs": {"total": self.engine.total, "done": self.engine.done},
            "log": str(self.engine.log),
            "report": None if self.report is None else str(self.report),
            "unreadable": list(self.unreadable),
            "exit_code": self.exit_code,
        }
        return values | ({} if self.summary is None else self.summary.plain())


def reduce(request: RunRequest) -> RunResult:
    """Reduce raw frames to Level 2 below a result root.

    What is there and current is left alone; what a killed run began is finished.

    Parameters
    ----------
    request : RunRequest
        What to do.

    Returns
    -------
    RunResult

    Raises
    ------
    ConfigError, DataError, ResourceError
        If nothing can be started: wrong settings, no usable file, root not writable.
    ExternalError
        If another run is at work in the root, or Snakemake itself fails.
    """
    profile_path(request.engine.profile)  # refused before anything is read or written
    with owning(request.root.absolute()) as ownership:
        unreadable = _plan(ownership.root, request)
        done = run_snakemake(ownership, request.plan, request.engine, Progress(request.quiet))
        if request.engine.dry_run:
            _check(done, None)
            return RunResult(None, done, None, unreadable)
        summary = summarise(ownership.root, request.plan)
        _check(done, summary)
        _publish(ownership.root)
        page = _report(ownership, request, changed=done.total > 0)
        return RunResult(summary, done, page, unreadable)


def _plan(root: Path, request: RunRequest) -> tuple[str, ...]:
    from spheredc_hpc.catalog.plan import plan
    from spheredc_hpc.catalog.scan import scan

    found = scan(request.raw, root, request.config, workers=request.engine.cores)
    plan(root, request.plan, request.config, request.raw)
    write_workflow(root, request.plan, request.config)
    return tuple(note.reason for note in found.errors)


def _publish(root: Path) -> None:
    from spheredc_hpc.catalog.publish import publish

    publish(root)


def _report(ownership: Ownership, request: RunRequest, *, changed: bool) -> Path | None:
    """Write the report; the one of an earlier run will do if no job ran and no plan changed."""
    if not request.report:
        return None
    from spheredc_hpc.campaign.report import write_report

    page = ownership.root / PAGE
    if not changed and page.is_file():
        planned = (ownership.root / "plan" / request.plan).rglob("*")
        if max(path.stat().st_mtime_ns for path in planned) <= page.stat().st_mtime_ns:
            return page
    write_report(ownership.root, request.plan, page)
    os.utime(page)
    return page


def _check(done: EngineResult, summary: Summary | None) -> None:
    """Tell a failure of Snakemake itself from one of its jobs.

    Raises
    ------
    ExternalError
        If Snakemake failed although no job did.
    """
    if done.returncode == 0 or (summary is not None and summary.failed):
        return
    raise ExternalError(
        f"Snakemake ended with code {done.returncode}: {_said(done.log)}; see {done.log}"
    )


def _said(log: Path) -> str:
    lines: Sequence[str] = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line.strip() for line in lines if line.strip()]
    return told[-1] if told else "without a word"
