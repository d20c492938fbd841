"""Registries find their variants and name what is unknown."""

from __future__ import annotations

import pytest

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.registry import ALGORITHMS, CALIBRATIONS, MODES, Registry


@pytest.mark.parametrize("registry", [ALGORITHMS, CALIBRATIONS, MODES])
def test_every_entry_has_a_summary_and_lives_in_its_package(registry):
    assert len(registry) > 0
    for name, entry in registry.items():
        assert entry.name == name
        assert entry.summary.endswith(".")
        assert entry.module.startswith(registry.package)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown algorithm 'pcaa'; known: .*pca"):
        ALGORITHMS["pcaa"]


def test_two_definitions_of_one_name_are_refused():
    registry = Registry("thing", "spheredc_hpc.model")

    @registry("a")
    def first():
        """First."""

    def second():
        """Second."""

    with pytest.raises(ConfigError, match="defined twice"):
        registry("a")(second)
