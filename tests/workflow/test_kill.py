"""Runs that are killed: nothing half made is listed, and the next run ends where it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import toy_plan
from killing import decoded, problems_now, run_and_kill

from spheredc_hpc.campaign import engine
from spheredc_hpc.campaign.engine import EngineOptions, run_snakemake
from spheredc_hpc.campaign.owner import RECORD, owning
from spheredc_hpc.campaign.progress import Progress

DRIVER = """
import sys
from pathlib import Path
from spheredc_hpc.campaign import engine
from spheredc_hpc.campaign.owner import owning
from spheredc_hpc.campaign.progress import Progress
engine.VERBS = Path(sys.argv[2])
with owning(Path(sys.argv[1])) as ownership:
    engine.run_snakemake(
        ownership, "toy", engine.EngineOptions(cores=2), Progress(quiet=True)
    )
"""
SLEEP_S = "0.3"


def finish(root):
    with owning(root) as ownership:
        options = EngineOptions(cores=2)
        return run_snakemake(ownership, toy_plan.PLAN, options, Progress(quiet=True))


@pytest.fixture(scope="module")
def verbs(tmp_path_factory):
    folder = toy_plan.install_verbs(tmp_path_factory.mktemp("verbs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "VERBS", folder)
        yield folder


@pytest.fixture(scope="module")
def undisturbed(verbs, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    toy_plan.write_plan(root)
    assert finish(root).returncode == 0
    return decoded(root)


# The whole run takes about 4 s: 1 s for Snakemake to start, then 4 stages of 0.5 s.
INSTANTS = np.random.default_rng(2).uniform(1.0, 3.5, 6).round(2).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["all processes", "first process"])
@pytest.mark.parametrize("delay_s", INSTANTS[:3])
def test_a_killed_run_resumes_to_the_same_products(tmp_path, verbs, undisturbed, delay_s, whole):
    root = tmp_path / "root"
    toy_plan.write_plan(root)
    command = [sys.executable, "-c", DRIVER, str(root), str(verbs)]
    env = {**os.environ, "TOY_SLEEP_S": SLEEP_S}
    assert run_and_kill(command, delay_s, whole=whole, env=env)
    assert problems_now(root) == []
    assert finish(root).returncode == 0
    assert problems_now(root) == []
    assert decoded(root) == undisturbed
    # Nothing is left of the killed run once its orphans are gone, and nothing remains to do.
    time.sleep(float(SLEEP_S))
    assert finish(root).total == 0
    assert [path for path in root.rglob(".*.part") if path.is_dir()] == []


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_all_the_same(tmp_path, verbs, undisturbed):
    root = tmp_path / "root"
    toy_plan.write_plan(root)
    command = [sys.executable, "-c", DRIVER, str(root), str(verbs)]
    env = {**os.environ, "TOY_SLEEP_S": SLEEP_S}
    for number, delay_s in enumerate(INSTANTS):
        run_and_kill(command, delay_s, whole=bool(number % 2), env=env)
        assert problems_now(root) == []
    assert finish(root).returncode == 0
    assert decoded(root) == undisturbed


def noted_snakemake(root, deadline):
    """Process id of the Snakemake of a run, once the run has noted it."""
    while time.monotonic() < deadline:
        try:
            return json.loads((root / RECORD).read_text())["snakemake_pid"]
        except (OSError, KeyError, ValueError):
            time.sleep(0.02)
    raise TimeoutError("the run noted no Snakemake")


def test_the_snakemake_of_a_killed_run_ends_with_it(tmp_path, verbs):
    root = tmp_path / "root"
    toy_plan.write_plan(root)
    command = [sys.executable, "-c", DRIVER, str(root), str(verbs)]
    deadline = time.monotonic() + 20
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 our own code
    pid = noted_snakemake(root, deadline)
    run.kill()
    run.wait()
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(pid)
