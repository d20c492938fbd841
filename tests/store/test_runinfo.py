"""What `run.json` says of a job is the job's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from spheredc_hpc.store.runinfo import Run, peak_rss_bytes

SMALL = "from spheredc_hpc.store.runinfo import peak_rss_bytes; print(peak_rss_bytes())"


def test_memory_of_the_process_that_started_a_job_is_not_the_jobs():
    held = np.ones(600 * 2**20, np.uint8)
    assert peak_rss_bytes() > held.nbytes
    run = subprocess.run(  # noqa: S603 a program written here
        [sys.executable, "-c", SMALL], capture_output=True, text=True, check=True
    )
    assert 2**20 < int(run.stdout) < held.nbytes / 2


def test_memory_that_was_given_back_still_counts():
    before = peak_rss_bytes()
    held = np.ones(before + 64 * 2**20, np.uint8)
    size = held.nbytes
    del held
    assert Run().finish()["peak_rss_mb"] * 1e6 > size


def test_memory_is_written_in_units_of_a_million_bytes():
    recorded = Run().finish()["peak_rss_mb"]
    # Rounded to a tenth; in MiB it would be smaller by a twentieth.
    assert recorded == pytest.approx(peak_rss_bytes() / 1e6, rel=0.01, abs=0.1)
