"""A night from raw frames to the report by `spheredc reduce`, and what a second run does."""

from __future__ import annotations

import json

import pytest
from killing import decoded

from spheredc_hpc import cli

QUICK_CHANGED = """
level2:
  pca-adi:
    algorithm: pca
    imaging: {outer_mas: 800.0, throughput_branches: 1}
    settings: {n_modes: 2}
"""


@pytest.fixture(scope="module")
def night(small_night, quick_config, tmp_path_factory):
    """The root of a reduced small night."""
    root = tmp_path_factory.mktemp("night") / "root"
    words = ["reduce", small_night, "--root", root, "--config", quick_config, "--quiet"]
    assert cli.run([str(word) for word in words]) == 0
    return root


def answer(capsys, *words):
    code = cli.run([str(word) for word in words])
    return code, json.loads(capsys.readouterr().out)


def test_every_product_of_the_night_is_there_and_sound(night, capsys):
    _, found = answer(capsys, "ls", night, "--json")
    kinds = sorted(product["kind"] for product in found["products"])
    assert kinds == ["background", "background", "bad_pixels", "flat", "level1", "level2"]
    (observation,) = found["observations"]
    assert len(observation["products"]) == 2
    # One CENTER exposure before and after, but of one template: no drift can be told.
    statuses = {product["kind"]: product["status"] for product in found["products"]}
    assert statuses["level1"] in ("ok", "flagged")
    assert statuses["level2"] in ("ok", "flagged")
    assert answer(capsys, "verify", night, "--json") == (
        0,
        {"schema_version": 1, "checked": 6, "damaged": {}},
    )


def test_the_run_ends_with_a_report_and_a_catalogue(night):
    assert (night / "report.html").stat().st_size > 10_000
    assert (night / "catalogue.sqlite").is_file()


def test_a_second_run_has_nothing_to_do_and_changes_nothing(night, small_night, reduce):
    before = {path: path.stat().st_mtime_ns for path in night.rglob("*.json")}
    code, out, _ = reduce(small_night, night)
    assert code == 0
    assert out.startswith("nothing to do")
    assert {path: path.stat().st_mtime_ns for path in night.rglob("*.json")} == before


def jobs(out):
    """Rules of the jobs that a dry run lists."""
    *listed, last = out.splitlines()
    assert last == f"{len(listed)} jobs to do"
    return sorted(line.split()[0] for line in listed)


def test_changed_level2_settings_need_level2_only(night, small_night, reduce, tmp_path):
    (tmp_path / "changed.yaml").write_text(QUICK_CHANGED)
    code, out, _ = reduce(small_night, night, "--dry-run", config=tmp_path / "changed.yaml")
    assert code == 0
    assert jobs(out) == ["level2"]


def test_changed_flat_settings_need_a_new_flat_and_what_follows(
    night, small_night, reduce, tmp_path
):
    from spheredc_hpc.config import Config

    section = Config().calibration["flat"].plain()
    name, value = next((k, v) for k, v in section.items() if isinstance(v, float))
    text = QUICK_CHANGED + f"calibration: {{flat: {{{name}: {value * 1.01}}}}}\n"
    (tmp_path / "changed.yaml").write_text(text)
    code, out, _ = reduce(small_night, night, "--dry-run", config=tmp_path / "changed.yaml")
    assert code == 0
    # The flat and the bad pixels that come of it; the backgrounds stay.
    assert jobs(out) == ["calibrate", "calibrate", "level1", "level2"]


@pytest.mark.night
def test_one_core_and_many_give_the_same_arrays(night, small_night, reduce, tmp_path):
    code, _, _ = reduce(small_night, tmp_path / "root", "--cores", 1, "--threads", 1)
    assert code == 0
    assert decoded(tmp_path / "root") == decoded(night)
