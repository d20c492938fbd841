"""Nights that several tests look at; every plane is full-size, so they are few and short."""

from __future__ import annotations

import pytest

from spheredc_hpc.simulate import load_scenario, simulate_irdis


@pytest.fixture(scope="session")
def small_night(tmp_path_factory):
    """Every frame class of the built-in night, with few integrations."""
    folder = tmp_path_factory.mktemp("small-night")
    return simulate_irdis(load_scenario("first-light-small"), folder, threads=2)


@pytest.fixture(scope="session")
def brief():
    """A scenario of one OBJECT and one FLUX file, without calibrations; revise it at will."""
    return load_scenario("first-light-small").revise(
        {
            "name": "brief",
            "sequence": {
                "center_before": {"files": 0},
                "center_after": {"files": 0},
                "sky": {"files": 0},
                "flux_before": {"ndit": 1},
                "object": {"files": 1, "ndit": 1},
                "sparta": False,
            },
            "calibrations": {"dark_ndit": 0, "background_ndit": 0, "flat_dits_s": []},
        }
    )
