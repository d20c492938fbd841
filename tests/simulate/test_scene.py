"""Scenarios load, merge and refuse what they do not know."""

from __future__ import annotations

import pytest

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.simulate import load_scenario, scenario_names
from spheredc_hpc.simulate.scene import IrdisScenario, merge, parse_scenario


@pytest.mark.parametrize("name", scenario_names())
def test_every_built_in_scenario_is_valid_and_named_after_its_file(name):
    assert load_scenario(name).name == name


def test_built_in_night_meets_the_figures_promised():
    night = load_scenario("first-light")
    exposure = night.sequence.object
    assert exposure.files * exposure.ndit >= 48
    assert night.filter == "DB_H23"
    assert len(night.companions) == 4
    assert all(250 <= companion.separation_mas <= 1300 for companion in night.companions)


def test_default_scenario_is_valid():
    assert IrdisScenario().pointing.smear_steps >= 5


def test_scenario_file_revises_its_base(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: first-light\nseed: 7\ntarget: {magnitude: 6.0}\n", encoding="utf-8")
    scenario = load_scenario(path)
    assert (scenario.name, scenario.seed, scenario.target.magnitude) == ("mine", 7, 6.0)
    assert scenario.target.name == "TW_Hya"


def test_twin_differs_in_the_companions_only():
    night = load_scenario("first-light")
    assert night.without_companions().revise({"companions": night.plain()["companions"]}) == night


def test_merging_replaces_lists_and_scalars():
    merged = merge({"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "d": 2})
    assert merged == {"a": {"b": 1, "c": [3]}, "d": 2}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"taget": {}}, "taget"),
        ({"companions": [{"separation_mas": 0, "position_angle_deg": 0, "contrast": [1, 1]}]}, "0"),
        ({"base": "no-such-night"}, "no-such-night"),
        ({"sequence": {"object": {"dit_s": 0.1}}}, "dit_s.*got 0.1"),
        ({"sequence": {"flux_before": {"nd": "ND_2"}}}, "nd.*got 'ND_2'"),
        ({"pointing": {"smear_steps": 3}}, "smear_steps"),
        ({"date": "2018-13-45"}, "date.*month"),
        ({"hour_angle_h": 100.0}, "hour_angle_h"),
        (
            {"sequence": {"continuous_waffle": True}, "defects": {"mixed_dit": True}},
            "mixed_dit: the night has no OBJECT files",
        ),
        (
            {"sequence": {"object": {"files": 0}}, "atmosphere": {"degraded": {"share": 0.3}}},
            "degraded: the night has no OBJECT files",
        ),
    ],
)
def test_wrong_settings_are_named(values, word):
    with pytest.raises(ConfigError, match=word):
        parse_scenario(values)


def test_companions_need_different_names():
    companion = {"separation_mas": 300, "position_angle_deg": 0, "contrast": [1e-5, 1e-5]}
    with pytest.raises(ConfigError, match="share a name"):
        parse_scenario({"companions": [companion, companion]})


def test_missing_scenario_file_lists_the_built_in_ones():
    with pytest.raises(ConfigError, match="first-light"):
        load_scenario("nowhere.yaml")


def test_a_file_that_is_no_text_is_no_scenario(tmp_path):
    path = tmp_path / "night.yaml"
    path.write_bytes(b"\xd0\xff\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_scenario(path)
