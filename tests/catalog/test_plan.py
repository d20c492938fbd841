import csv
import json
import shutil

import pytest

from spheredc_hpc.campaign.sheet import Sheet
from spheredc_hpc.campaign.workflow import write_workflow
from spheredc_hpc.catalog.models import (
    CalibrationUse,
    MissingCalibration,
    Observation,
    ObservationFrame,
    PlanEntry,
)
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.config import parse
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.level2.memory import Shape, predicted_mb
from spheredc_hpc.model.association import Association, CalibrationJob
from spheredc_hpc.store.codec import read_record

MIDNIGHT = 57647.0
HOUR = 1 / 24


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def planned(raw, root, config):
    scan([raw], root, config)
    summary = plan(root, "first", config, [raw])
    return root / "plan" / "first", summary


def test_the_sheet_names_the_observation_and_its_calibrations(planned):
    folder, summary = planned
    (row,) = rows_of(folder / "observations.tsv")
    assert row["observation"].startswith("2016-09-15_hd-1160_irdis_db_h23_1001_")
    expected = {"mode": "DBI", "level1_mode": "irdis_dbi", "n_frames": "16", "dit_s": "32.00"}
    assert {name: row[name] for name in expected} == expected
    assert (row["status"], row["reasons"]) == ("planned", "")
    assert summary.calibrations == {"background": 2, "bad_pixels": 1, "flat": 1}
    kinds = {name.split("/")[1] for name in row["calibrations"].split(";")}
    assert kinds == {"background", "bad_pixels", "flat"}


def test_calibration_rows_lead_to_their_jobs(planned, root):
    folder, _ = planned
    for row in rows_of(folder / "calibrations.tsv"):
        job = read_record(CalibrationJob, root / row["job"])
        assert (job.kind, job.key, job.product) == (row["kind"], row["key"], row["product"])
        assert sum(frame.n_planes for frame in job.frames) == int(row["n_planes"])
        assert ";".join(sorted(job.upstream.values())) == row["upstream"]


def test_the_workflow_reads_what_the_plan_writes(planned, root, config):
    write_workflow(root, "first", config)
    sheet = Sheet.read(root, "first")
    (name,) = sheet.observations
    made = {f"{row.product}/receipt.json" for row in sheet.calibrations.values()}
    assert set(sheet.observation_calibrations(name)) == made
    upstream = {u for row in sheet.calibrations.values() for u in row.upstream}
    assert {f"{product}/receipt.json" for product in upstream} < made


def test_memory_is_asked_for_by_recipe_frames_and_threads(planned, root, config):
    write_workflow(root, "first", config)
    sheet = Sheet.read(root, "first")
    (row,) = sheet.observations.values()
    shape = Shape(config.level1[row.level1_mode].cube_shape, row.n_frames)
    for name, recipe in config.level2.items():
        for threads in (1, 8):
            asked = sheet.level2_mb(row.observation, recipe.label(name), threads)
            # What the step itself will predict, so that it need not use scratch files; a tenth
            # is the margin, and the plan keeps six digits.
            assert asked == pytest.approx(1.1 * predicted_mb(shape, recipe, threads), abs=1.1)


def test_the_association_is_read_back(planned, root):
    folder, _ = planned
    (row,) = rows_of(folder / "observations.tsv")
    association = read_record(Association, root / row["association"])
    assert association.observation.id == row["observation"]
    assert len(association.frames["OBJECT"]) == 4
    assert association.calibration("background:FLUX").age_h == pytest.approx(9.0, abs=0.2)


def test_an_equal_plan_touches_no_file(planned, root, raw, config):
    folder, _ = planned
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    summary = plan(root, "first", config, [raw])
    assert (summary.n_written, summary.n_removed) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_changed_settings_name_other_products_and_drop_the_old_jobs(planned, root, raw, config):
    folder, _ = planned
    before = {row["product"]: row for row in rows_of(folder / "calibrations.tsv")}
    other = parse({"calibration": {"flat": {"block_px": 32}}})
    summary = plan(root, "first", other, [raw])
    after = {row["product"]: row for row in rows_of(folder / "calibrations.tsv")}
    # The flat and the bad pixels that are made of it; the backgrounds stay.
    assert len(set(after) - set(before)) == 2
    assert summary.n_removed == 2
    assert {f"{row['kind']}-{row['key']}.json" for row in after.values()} == {
        path.name for path in (folder / "calibrations").iterdir()
    }


def test_the_place_of_the_raw_files_does_not_name_products(planned, root, raw, config, tmp_path):
    folder, _ = planned
    before = (folder / "calibrations.tsv").read_text()
    moved = raw.rename(tmp_path / "archive")
    scan([moved], tmp_path / "root2", config)
    plan(tmp_path / "root2", "first", config, [moved])
    assert (tmp_path / "root2" / "plan" / "first" / "calibrations.tsv").read_text() == before


def test_a_missing_flat_is_named(root, config, raw, tmp_path):
    for path in raw.glob("*T1*"):
        path.unlink()  # the flats of the morning
    scan([raw], root, config)
    summary = plan(root, "first", config, [raw])
    assert list(summary.missing.values()) == [
        ("SPARTA exposure: night 2016-09-15, block 1001", "flat: IRDIS, DB_H23")
    ]
    assert {"FLAT_MISSING", "NO_SPARTA"} <= set(summary.flags)
    listed = json.loads((root / "plan/first/summary.json").read_text())["missing"]
    assert {item["text"] for item in listed} == set(next(iter(summary.missing.values())))
    assert summary.completeness == {"incomplete": 1}
    gaps = {row["needed"]: row for row in rows_of(root / "plan/first/completeness.tsv")}
    assert gaps["flat: IRDIS, DB_H23"]["state"] == "missing"
    told = json.loads((root / "plan/first/completeness.json").read_text())
    assert [gap["needed"] for gap in told["nights"]] == list(gaps)


