"""Locks exclude, end with their holder and leave no file behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.store.lock import exclusive, is_held


def test_one_holder_at_a_time(tmp_path):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(20):
            with exclusive(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_no_file_is_left(tmp_path):
    with exclusive(tmp_path / "lock"):
        assert is_held(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_holds_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from spheredc_hpc.store.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    path = tmp_path / "lock"
    holder = subprocess.Popen(  # noqa: S603 our own code
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert is_held(path)
    holder.kill()
    holder.wait()
    assert not is_held(path)
    with exclusive(path):
        pass


def test_looking_at_a_lock_leaves_the_next_holder_alone(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    path.touch()
    opened_before = os.open(path, os.O_RDWR)
    path.unlink()
    with exclusive(path):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", lambda *_args: opened_before)
            assert is_held(path)
        assert path.exists()


def test_a_place_that_cannot_be_written_is_a_lack_of_resources(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"), exclusive(tmp_path / "file" / "lock"):
        pass
