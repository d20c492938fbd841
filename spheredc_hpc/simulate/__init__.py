"""Simulated raw nights with known truth."""

from spheredc_hpc.simulate.irdis import simulate_irdis
from spheredc_hpc.simulate.night import simulate_night
from spheredc_hpc.simulate.scene import IrdisScenario, load_scenario, scenario_names
from spheredc_hpc.simulate.truth import Truth, load_truth

__all__ = [
    "IrdisScenario",
    "Truth",
    "load_scenario",
    "load_truth",
    "scenario_names",
    "simulate_irdis",
    "simulate_night",
]
