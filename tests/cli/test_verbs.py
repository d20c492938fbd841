"""The command line: help, exit codes, one-line errors, JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest
import typer.main
from foreign_files import write_sequence

from spheredc_hpc import cli
from spheredc_hpc.errors import ConfigError, DataError, ExternalError, ResourceError


@pytest.fixture
def spheredc(capsys):
    """Run a command line in this process: exit code, standard output, standard error."""

    def run(*words):
        code = cli.run([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A root with one imported cube and one Level 2 product."""
    folder = tmp_path_factory.mktemp("imported")
    paths = write_sequence(folder / "in", size=41)
    root = folder / "root"
    words = ["import-cube", "--root", root, "--name", "star-one", "--pixel-scale", 12.25]
    words += ["--wavelength", 1.6, "--target", "Star One"]
    for name, path in paths.items():
        words += [f"--{name}", path]
    assert cli.run([str(word) for word in words]) == 0
    source = root / "observations" / "star-one" / "level1" / "receipt.json"
    config = folder / "config.yaml"
    config.write_text("level2: {pca-adi: {algorithm: pca, settings: {n_modes: 3}}}\n")
    assert cli.run(["level2", str(source), "--config", str(config)]) == 0
    return root


@pytest.mark.parametrize("verb", cli.verb_names())
def test_every_verb_has_help_with_an_example(spheredc, verb):
    code, out, _ = spheredc(verb, "--help")
    assert code == 0
    assert f"Example: spheredc {verb}" in " ".join(out.split())


def test_verbs_of_the_design_are_there():
    design = {"scan", "plan", "calibrate", "level1", "level2", "publish", "reduce", "demo"}
    design |= {"import-cube", "export", "show", "ls", "verify", "report", "doctor", "simulate"}
    assert design <= set(cli.verb_names())


def test_help_is_instant():
    # Half a second is the promise; the best of three keeps a busy machine out of it.
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "spheredc_hpc.cli", "--help"], check=True, capture_output=True
        )
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom spheredc_hpc import cli\ncli.run(['--help'])\n"
        "heavy = {'numpy', 'astropy', 'django', 'xarray', 'numba', 'pydantic', 'snakemake'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(  # noqa: S603 our own code
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_verb_or_option_is_a_usage_error(spheredc):
    assert spheredc("levle1")[0] == 2
    assert spheredc("ls", "--nonsense")[0] == 2


@pytest.mark.parametrize("error", [ConfigError, DataError, ResourceError, ExternalError])
def test_an_error_of_the_project_is_one_line_and_its_exit_code(spheredc, monkeypatch, error):
    def fail(root):
        raise error("the thing is 3, expected 4")

    monkeypatch.setattr("spheredc_hpc.campaign.listing.listing", fail)
    code, out, err = spheredc("ls")
    assert (code, out, err) == (error.exit_code, "", "spheredc: the thing is 3, expected 4\n")


def test_a_bug_leaves_a_traceback_in_the_log_and_exit_code_1(spheredc, monkeypatch):
    def fail(root):
        raise KeyError("oops")

    monkeypatch.setattr("spheredc_hpc.campaign.listing.listing", fail)
    code, _, err = spheredc("ls")
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("spheredc: unexpected KeyError: 'oops'\n")


def test_a_full_disk_is_a_lack_of_resources(spheredc, monkeypatch):
    def fail(root):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spheredc_hpc.campaign.listing.listing", fail)
    assert spheredc("ls")[0] == ResourceError.exit_code


