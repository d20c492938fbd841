"""Configurations: an empty one is valid, a wrong key or value is named."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from spheredc_hpc.config import Config, default_yaml, json_schema, load, parse
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES


def test_an_empty_configuration_is_valid_and_its_recipes_are_of_the_registry():
    config = parse({})
    assert {recipe.algorithm for recipe in config.level2.values()} <= set(ALGORITHMS)
    assert {recipe.strategy for recipe in config.level2.values()} <= set(STRATEGIES)
    assert config == Config()


def test_the_printed_defaults_are_the_defaults():
    assert parse(yaml.safe_load(default_yaml())) == Config()


def test_every_default_satisfies_the_schema():
    schema = json_schema()
    defaults = json.loads(json.dumps(Config().plain()))
    jsonschema.validate(defaults, schema)
    assert set(defaults) == set(schema["properties"])
    defaults["level2"]["pca-adi"]["settings"]["nope"] = 1
    with pytest.raises(jsonschema.ValidationError, match="nope"):
        jsonschema.validate(defaults, schema)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levle2": {}}, "levle2: unknown key"),
        ({"output": {"umaks": "022"}}, "output.umaks: unknown key"),
        ({"output": {"umask": "9"}}, "output.umask: .*got '9'"),
        ({"calibration": {"flatt": {}}}, "unknown calibration 'flatt'; known: "),
        ({"calibration": {"flat": {"nope": 1}}}, "calibration.flat.nope: unknown key"),
        ({"calibration": {"flat": [1]}}, r"calibration.flat: .*got \[1\]"),
        ({"calibration": 3}, "calibration: .*expected a mapping, got int"),
        ({"level2": {"x": {"algorithm": "pcaa"}}}, "unknown algorithm 'pcaa'"),
        (
            {"level2": {"x": {"algorithm": "pca", "settings": {"n_modes": -1}}}},
            "level2.x.settings.n_modes: .*got -1",
        ),
        ({"level2": {"x": {"algorithm": "pca", "settings": [1]}}}, r"level2.x.settings: .*\[1\]"),
        ({"level2": {"Bad Name": {"algorithm": "pca"}}}, "recipe name 'Bad Name'"),
        ({"association": {"flat": {"nominal_h": 99, "acceptable_h": 1}}}, "windows must grow"),
    ],
)
def test_wrong_keys_and_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        parse(values)


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load(path)
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="is no YAML"):
        load(path)
    with pytest.raises(ConfigError, match=r"absent.yaml"):
        load(tmp_path / "absent.yaml")


def test_the_label_of_a_recipe_follows_its_settings():
    first = parse({"level2": {"a": {"algorithm": "pca", "settings": {"n_modes": 3}}}})
    second = parse({"level2": {"a": {"algorithm": "pca", "settings": {"n_modes": 4}}}})
    label = first.level2["a"].label("a")
    assert label.startswith("a-")
    assert len(label) == len("a-") + 8
    assert label != second.level2["a"].label("a")
    assert first.recipe_by_label(label) == ("a", first.level2["a"])
    with pytest.raises(ConfigError, match="unknown recipe"):
        second.recipe_by_label(label)


def test_settings_of_a_first_step_are_those_of_the_algorithm():
    values = {"algorithm": "pca", "strategy": "asdi-two-step", "first_step": {"n_modes": 1}}
    recipe = parse({"level2": {"two": values}}).level2["two"]
    assert (recipe.first_step.n_modes, recipe.settings.n_modes) == (1, 5)
    assert parse({"level2": {"two": recipe.plain()}}).level2["two"] == recipe
    jsonschema.validate({"level2": {"two": recipe.plain()}}, json_schema())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategy": "sid"}, "unknown strategy 'sid'; known: adi, ardi, asdi"),
        ({"strategy": "asdi", "first_step": {}}, "first_step belongs to strategy asdi-two-step"),
        ({"strategy": "asdi-two-step", "first_step": {"modes": 1}}, "first_step.modes: unknown"),
    ],
)
def test_what_does_not_go_with_a_strategy_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        parse({"level2": {"one": {"algorithm": "pca", **values}}})
