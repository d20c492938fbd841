"""The graphics card of this machine, for tests that need a real one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.kernels.device import Card, find_card


def driver_sees_one() -> bool:
    """Tell whether the driver of this machine knows a card, whatever CuPy says."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    return subprocess.run([program], capture_output=True, check=False).returncode == 0  # noqa: S603 - as found on the path


def card_or_skip() -> Card:
    """Find the card; skip loudly where there is none, fail where there is one that CuPy misses."""
    try:
        return find_card()
    except ResourceError as error:
        if driver_sees_one():
            pytest.fail(f"nvidia-smi works here, but: {error}")
        pytest.skip(f"NO GPU, NOTHING OF IT IS TESTED: {error}")