def test_ls_json_lists_observations_and_products(spheredc, imported):
    code, out, _ = spheredc("ls", imported, "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found) == {"schema_version", "root", "observations", "products"}
    (observation,) = found["observations"]
    level1, level2 = found["products"]
    assert observation["observation"] == "star-one"
    assert observation["products"] == [level1["product"], level2["product"]]
    assert (level1["kind"], level2["kind"]) == ("level1", "level2")
    assert level2["recipe"].startswith("pca-adi-")
    for product in found["products"]:
        assert product["status"] == "flagged"
        assert {"path", "reasons", "flags", "quality", "size_bytes"} <= set(product)
        assert (imported / product["path"] / "receipt.json").is_file()


def test_ls_tells_what_was_imported_from_what_no_plan_names_any_more(spheredc, imported, tmp_path):
    from spheredc_hpc.model.product import InputRef
    from spheredc_hpc.store import receipt as receipts

    root = shutil.copytree(imported, tmp_path / "root")
    product = "observations/star-two/level1"
    draft = receipts.Draft("level1", product, (InputRef("OBJECT", "SPHER.X", "1"),), {}, "1")
    with receipts.writing(root / product, draft):
        pass
    listed = json.loads(spheredc("ls", root, "--json")[1])["observations"]
    statuses = {entry["observation"]: entry["status"] for entry in listed}
    assert statuses == {"star-one": "imported", "star-two": "unplanned"}


def test_ls_of_one_kind(spheredc, imported):
    _, out, _ = spheredc("ls", imported, "--kind", "level2")
    assert "level2/pca-adi-" in out
    assert "/level1" not in out


def test_ls_of_no_folder_is_a_data_error(spheredc, tmp_path):
    code, _, err = spheredc("ls", tmp_path / "absent")
    assert code == DataError.exit_code
    assert "is no folder" in err


def test_explaining_what_was_not_planned_says_so(spheredc, tmp_path):
    code, _, err = spheredc("plan", "--root", tmp_path / "absent", "--explain", "x")
    assert code == ConfigError.exit_code
    assert "has no plan 'default'; run `spheredc plan` first" in err


@pytest.mark.parametrize("place", ["{}/file/raw", "/proc"])
def test_a_night_that_cannot_be_written_is_a_lack_of_resources(spheredc, tmp_path, place):
    # Below a file no folder can be made; /proc is there and takes no file, even of root.
    (tmp_path / "file").write_text("")
    folder = place.format(tmp_path)
    code, _, err = spheredc("simulate", "first-light-small", "--output", folder)
    assert code == ResourceError.exit_code
    assert err.startswith(f"spheredc: cannot write the raw folder {folder}: ")


def test_show_names_status_settings_and_inputs(spheredc, imported):
    product = imported / "observations" / "star-one" / "level1"
    _, out, _ = spheredc("show", product)
    assert "flagged" in out
    assert "pixel_scale_mas = 12.25" in out
    assert "cube.fits" in out
    plain = json.loads(spheredc("show", product / "receipt.json", "--json")[1])
    assert plain["kind"] == "level1"


def test_recipes_and_defaults_are_those_of_the_configuration(spheredc, tmp_path):
    labels = [entry["label"] for entry in json.loads(spheredc("recipes", "--json")[1])]
    (tmp_path / "defaults.yaml").write_text(spheredc("config", "--defaults")[1])
    config = ("--config", tmp_path / "defaults.yaml")
    assert [e["label"] for e in json.loads(spheredc("recipes", "--json", *config)[1])] == labels


def test_config_check_names_an_unknown_key(spheredc, tmp_path):
    (tmp_path / "bad.yaml").write_text("levle2: {}\n")
    code, _, err = spheredc("config", "--check", tmp_path / "bad.yaml")
    assert code == ConfigError.exit_code
    assert "levle2: unknown key" in err


def test_config_schema_is_json(spheredc):
    assert json.loads(spheredc("config", "--schema")[1])["type"] == "object"


def test_doctor_looks_at_every_need(spheredc, tmp_path):
    code, out, _ = spheredc("doctor", "--root", tmp_path, "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 0
    assert {"Python", "workflow", "gzip", "disk", "database", "cores"} <= set(checks)


def test_doctor_warns_of_sqlite_on_a_network_file_system(monkeypatch, tmp_path):
    from spheredc_hpc.campaign import doctor

    monkeypatch.setattr(doctor, "file_system", lambda path: "nfs4")
    found = {check.name: check for check in doctor.examine(tmp_path)}
    assert found["database"].status == "error"
    assert "SPHEREDC_DATABASE_URL" in found["database"].advice


def test_doctor_asks_the_database_that_is_named(spheredc, monkeypatch, tmp_path):
    def check():
        code, out, _ = spheredc("doctor", "--root", tmp_path, "--json")
        found = {check["name"]: check for check in json.loads(out)["checks"]}
        return code, found["database"]["status"]

    monkeypatch.setenv("SPHEREDC_DATABASE_URL", f"sqlite:///{tmp_path}/other.sqlite")
    assert check() == (0, "ok")
    monkeypatch.setenv("SPHEREDC_DATABASE_URL", "oracle://host/name")
    assert check() == (ExternalError.exit_code, "error")


def test_verbs_have_distinct_summaries():
    command = typer.main.get_command(cli.build(cli.verb_names()))
    summaries = [verb.help.partition("\n")[0] for verb in command.commands.values()]
    assert len(set(summaries)) == len(summaries)
