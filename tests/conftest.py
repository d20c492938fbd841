"""What every test may use: the folder of real data, and a loud word when it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_REAL_DATA = "no real data"


def real_data_folder() -> Path:
    """Folder of the real headers, calibrations and sequences; it need not exist."""
    return Path(os.environ.get("SPHEREDC_DATA") or ROOT.parent / "shared" / "data").resolve()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Path of the real data; a test that asks for it is skipped where there are none."""
    folder = real_data_folder()
    if not folder.is_dir():
        pytest.skip(f"{NO_REAL_DATA}: {folder} is not a folder; set SPHEREDC_DATA")
    return folder


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Root of the source tree."""
    return ROOT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of the run which checks against real data did not happen."""
    skipped = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and NO_REAL_DATA in report.longrepr[2]
    ]
    if not skipped:
        return
    terminalreporter.section("REAL-DATA CHECKS DID NOT RUN", sep="!", red=True, bold=True)
    terminalreporter.line(
        f"{len(skipped)} tests need the real data, looked for in {real_data_folder()}. "
        "Set SPHEREDC_DATA to their folder."
    )
    for nodeid in sorted(set(skipped)):
        terminalreporter.line(f"  {nodeid}")
