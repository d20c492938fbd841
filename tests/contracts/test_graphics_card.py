"""A machine with a graphics card tests it: nothing that is missing there passes for no card."""

from __future__ import annotations

import pytest
import real_card

from spheredc_hpc.errors import ResourceError


@pytest.fixture
def no_cupy(monkeypatch):
    def find():
        raise ResourceError("no GPU: CuPy is not installed")

    monkeypatch.setattr(real_card, "find_card", find)


def pretend(monkeypatch, folder, code):
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("no_cupy")
def test_a_card_that_cupy_does_not_find_is_a_failure(monkeypatch, tmp_path):
    pretend(monkeypatch, tmp_path, 0)
    with pytest.raises(pytest.fail.Exception, match="CuPy is not installed"):
        real_card.card_or_skip()


@pytest.mark.usefixtures("no_cupy")
def test_no_card_is_a_loud_skip(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="NO GPU"):
        real_card.card_or_skip()
    pretend(monkeypatch, tmp_path, 9)  # the driver's tools without a card
    with pytest.raises(pytest.skip.Exception, match="NO GPU"):
        real_card.card_or_skip()


def test_the_extra_is_installed_before_its_suite(project_root):
    text = (project_root / ".ci" / "run").read_text(encoding="utf-8")
    installed = text.index("envs/bootstrap.py setup gpu")
    assert text.index("nvidia-smi") < installed < text.index("suite gpu")
