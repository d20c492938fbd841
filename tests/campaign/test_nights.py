"""Overview of nights, and light against coherence time over many observations."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_root import PLAN, make_root

from spheredc_hpc.campaign.report import write_report
from spheredc_hpc.campaign.report.drawings import draw_coherence
from spheredc_hpc.campaign.report.facts import Level1, ObservationFacts, Product
from spheredc_hpc.campaign.report.nights import as_tsv, coherence_relations, night_rows
from spheredc_hpc.model.association import Association
from spheredc_hpc.store.codec import read_record
from spheredc_hpc.store.cube import AO_QUANTITIES, read_cube


def observation(number=0, night="2018-03-14", **changes):
    """Facts of one reduced observation."""
    level1 = Level1(
        Product(f"observations/{number}/level1", "level1", "ok"),
        shape=(2, 20, 100, 100),
        dits_s=(32.0,),
        seeing_arcsec=0.8,
        ranges={"seeing_arcsec": (0.7, 1.1)},
        star_peak=1e5,
    )
    values = {
        "id": f"obs-{number}",
        "target": f"HD {number}",
        "night": night,
        "arm": "IRDIS",
        "mode": "imaging",
        "filter": "DB_H23",
        "coronagraph": "N_ALC_YJH_S",
        "derotator_mode": "ELEV",
        "block": "1",
        "programme": "",
        "ra_deg": None,
        "dec_deg": None,
        "mjd_mid": 58192.0 - number,
        "status": "ok",
        "reasons": (),
        "flags": (),
        "notes": (),
        "frames": {},
        "raw_path": "",
        "level1": level1,
        "level2": (),
        "calibrations": (),
        "missing": (),
        "completeness": "degraded",
        "lacks": ("stale: flat\tof 2018",),
    }
    return ObservationFacts(**(values | changes))


def with_light(facts, tau0_ms, light):
    """Give an observation frames of this light at 10 lambda/D and coherence time."""
    relation = {
        "log_intensity": np.log10(light).tolist(),
        "log_inverse_tau0": (3 - np.log10(tau0_ms)).tolist(),
    }
    product = replace(facts.level1.product, quality={"tau0_relation": relation})
    return replace(facts, level1=replace(facts.level1, product=product))


def test_rows_are_by_night_and_time_and_unknown_values_are_empty():
    rows = night_rows([observation(0), observation(2), observation(1, night="2018-03-10")])
    assert [row.observation for row in rows] == ["obs-1", "obs-2", "obs-0"]
    table = list(csv.DictReader(as_tsv(rows).splitlines(), dialect="excel-tab"))
    assert table[0]["seeing_arcsec"] == "0.8"
    assert (table[0]["seeing_arcsec_min"], table[0]["seeing_arcsec_max"]) == ("0.7", "1.1")
    assert table[0]["tau0_ms"] == table[0]["strehl"] == table[0]["strehl_min"] == ""
    assert table[0]["lacks"] == "stale: flat of 2018"
    assert table[0]["conditions_from"] == "telemetry"


def test_the_source_of_the_conditions_is_told():
    def row(*flags):
        facts = observation()
        product = replace(facts.level1.product, flags=flags)
        return night_rows([replace(facts, level1=replace(facts.level1, product=product))])[0]

    assert row("NO_SPARTA").conditions_from == "headers"
    assert row("SPARTA_GAPS").conditions_from == "telemetry and headers"
    rejected = observation(level1=Level1(Product("a", "level1", "rejected")), status="rejected")
    (found,) = night_rows([rejected])
    assert (found.conditions_from, found.frames, found.left_out) == ("", None, None)


def test_light_follows_coherence_time_over_observations_of_one_setup():
    rng = np.random.default_rng(10)
    made = []
    for number in range(12):
        tau0 = rng.uniform(2, 9) * np.exp(rng.normal(scale=0.05, size=20))
        light = 1e5 * 3e-4 * (tau0 / 4) ** -1.5 * np.exp(rng.normal(scale=0.05, size=20))
        made.append(with_light(observation(number), tau0, light))
    made.append(with_light(observation(20, filter="DB_K12"), np.full(9, 4.0), np.full(9, 3.0)))
    made.append(observation(21))  # no frame with a coherence time
    h23, k12 = coherence_relations(made)
    assert (h23.filter, len(h23.points)) == ("DB_H23", 12)
    assert abs(h23.slope - 1.5) < 3 * h23.slope_err < 0.2
    assert h23.rank_correlation > 0.9
    assert h23.chance < 1e-4
    at_four = [p.log_light for p in h23.points if abs(p.log_inverse_tau0 - math.log10(250)) < 0.1]
    assert np.mean(at_four) == pytest.approx(math.log10(3e-4), abs=0.1)
    assert (len(k12.points), k12.slope) == (1, None)
    assert draw_coherence([h23, k12]).svg
    assert draw_coherence([k12]).note.startswith("Only one observation has")
    assert draw_coherence([]).note.startswith("No observation has")


def test_the_table_says_what_cubes_and_plans_say(tmp_path: Path):
    make_root(tmp_path)
    page = write_report(tmp_path, PLAN)
    facts = json.loads((tmp_path / "report.json").read_text())
    table = list(
        csv.DictReader((tmp_path / "report-nights.tsv").open(newline=""), dialect="excel-tab")
    )
    assert len(table) == len(facts["nights"]) == len(facts["observations"])
    checked = 0
    for row in table:
        path = tmp_path / "plan" / PLAN / "associations" / f"{row['observation']}.json"
        key = read_record(Association, path).observation.key
        assert (row["night"], row["filter"], row["tracking"]) == (
            key.night,
            key.filter,
            key.derotator_mode,
        )
        cube_path = tmp_path / "observations" / row["observation"] / "level1" / "cube.zarr"
        if row["frames"]:
            cube = read_cube(cube_path)
            assert int(row["frames"]) == cube.mjd.size
            seeing = cube.ao[:, AO_QUANTITIES.index("seeing_arcsec")]
            assert float(row["seeing_arcsec"]) == pytest.approx(np.nanmedian(seeing))
            assert float(row["seeing_arcsec_max"]) == pytest.approx(np.nanmax(seeing))
            checked += 1
        assert row["completeness"] in ("complete", "degraded", "incomplete")
    assert checked
    text = page.read_text()
    assert 'id="nights"' in text
    # The products of this root hold no light at 10 lambda/D.
    assert "No observation has telemetry" in text