def test_wrong_arms_are_planned_as_rejected(raw, root, config, raw_file):
    for i in range(3):
        raw_file(
            raw,
            "SCIENCE",
            MIDNIGHT + 0.01 + i / 100,
            DPR_TECH="POLARIMETRY,CORONOGRAPHY",
            INS_COMB_IFLT="DP_0_BB_H",
        )
    scan([raw], root, config)
    summary = plan(root, "first", config, [raw])
    assert (summary.n_planned, summary.n_rejected) == (1, 1)
    assert list(summary.rejected.values()) == [("IRDIS DPI is not supported yet",)]
    rejected = [
        r for r in rows_of(root / "plan/first/observations.tsv") if r["status"] != "planned"
    ]
    assert rejected[0]["level1_mode"] == ""
    assert rejected[0]["calibrations"] == ""


def test_a_folder_without_science_names_what_it_has(root, config, raw_file, tmp_path):
    folder = tmp_path / "raw"
    for i in range(3):
        raw_file(folder, "DARK", MIDNIGHT + i / 100)
    (folder / "bad.fits").touch()
    scan([folder], root, config)
    with pytest.raises(DataError) as error:
        plan(root, "first", config, [folder])
    assert str(error.value) == (
        f"no science frames in {folder}; found: 3 IRDIS DARK; 1 files cannot be read"
    )


def test_calibrations_come_from_the_whole_catalogue(root, config, night, raw, tmp_path):
    night(tmp_path / "raw2", MIDNIGHT + 1, OBS_ID=2002)
    scan([raw, tmp_path / "raw2"], root, config)
    for path in sorted(raw.glob("*T09*")):
        path.unlink()
    scan([raw], root, config)
    summary = plan(root, "first", config, [raw])
    assert summary.n_planned == 1
    use = CalibrationUse.objects.get(role="background:OBJECT")
    assert (use.tier, use.flags) == ("acceptable", ["BG_AGE"])


def test_files_of_one_id_that_differ_are_errors(root, config, raw, raw_file):
    raw_file(raw / "copy", "SCIENCE", MIDNIGHT, OBS_NAME="another")
    scan([raw], root, config)
    plan(root, "first", config, [raw])
    scanned = json.loads((root / "plan/first/scan.json").read_text())
    assert [note["problem"] for note in scanned["errors"]] == ["conflict", "conflict"]
    (row,) = rows_of(root / "plan/first/observations.tsv")
    assert row["n_frames"] == "12"


def test_plans_are_kept_apart_and_replaced(planned, root, raw, config, night, tmp_path):
    night(tmp_path / "raw2", MIDNIGHT + 1, OBS_ID=2002)
    scan([tmp_path / "raw2"], root, config)
    plan(root, "second", config)
    assert PlanEntry.objects.filter(plan="first").count() == 1
    assert PlanEntry.objects.filter(plan="second").count() == 2
    assert Observation.objects.count() == 2
    plan(root, "second", config, [raw])
    assert Observation.objects.count() == 1
    assert ObservationFrame.objects.count() == 6
    assert MissingCalibration.objects.filter(role="SPARTA").count() == 2


def test_a_plan_needs_a_root_and_a_plain_name(root, config, raw):
    with pytest.raises(ConfigError, match="does not exist"):
        plan(root, "first", config)
    with pytest.raises(ConfigError, match=r"plan name '\.\./x'"):
        plan(root, "../x", config)
    scan([raw], root, config)
    with pytest.raises(ConfigError, match="constant"):
        plan(root, "first", parse({"constants": {"no_such_constant": 1.0}}))


def test_raw_files_that_moved_are_planned_where_they_lie_now(planned, raw, root, config, tmp_path):
    # Sorted by name the old place comes first, so only its absence can decide.
    moved = raw.rename(tmp_path / "raw2")
    scan([moved], root, config)
    assert plan(root, "first", config, [moved]).n_planned == 1
    assert all(str(moved) in path for path in paths_of(root))


def test_of_equal_copies_the_one_that_was_asked_for_is_planned(
    planned, raw, root, config, tmp_path
):
    copy = shutil.copytree(raw, tmp_path / "zcopy")
    scan([copy], root, config)
    assert plan(root, "first", config, [copy]).n_planned == 1
    assert all(str(copy) in path for path in paths_of(root))
    assert plan(root, "first", config, [raw]).n_planned == 1
    assert all(str(raw) in path for path in paths_of(root))


def paths_of(root):
    """Raw files that the plan reads, calibrations included."""
    (row,) = rows_of(root / "plan" / "first" / "observations.tsv")
    association = read_record(Association, root / row["association"])
    jobs = [
        read_record(CalibrationJob, root / job["job"])
        for job in rows_of(root / "plan" / "first" / "calibrations.tsv")
    ]
    refs = [ref for frames in association.frames.values() for ref in frames]
    return {ref.path for ref in [*refs, *(ref for job in jobs for ref in job.frames)]}
