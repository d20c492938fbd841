"""One run per root; what a killed run leaves is cleared, what lives is respected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from spheredc_hpc import cli
from spheredc_hpc.campaign import owner
from spheredc_hpc.campaign.owner import LOCK, RECORD, owning
from spheredc_hpc.errors import ConfigError, ExternalError, ResourceError

HOLD = """
import sys, time
from pathlib import Path
from spheredc_hpc.campaign.owner import owning
with owning(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(  # noqa: S603 our own code
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_in_a_root_is_refused_and_told_who_is_there(tmp_path, holder):
    with pytest.raises(ExternalError, match=f"process {holder.pid} on"), owning(tmp_path):
        pass


def test_a_root_whose_owner_was_killed_is_free_and_its_snakemake_lock_is_cleared(tmp_path, holder):
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("x")
    holder.kill()
    holder.wait()
    with owning(tmp_path):
        assert not locks.exists()


def test_the_lock_of_a_snakemake_that_nobody_started_here_is_left(tmp_path):
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    with owning(tmp_path):
        assert locks.exists()


def test_a_root_is_free_after_a_run(tmp_path):
    with owning(tmp_path):
        assert (tmp_path / RECORD).is_file()
    assert not (tmp_path / RECORD).exists()
    with owning(tmp_path):
        pass


def record_of_another_host(root, age_s):
    (root / RECORD).write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 1.0}))
    os.utime(root / RECORD, (time.time() - age_s,) * 2)


def test_a_run_on_another_host_that_gave_a_sign_of_life_is_respected(tmp_path):
    record_of_another_host(tmp_path, 30.0)
    with pytest.raises(ExternalError, match="on elsewhere"), owning(tmp_path):
        pass


def test_a_run_on_another_host_that_fell_silent_is_dead(tmp_path):
    record_of_another_host(tmp_path, 2 * owner.SILENT_S)
    with owning(tmp_path):
        pass


def test_a_snakemake_that_outlives_its_run_is_waited_for(tmp_path, monkeypatch):
    import psutil

    monkeypatch.setattr(owner, "GRACE_S", 0.3)
    me = psutil.Process()
    values = {"host": "here", "pid": 1, "started": 1.0, "snakemake_pid": me.pid}
    record = values | {"host": os.uname().nodename, "snakemake_started": me.create_time()}
    (tmp_path / RECORD).write_text(json.dumps(record))
    with pytest.raises(ExternalError, match="is still at work"), owning(tmp_path):
        pass


def test_a_root_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    refused = pytest.raises(ResourceError, match="cannot write the result root")
    with refused, owning(tmp_path / "file" / "root"):
        pass
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("words", [("scan", "{}", "--root", "{}"), ("plan", "--root", "{}")])
def test_scan_and_plan_are_refused_in_a_root_where_a_run_is_at_work(
    tmp_path, holder, capsys, words
):
    code = cli.run([word.format(tmp_path) for word in words])
    assert code == ExternalError.exit_code
    assert f"another run is at work in {tmp_path} (process {holder.pid}" in capsys.readouterr().err


def test_planning_does_not_make_a_root(tmp_path, capsys):
    assert cli.run(["plan", "--root", str(tmp_path / "absent")]) == ConfigError.exit_code
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "absent").exists()


def test_an_unknown_profile_is_refused_before_the_root_is_touched(tmp_path, capsys):
    words = ["reduce", str(tmp_path), "--root", str(tmp_path / "root"), "--profile", "nope"]
    assert cli.run(words) == ConfigError.exit_code
    assert "no profile 'nope'; known: local" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()
