"""The files of the workflow: generated ones are fresh, all ship with the package."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest

from spheredc_hpc.campaign import assets
from spheredc_hpc.config import default_yaml, json_schema, load
from spheredc_hpc.errors import ConfigError

HOW = "make it anew: spheredc config --defaults > workflow/config/default.yaml"


def test_default_configuration_is_the_one_of_the_code(project_root):
    text = (project_root / "workflow" / "config" / "default.yaml").read_text()
    assert text == default_yaml(), HOW


def test_default_configuration_is_valid(project_root):
    load(project_root / "workflow" / "config" / "default.yaml")


def test_schema_is_the_one_of_the_code(project_root):
    text = (project_root / "workflow" / "config" / "schema.json").read_text()
    assert json.loads(text) == json_schema(), HOW.replace("defaults", "schema")


def test_every_workflow_file_ships_with_the_package(project_root):
    pyproject = tomllib.loads((project_root / "pyproject.toml").read_text())
    shipped = {
        f"{folder}/{path.name}"
        for folder, patterns in pyproject["tool"]["setuptools"]["data-files"].items()
        for pattern in patterns
        for path in project_root.glob(pattern)
    }
    wanted = [project_root / "Snakefile", *project_root.glob("workflow/rules/*.smk")]
    wanted += [*project_root.glob("workflow/envs/*"), *project_root.glob("profiles/*/config.yaml")]
    home = "share/spheredc_hpc"
    assert {f"{home}/{path.relative_to(project_root)}" for path in wanted} <= shipped


def test_workflow_is_found_where_the_package_was_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "PROJECT", tmp_path / "site-packages")
    monkeypatch.setattr(assets, "INSTALLED", tmp_path / "share")
    with pytest.raises(ConfigError, match="the workflow is missing"):
        assets.workflow_home()
    (tmp_path / "share" / "workflow" / "rules").mkdir(parents=True)
    (tmp_path / "share" / "Snakefile").write_text("")
    assert assets.workflow_home() == tmp_path / "share"


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ConfigError, match="known: local"):
        assets.profile_path("cray")


def test_sheet_needs_the_standard_library_only():
    # It is read by the Snakefile, before any job: each heavy import would delay every run.
    code = (
        "import sys\nimport spheredc_hpc.campaign.sheet\n"
        "print(','.join(sorted({'numpy', 'pydantic', 'yaml', 'astropy'} & set(sys.modules))))"
    )
    done = subprocess.run(  # noqa: S603 our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == ""


def test_lint_of_snakemake_is_content(project_root, tmp_path):
    place = ["--directory", str(tmp_path), "--snakefile", str(project_root / "Snakefile")]
    done = subprocess.run(  # noqa: S603 fixed program
        [sys.executable, "-m", "snakemake", "--lint", *place],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
