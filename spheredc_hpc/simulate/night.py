"""A whole simulated night: IRDIS, and the spectrograph beside it where the scenario has one."""

from __future__ import annotations

from pathlib import Path

from spheredc_hpc.simulate.ifs.night import simulate_ifs
from spheredc_hpc.simulate.irdis import simulate_irdis
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.truth import Truth


def simulate_night(scenario: IrdisScenario, out_dir: Path, *, threads: int = 1) -> Truth:
    """Write one simulated night; see `simulate_irdis` and `simulate_ifs`.

    Returns
    -------
    Truth
        Of the files of IRDIS; ``truth_ifs.json`` has that of the spectrograph.

    Raises
    ------
    ConfigError
        If the folder already holds raw files.
    ResourceError
        If the folder cannot be written.
    """
    truth = simulate_irdis(scenario, out_dir, threads=threads)
    if scenario.ifs is not None:
        simulate_ifs(scenario, scenario.ifs, out_dir, threads=threads)
    return truth
