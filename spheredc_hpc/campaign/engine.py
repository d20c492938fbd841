"""Run Snakemake on a plan, follow its log, say how it ended."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from spheredc_hpc.campaign.assets import profile_path, workflow_home
from spheredc_hpc.campaign.owner import Ownership
from spheredc_hpc.campaign.progress import Progress
from spheredc_hpc.campaign.sheet import Sheet

logger = logging.getLogger(__name__)

VERBS = Path(sys.executable).parent
"""Where the command `spheredc` of this environment is."""
POLL_S = 0.2
BEAT_S = 30.0
MEMORY_SHARE = 0.9
"""Part of the available memory that jobs on this machine may ask for together."""

_STEPS = re.compile(r"^(\d+) of (\d+) steps \(")
_TOTAL = re.compile(r"^total\s+(\d+)\s*$")
_RULE = re.compile(r"^(?:local)?rule (\w+):")
_REASON = re.compile(r"^\s+reason: (.+)$")
_WILDCARDS = re.compile(r"^\s+wildcards: (.+)$")


@dataclass(frozen=True)
class EngineOptions:
    """How the jobs are run.

    Attributes
    ----------
    profile : str
        Name or folder of a Snakemake profile.
    cores : int
        Cores for all jobs together.
    threads : int
        Most threads of one job.
    dry_run : bool
        Only say what would be done.
    """

    profile: str = "local"
    cores: int = 1
    threads: int = 8
    dry_run: bool = False


@dataclass(frozen=True)
class Job:
    """A job that Snakemake started, or would start.

    Attributes
    ----------
    rule : str
        Name of the rule.
    subject : str
        What it works on: the values of the wildcards.
    reason : str
        Why it has to run, in Snakemake's words.
    """

    rule: str
    subject: str
    reason: str


@dataclass(frozen=True)
class EngineResult:
    """How Snakemake ended.

    Attributes
    ----------
    returncode : int
        Of the process.
    total, done : int
        Jobs that the plan needed, and those that ended well (without the target rule).
    log : Path
        Everything that Snakemake said.
    jobs : tuple of Job
        In the order of their start; a job that was tried again is there again.
    """

    returncode: int
    total: int
    done: int
    log: Path
    jobs: tuple[Job, ...] = ()


def command_line(root: Path, plan: str, options: EngineOptions) -> list[str]:
    """Give the command that runs a plan."""
    command = [sys.executable, "-m", "spheredc_hpc.campaign.child"]
    command += ["--snakefile", str(workflow_home() / "Snakefile")]
    command += ["--directory", str(root), "--config", f"plan={plan}"]
    profile = profile_path(options.profile)
    command += ["--profile", str(profile)]
    command += ["--cores", str(options.cores), "--nocolor"]
    if _runs_here(profile):
        free_mb = int(MEMORY_SHARE * psutil.virtual_memory().available / 1e6)
        command += ["--resources", f"mem_mb={free_mb}"]
    level1, level2 = _threads(Sheet.read(root, plan), options)
    command += ["--set-threads", f"level1={level1}", f"level2={level2}"]
    if options.dry_run:
        command.append("--dry-run")
    return command


def _threads(sheet: Sheet, options: EngineOptions) -> tuple[int, int]:
    """Share the cores among the jobs of a stage: jobs side by side scale better than threads."""
    jobs = max(sum(row.reducible for row in sheet.observations.values()), 1)
    most = min(options.threads, options.cores)
    level1 = max(1, min(most, options.cores // jobs))
    level2 = max(1, min(most, options.cores // (jobs * max(len(sheet.recipes), 1))))
    return level1, level2


def _runs_here(profile: Path) -> bool:
    """Tell whether the jobs of a profile share the memory of this machine."""
    text = (profile / "config.yaml").read_text(encoding="utf-8")
    return re.search(r"^executor\s*:\s*(?!local\b)", text, re.MULTILINE) is None


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR", "VECLIB"):
        environment[f"{library}_NUM_THREADS"] = "1"
    environment["PATH"] = os.pathsep.join([str(VERBS), environment.get("PATH", os.defpath)])
    environment["SPHEREDC_PARENT"] = str(os.getpid())
    environment["SPHEREDC_EXECUTOR"] = "local"
    environment.pop("SNAKEMAKE_PROFILE", None)
    return environment


def run_snakemake(
    ownership: Ownership, plan: str, options: EngineOptions, progress: Progress
) -> EngineResult:
    """Run the jobs of a plan.

    Parameters
    ----------
    ownership : Ownership
        Of the result root.
    plan : str
        Name of the plan.
    options : EngineOptions
        How the jobs are run.
    progress : Progress
        Told of every finished job.

    Returns
    -------
    EngineResult
    """
    root = ownership.root
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    log = root / "logs" / "snakemake" / f"{plan}.{stamp}.{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 our own module, arguments are a list
            command_line(root, plan, options),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        try:
            started = psutil.Process(process.pid).create_time()
            ownership.note(snakemake_pid=process.pid, snakemake_started=started)
            with _draining(process), progress, log.open(encoding="utf-8", errors="replace") as said:
                follower = Follower(progress)
                _follow(process, said, follower, ownership)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return EngineResult(
        process.returncode, follower.total, follower.done, log, tuple(follower.jobs)
    )


@contextmanager
def _draining(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """On SIGTERM let running jobs end and start no more."""

    def drain(signum: int, frame: FrameType | None) -> None:
        logger.warning("SIGTERM: running jobs end, no more are started")
        process.terminate()

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, drain) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


class Follower:
    """Reads the log of Snakemake line by line.

    Parameters
    ----------
    progress : Progress
        Told of what is read.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.total = 0
        self.done = 0
        self.jobs: list[Job] = []
        self._rule = ""
        self._reason = ""
        self._pending = ""

    def read(self, piece: str) -> None:
        """Take in a line, or a part of one that is still being written."""
        self._pending += piece
        if self._pending.endswith("\n"):
            line, self._pending = self._pending, ""
            self._line(line)

    def _line(self, line: str) -> None:
        if (match := _RULE.match(line)) is not None:
            self._rule, self._reason = match[1], ""
        elif (match := _REASON.match(line)) is not None:
            self._reason = match[1]
        elif (match := _WILDCARDS.match(line)) is not None:
            subject = " ".join(part.partition("=")[2] for part in match[1].split(", "))
            self.jobs.append(Job(self._rule, subject, self._reason))
            self.progress.started(f"{self._rule} {subject}")
        elif (match := _TOTAL.match(line)) is not None:
            self.total = int(match[1])
            self.progress.update(self.done, self.total)
        elif (match := _STEPS.match(line)) is not None:
            self.done, self.total = int(match[1]), int(match[2])
            self.progress.update(self.done, self.total)


def _follow(
    process: subprocess.Popen[bytes],
    said: Iterator[str],
    follower: Follower,
    ownership: Ownership,
) -> None:
    beaten = time.monotonic()
    while True:
        ended = process.poll() is not None
        for piece in said:
            follower.read(piece)
        if ended:
            return
        if time.monotonic() - beaten > BEAT_S:
            beaten = time.monotonic()
            ownership.beat()
        follower.progress.tick()
        time.sleep(POLL_S)
