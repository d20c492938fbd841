from __future__ import annotations

import re

import pytest

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.constants import STATUSES, default_constants, parse_tables

DATED = """
version: "t"
sources: {paper: "a paper", other: "another"}
constants:
  plain: {unit: m, rows: [{value: 2.0, error: 0.1, source: paper, status: code}]}
  north:
    unit: deg
    rows:
      - {for: {arm: IRDIS}, value: -1.7, error: 0.1, source: paper, status: code, to: 2016-01-01}
      - {for: {arm: IRDIS}, value: -1.8, error: 0.1, source: other, status: code, from: 2016-01-01}
      - {for: {arm: [IRDIS, IFS], band: H2}, value: 5, error: 0, source: other, status: code}
"""
MJD_OF_2016 = 57388.0


@pytest.fixture
def dated():
    return parse_tables([DATED])


def test_every_row_has_error_source_unit_and_status():
    table = default_constants()
    for name in table.names:
        for row in table.rows(name):
            assert row.error >= 0
            assert row.unit
            assert row.source
            assert row.status in STATUSES


def test_the_row_that_uses_most_keys_wins(dated):
    assert dated.value("north", arm="IRDIS", band="H2", mjd=MJD_OF_2016) == 5
    assert dated.value("north", arm="IRDIS", band="K1", mjd=MJD_OF_2016) == -1.8


def test_validity_starts_with_its_first_day_and_ends_before_its_last(dated):
    assert dated.value("north", arm="IRDIS", mjd=MJD_OF_2016) == -1.8
    assert dated.value("north", arm="IRDIS", mjd=MJD_OF_2016 - 1e-6) == -1.7


def test_a_value_that_changed_with_time_needs_a_date(dated):
    with pytest.raises(ConfigError, match=r"north\[arm=IRDIS\] changes with time"):
        dated.get("north", arm="IRDIS")


def test_a_date_outside_of_all_rows_is_an_error():
    text = DATED.replace("to: 2016-01-01", "to: 2015-01-01")
    with pytest.raises(ConfigError, match="valid at MJD 57200"):
        parse_tables([text]).get("north", arm="IRDIS", mjd=57200)


def test_keys_that_a_constant_does_not_depend_on_are_ignored(dated):
    assert dated.value("plain", arm="IFS", band="Y2") == 2.0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda table: table.get("nort"), "unknown constant 'nort'; known: north, plain"),
        (lambda table: table.get("north", filtre="x"), "unknown selector 'filtre'"),
        (lambda table: table.get("north", arm="ZIMPOL"), "no value of north for .*ZIMPOL"),
    ],
)
def test_errors_name_the_thing_and_what_was_expected(dated, ask, message):
    with pytest.raises(ConfigError, match=message):
        ask(dated)


def test_an_override_without_selector_replaces_all_rows_of_the_name(dated):
    table = dated.with_overrides({"north": -2.0})
    assert {row.value for row in table.rows("north")} == {-2.0}
    assert dated.value("north", arm="IRDIS", mjd=MJD_OF_2016) == -1.8


def test_an_override_with_selector_replaces_only_its_rows(dated):
    table = dated.with_overrides({"north[arm=IRDIS, band=H2]": 7})
    assert table.value("north", arm="IRDIS", band="H2") == 7
    assert table.value("north", arm="IFS", band="H2") == 5
    row = table.get("north", arm="IRDIS", band="H2")
    assert row.status == "override"
    assert "5 (another)" in row.source


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sout": 1.0}, "unknown constant 'sout'"),
        ({"north[arm=ZIMPOL]": 1.0}, "meets no row"),
        ({"north[arm]": 1.0}, "cannot be read"),
        ({"north arm": 1.0}, "cannot be read"),
        ({"plain": float("nan")}, "not finite"),
        ({"plain": "1"}, "not a number"),
    ],
)
def test_wrong_overrides_are_refused(dated, overrides, message):
    with pytest.raises(ConfigError, match=message):
        dated.with_overrides(overrides)


def test_a_value_may_hold_from_a_date_on():
    table = default_constants().with_overrides(
        {
            "true_north_deg[arm=IRDIS]@2016-01-01": -1.70,
            "true_north_deg[arm=IRDIS]@2019-01-01": -1.8,
        }
    )
    dates = {57387.0: -1.75, 57388.0: -1.70, 58483.9: -1.70, 58484.0: -1.8, 60000.0: -1.8}
    for mjd, value in dates.items():
        assert table.value("true_north_deg", arm="IRDIS", mjd=mjd) == value
        assert table.value("true_north_deg", arm="IFS", mjd=mjd) == -1.75
    row = table.get("true_north_deg", arm="IRDIS", mjd=58000.0)
    assert (row.valid_from_mjd, row.valid_to_mjd, row.status) == (57388.0, 58484.0, "override")
    with pytest.raises(ConfigError, match="changes with time: give the date"):
        table.value("true_north_deg", arm="IRDIS")


@pytest.mark.parametrize("key", ["true_north_deg@2016-13-01", "true_north_deg@2016"])
def test_a_date_that_is_none_is_named(key):
    with pytest.raises(ConfigError, match=re.escape(key)):
        default_constants().with_overrides({key: -1.7})


def test_the_digest_follows_the_values(dated):
    assert parse_tables([DATED]).digest == dated.digest
    assert dated.with_overrides({}).digest == dated.digest
    assert dated.with_overrides({"plain": 2.1}).digest != dated.digest
    assert len(default_constants().digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("to: 2016-01-01", "to: 2016-01-02", "two rows"),
        ("source: paper, status: code}]", "source: hearsay, status: code}]", "hearsay"),
        ("error: 0.1, source: paper, status: code}]", "source: paper, status: code}]", "lacks"),
        ("status: code}]", "status: guess}]", "guess"),
        ("arm: IRDIS}, value: -1.7", "harm: IRDIS}, value: -1.7", "unknown selector 'harm'"),
        ('version: "t"', "", "0 versions"),
    ],
)
def test_a_malformed_table_is_refused(old, new, message):
    assert old in DATED
    with pytest.raises(ConfigError, match=message):
        parse_tables([DATED.replace(old, new)])
