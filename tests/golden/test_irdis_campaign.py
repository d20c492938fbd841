"""The IRDIS campaign: its table covers what the archive holds, and its cheapest cases hold."""

from __future__ import annotations

import numpy as np
import pytest
from campaign_verdict import CASES, verdicts

from spheredc_hpc.instrument.filters import DUAL_BAND
from spheredc_hpc.simulate.sections import Defects


@pytest.fixture(scope="module")
def scenarios():
    return {name: case.scenario() for name, case in CASES.items()}


def test_the_campaign_spans_the_archive(scenarios):
    years = {scenario.date[:4] for scenario in scenarios.values()}
    assert years == {str(year) for year in range(2014, 2025)}
    assert len(scenarios) >= 30
    assert len({scenario.seed for scenario in scenarios.values()}) > 0.9 * len(scenarios)


def test_every_mode_has_a_case(scenarios):
    nights = list(scenarios.values())
    filters = {night.filter for night in nights}
    assert set(DUAL_BAND) <= filters
    assert {"BB_Y", "BB_J", "BB_H", "BB_Ks"} <= filters
    assert any(name.startswith("NB_") for name in filters)
    assert {night.pointing.tracking for night in nights} == {"PUPIL", "FIELD"}
    assert {night.wavefront.waffle_orientation for night in nights} == {"x", "+"}
    assert any(night.sequence.continuous_waffle for night in nights)
    assert any(not night.has_mask for night in nights)
    assert len({n.hopping.ob_id == n.ob_id for n in nights if n.hopping is not None}) == 2
    assert any(-1 < night.target.dec_deg < 0 for night in nights)
    assert any(night.target.dec_deg > 0 for night in nights)
    assert any(night.sequence.object.nd != "OPEN" for night in nights)


def test_every_defect_of_the_simulator_has_a_case(scenarios):
    met = {
        name
        for scenario in scenarios.values()
        for name, value in scenario.defects.plain().items()
        if value
    }
    assert met == set(Defects.model_fields)


@pytest.mark.parametrize(
    ("offset", "error", "faulty"), [(0.2, 0.1, 0), (0.9, 0.1, 1), (0.2, np.nan, 1)]
)
def test_a_position_without_an_error_is_a_fault(offset, error, faulty):
    case = CASES["h23"]
    companion = {"name": "b", "found": True, "offset_px": [offset, 0.0], "error_px": [error, error]}
    companion |= {"flux": [1.0], "flux_err": [0.1]}
    made = {"status": "ok", "flags": [], "companions": [companion]}
    one = {"target": case.scenario().target.name, "status": "ok", case.recipes[0]: made}
    (row,) = verdicts(case, {"observations": [one], "failures": []})
    assert len(row["faults"]) == faulty


@pytest.mark.night
@pytest.mark.parametrize("name", ["h23", "no-center", "all-open-loop"])
def test_a_case_ends_as_expected(name, tmp_path):
    """One without a flag, one with a flag, one rejected; the whole table: tests/bench."""
    import campaign_run

    record = campaign_run.run_case(CASES[name], tmp_path)
    assert record["failures"] == []
    faults = [fault for row in verdicts(CASES[name], record) for fault in row["faults"]]
    assert faults == []
