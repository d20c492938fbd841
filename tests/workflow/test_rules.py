"""The rules with stand-in verbs: what is made, left alone, redone, and picked up again."""

from __future__ import annotations

import os
import shutil

import psutil
import pytest
import toy_plan

from spheredc_hpc.campaign import engine
from spheredc_hpc.campaign.engine import EngineOptions, run_snakemake
from spheredc_hpc.campaign.owner import owning
from spheredc_hpc.campaign.progress import Progress
from spheredc_hpc.campaign.summary import summarise
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.inventory import products

LEVEL2 = [
    f"observations/{name}/level2/{recipe}"
    for name in toy_plan.OBSERVATIONS
    for recipe in toy_plan.RECIPES
]
LEVEL1 = [f"observations/{name}/level1" for name in toy_plan.OBSERVATIONS]
CALIBRATIONS = ["calibrations/background/k1", "calibrations/flat/k2"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "VERBS", toy_plan.install_verbs(tmp_path / "bin"))
    root = tmp_path / "root"
    toy_plan.write_plan(root)
    return root


def run(root, **options):
    with owning(root) as ownership:
        settings = EngineOptions(**{"cores": 2, **options})
        result = run_snakemake(ownership, toy_plan.PLAN, settings, Progress(quiet=True))
    return result, sorted(toy_plan.calls(root))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A root with everything made; copy it before use."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "VERBS", toy_plan.install_verbs(folder / "bin"))
        toy_plan.write_plan(folder / "root")
        result, made = run(folder / "root")
    assert result.returncode == 0, result.log.read_text()
    assert made == sorted(CALIBRATIONS + LEVEL1 + LEVEL2)
    return folder / "root"


@pytest.fixture
def done(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "VERBS", toy_plan.install_verbs(tmp_path / "bin"))
    return shutil.copytree(finished, tmp_path / "root", copy_function=shutil.copy2)


def test_second_run_does_nothing(done):
    result, made = run(done)
    assert (result.returncode, result.total, made) == (0, 0, [])
    assert "Nothing to be done" in result.log.read_text()


def test_changed_level2_settings_redo_only_that_recipe(done):
    toy_plan.write_plan(done, recipes={**toy_plan.RECIPES, "pca-0001": "changed"})
    _, made = run(done)
    assert made == [path for path in LEVEL2 if "pca" in path]


def test_changed_level1_settings_redo_level1_and_what_follows(done):
    toy_plan.write_plan(done, level1="changed")
    _, made = run(done)
    assert made == sorted(LEVEL1 + LEVEL2)


@pytest.mark.slow
def test_a_changed_association_redoes_its_observation_only(done):
    toy_plan.write_job(done, "obs-2", "other frames")
    _, made = run(done)
    assert made == sorted(path for path in LEVEL1 + LEVEL2 if "obs-2" in path)


def test_an_input_rewritten_with_equal_content_stops_the_cascade(done):
    job = done / "plan" / toy_plan.PLAN / "jobs" / "k1.json"
    os.utime(job)
    _, made = run(done)
    assert made == []


def test_only_a_product_that_is_not_sound_is_made_again_when_receipts_are_gone(done):
    whole, damaged = done / LEVEL1[0], done / LEVEL2[-1]
    before = (whole / receipts.RECEIPT).read_bytes()
    (damaged / "data.txt").write_text("flipped")
    for product in (whole, damaged):  # as Snakemake does before it starts a job
        (product / receipts.RECEIPT).unlink()
    _, made = run(done)
    assert made == [LEVEL2[-1]]
    assert (whole / receipts.RECEIPT).read_bytes() == before
    assert receipts.verify(damaged) == []


def fault(root, product, kind):
    path = root / "faults" / product.replace("/", "__")
    path.parent.mkdir(exist_ok=True)
    path.write_text(kind)
    return path


def test_failures_stop_only_what_depends_on_them_and_are_mended_by_later_runs(root):
    data, bug = LEVEL1[0], LEVEL2[-1]
    faults = [fault(root, data, "data"), fault(root, bug, "bug")]
    result, _ = run(root)
    assert result.returncode != 0
    lost = {data, bug, *(p for p in LEVEL2 if "obs-1" in p)}
    assert {found.product for found in products(root)} == {*CALIBRATIONS, *LEVEL1, *LEVEL2} - lost
    failed = {o.product: o.reasons for o in summarise(root, toy_plan.PLAN).with_status("failed")}
    assert failed[data] == (f"{data}: bad data",)
    assert failed[LEVEL2[0]] == (f"needs {data}, which failed",)
    assert failed[bug][-1] == "RuntimeError: bug"
    assert set(failed) == lost

    # The same data are not tried again; anything else is, and three times, as the rules say.
    _, made = run(root)
    assert made == [bug] * 3

    for path in faults:
        path.unlink()
    toy_plan.write_job(root, "obs-1", "other frames")
    result, made = run(root)
    assert result.returncode == 0
    assert made == sorted(lost)


@pytest.mark.slow
def test_a_product_whose_remake_failed_is_off_the_shelf_and_made_again(done):
    path = fault(done, LEVEL1[0], "bug")
    toy_plan.write_job(done, "obs-1", "other frames")
    run(done)
    assert LEVEL1[0] not in {found.product for found in products(done)}
    path.unlink()
    result, made = run(done)
    assert result.returncode == 0
    assert made == sorted([LEVEL1[0]] + [p for p in LEVEL2 if "obs-1" in p])


def test_dry_run_makes_nothing(root):
    result, made = run(root, dry_run=True)
    assert (result.returncode, made) == (0, [])
    assert "rule level2" in result.log.read_text()
    assert list(products(root)) == []


def test_snakemake_ends_if_the_run_cannot_note_it(root, monkeypatch):
    started = []

    def note(self, **facts):
        if facts:
            started.append(psutil.Process(facts["snakemake_pid"]))
            raise OSError(28, "No space left on device")

    with owning(root) as ownership:
        monkeypatch.setattr(type(ownership), "note", note)
        with pytest.raises(OSError, match="No space left"):
            run_snakemake(ownership, toy_plan.PLAN, EngineOptions(), Progress(quiet=True))
    assert not started[0].is_running()
