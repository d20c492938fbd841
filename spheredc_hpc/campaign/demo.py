"""The built-in night: simulated once, then reduced like any other."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import psutil

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.simulate import load_scenario, simulate_night

logger = logging.getLogger(__name__)

RAW = "raw"
SCENARIO = "first-light"


def ensure_raw(root: Path, scenario: str = SCENARIO, threads: int = 1) -> Path:
    """Give the folder with the simulated night, complete; simulate it if it is not there.

    The night is written beside its place and renamed, so a killed simulation starts again.

    Parameters
    ----------
    root : Path
        Result root; the night goes to its folder ``raw``.
    scenario : str
        Name or file of the scenario.
    threads : int
        Threads of the simulator.

    Raises
    ------
    ResourceError
        If the root cannot be written.
    """
    place = root / RAW
    if (place / "truth.json").is_file():
        return place
    for left in root.glob(f".{RAW}.*.part"):
        if not psutil.pid_exists(int(left.name.split(".")[2])):
            shutil.rmtree(left)
    scratch = root / f".{RAW}.{os.getpid()}.part"
    try:
        root.mkdir(parents=True, exist_ok=True)
        scratch.mkdir()
    except OSError as error:
        raise ResourceError(f"cannot write the result root {root}: {error.strerror}") from error
    logger.info("simulating the night %s", scenario)
    try:
        simulate_night(load_scenario(scenario), scratch, threads=threads)
        scratch.rename(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place
