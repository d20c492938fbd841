"""What failed for good is listed, and so are the observations that it stops."""

from __future__ import annotations

import json

import pytest
import toy_plan

from spheredc_hpc import cli
from spheredc_hpc.campaign.listing import listing
from spheredc_hpc.errors import DataError
from spheredc_hpc.steps.guard import make
from spheredc_hpc.store.receipt import Draft

FLAT, LEVEL1 = "calibrations/flat/k2", "observations/obs-1/level1"


@pytest.fixture
def root(tmp_path):
    toy_plan.write_plan(tmp_path)
    return tmp_path


def attempt(root, product, fails=True):
    def build(writer):
        if fails:
            raise DataError("no light")

    draft = Draft("any", product, (), {"fails": fails}, str(fails))
    if not fails:
        make(root / product, draft, build)
        return
    with pytest.raises(DataError, match="no light"):
        make(root / product, draft, build)


def statuses(root):
    return {o["observation"]: o["status"] for o in listing(root)["observations"]}


def test_a_failed_product_is_listed_with_its_reason_and_fails_its_observation(root):
    assert statuses(root) == {"obs-1": "planned", "obs-2": "planned"}
    attempt(root, LEVEL1)
    found = listing(root)
    (product,) = found["products"]
    assert (product["product"], product["kind"]) == (LEVEL1, "level1")
    assert (product["status"], product["reasons"]) == ("failed", ["no light"])
    assert statuses(root) == {"obs-1": "failed", "obs-2": "planned"}
    assert found["observations"][0]["reasons"] == [f"{LEVEL1}: no light"]
    assert found["observations"][0]["products"] == [LEVEL1]


def test_a_failed_calibration_fails_every_observation_that_needs_it(root):
    attempt(root, FLAT)
    assert [p["kind"] for p in listing(root)["products"]] == ["flat"]
    assert statuses(root) == {"obs-1": "failed", "obs-2": "failed"}


def test_a_failed_recipe_that_is_no_longer_planned_fails_no_observation(root):
    attempt(root, "observations/obs-1/level2/gone-0001")
    assert statuses(root) == {"obs-1": "planned", "obs-2": "planned"}


def test_a_failed_remake_is_failed_and_a_mended_one_is_not(root):
    attempt(root, LEVEL1, fails=False)
    attempt(root, LEVEL1)
    (product,) = listing(root)["products"]
    assert (product["status"], product["reasons"]) == ("failed", ["no light"])
    attempt(root, LEVEL1, fails=False)
    assert listing(root)["products"][0]["status"] == "ok"
    assert statuses(root)["obs-1"] == "planned"


def test_the_text_and_json_of_ls_name_failures(root, capsys):
    attempt(root, FLAT)
    assert cli.run(["ls", str(root)]) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["failed", FLAT, "no light"] in lines
    assert ["failed", "observations/obs-2", f"{FLAT}: no light"] in lines
    assert cli.run(["ls", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["products"][0]["status"] == "failed"
