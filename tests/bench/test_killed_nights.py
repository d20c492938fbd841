"""A real night killed at 20 seeded instants, run again each time: the same arrays, bit for bit.

Takes about a quarter of an hour on two cores. SPHEREDC_KILLS changes the number of instants.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from killing import decoded, problems_now, run_and_kill

from spheredc_hpc import cli
from spheredc_hpc.simulate import load_scenario, simulate_irdis

QUICK = """
level2:
  pca-adi:
    algorithm: pca
    imaging: {outer_mas: 800.0, throughput_branches: 1}
    settings: {n_modes: 1}
  no-adi:
    algorithm: noadi
    strategy: none
    imaging: {outer_mas: 800.0, throughput_branches: 1}
"""
KILLS = int(os.environ.get("SPHEREDC_KILLS", "20"))
SHARES = np.random.default_rng(2018).uniform(0.02, 0.98, KILLS)


def command(raw: Path, root: Path, config: Path) -> list[str]:
    words = [sys.executable, "-m", "spheredc_hpc.cli", "reduce", raw, "--root", root]
    return [str(word) for word in (*words, "--config", config, "--cores", 2, "--quiet")]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    simulate_irdis(load_scenario("first-light-small"), folder / "raw", threads=2)
    (folder / "quick.yaml").write_text(QUICK)
    words = command(folder / "raw", folder / "undisturbed", folder / "quick.yaml")
    start = time.perf_counter()
    assert cli.run(words[3:]) == 0
    return folder, time.perf_counter() - start, decoded(folder / "undisturbed")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(KILLS))
def test_a_night_killed_at_a_seeded_instant_ends_with_the_same_arrays(night, tmp_path, number):
    folder, duration_s, undisturbed = night
    words = command(folder / "raw", tmp_path / "root", folder / "quick.yaml")
    delay_s = float(SHARES[number] * duration_s)
    killed = run_and_kill(words, delay_s, whole=bool(number % 2))
    if (tmp_path / "root").is_dir():
        assert problems_now(tmp_path / "root") == []
    start = time.perf_counter()
    assert cli.run(words[3:]) == 0
    sys.stderr.write(
        f"kill {number:2d} after {delay_s:5.1f} s of {duration_s:.1f} s "
        f"({'all' if number % 2 else 'first process'}{'' if killed else ', too late'}): "
        f"resumed in {time.perf_counter() - start:.1f} s\n"
    )
    assert problems_now(tmp_path / "root") == []
    assert decoded(tmp_path / "root") == undisturbed
