"""The bootstrap finishes what it starts, or starts again."""

from __future__ import annotations

import fcntl
import importlib.util
import subprocess
import sys
import threading

import pytest


@pytest.fixture
def bootstrap(project_root, tmp_path, monkeypatch):
    """The module with an environment of its own; making and filling it is only noted."""
    monkeypatch.setenv("SPHEREDC_VENV", str(tmp_path / "venv"))
    path = project_root / "envs" / "bootstrap.py"
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def make_venv():
        module.calls.append("venv")
        return True

    monkeypatch.setattr(module, "make_venv", make_venv)
    monkeypatch.setattr(module, "pip_install", lambda arguments, task: module.calls.append(task))
    monkeypatch.setattr(module, "compile_packages", lambda: None)
    return module


def test_second_call_does_nothing(bootstrap):
    bootstrap.ensure(["test"])
    bootstrap.calls.clear()
    bootstrap.ensure(["test"])
    bootstrap.ensure()
    assert bootstrap.calls == []


def test_extra_is_added_to_the_environment_that_is_there(bootstrap):
    bootstrap.ensure()
    bootstrap.calls.clear()
    bootstrap.ensure(["lint"])
    assert "venv" not in bootstrap.calls
    assert bootstrap.calls[-1] == "installing the packages for lint"


def test_killed_installation_is_started_afresh(bootstrap, monkeypatch):
    def killed(arguments, task):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "pip_install", killed)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.ensure()
    bootstrap.calls.clear()
    bootstrap.ensure()
    assert bootstrap.calls[0] == "venv"


@pytest.mark.parametrize("stage", ["make_venv", "compile_packages"])
def test_environment_is_not_stamped_before_it_is_whole(bootstrap, monkeypatch, stage):
    def killed():
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, stage, killed)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.ensure()
    assert not list(bootstrap.BOOKS.glob("runtime.stamp"))
    assert (bootstrap.BOOKS / "busy").exists()


def test_changed_requirement_is_noticed_and_changed_tool_setting_is_not(bootstrap, tmp_path):
    text = (bootstrap.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "envs").mkdir()
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    bootstrap.ROOT = tmp_path
    before = bootstrap.wanted_digest("runtime")
    (tmp_path / "pyproject.toml").write_text(
        text.replace("line-length = 100", "line-length = 99"), encoding="utf-8"
    )
    assert bootstrap.wanted_digest("runtime") == before
    (tmp_path / "pyproject.toml").write_text(
        text.replace('"psutil>=6.0"', '"psutil>=6.1"'), encoding="utf-8"
    )
    assert bootstrap.wanted_digest("runtime") != before


def test_folder_that_was_not_made_here_is_left_alone(bootstrap):
    bootstrap.VENV.mkdir()
    (bootstrap.VENV / "precious").touch()
    with pytest.raises(bootstrap.BootstrapError, match="was not made here"):
        bootstrap.ensure()
    assert (bootstrap.VENV / "precious").exists()


def test_second_of_two_waits_and_finds_the_work_done(bootstrap):
    bootstrap.VENV.parent.mkdir(exist_ok=True)
    with bootstrap.VENV.with_name("venv.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=bootstrap.ensure)
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert bootstrap.calls == []
    second.join(10)
    assert bootstrap.calls[0] == "venv"


def test_caller_cannot_lead_pip_out_of_the_environment(bootstrap, monkeypatch):
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_RETRIES", "2")
    environment = bootstrap.pip_environment()
    assert not {"PIP_TARGET", "PYTHONPATH"} & set(environment)
    assert environment["PIP_RETRIES"] == "2"


def test_unknown_command_is_refused_without_an_environment(project_root, tmp_path):
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, project_root / "envs" / "bootstrap.py", "fly"],
        check=False,
        capture_output=True,
        text=True,
        env={"SPHEREDC_VENV": str(tmp_path / "venv"), "PATH": ""},
    )
    assert done.returncode == 1
    assert "unknown command 'fly'" in done.stderr
    assert not (tmp_path / "venv").exists()
