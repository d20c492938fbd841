"""The project installs what it needs, from names and versions alone."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatch

import pytest
import yaml

PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+(; python_version [<>=]+ '3\.\d+')?")
# What asks for a site's own libraries or hardware is installed by name, not by the bootstrap.
SITE_EXTRAS = {"archive", "gpu", "mpi", "postgres"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pyproject(project_root):
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(project_root):
    lines = (project_root / "envs" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def tracked(project_root, *patterns: str) -> list[str]:
    try:
        listing = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "ls-files", "-z", "--", *patterns],  # noqa: S607 - git from the PATH
            cwd=project_root,
            check=True,
            capture_output=True,
            text=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.split("\0") if name]


def test_constraints_hold_names_and_versions_only(pins):
    assert [pin for pin in pins if PIN.fullmatch(pin) is None] == []


def test_constraints_name_each_distribution_once_and_in_order(pins):
    names = [canonical(pin.split("==")[0]) + pin.partition(";")[2] for pin in pins]
    assert names == sorted(set(names))


def test_every_requirement_is_pinned(pyproject, pins):
    wanted = list(pyproject["project"]["dependencies"]) + pyproject["build-system"]["requires"]
    for extra, requirements in pyproject["project"]["optional-dependencies"].items():
        if extra not in SITE_EXTRAS:
            wanted += requirements
    names = {canonical(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in wanted}
    assert names - {canonical(pin.split("==")[0]) for pin in pins} == set()


def test_every_data_file_of_the_package_is_declared(project_root, pyproject):
    patterns = pyproject["tool"]["setuptools"]["package-data"]["*"]
    names = [name for name in tracked(project_root, "spheredc_hpc") if not name.endswith(".py")]
    forgotten = [name for name in names if not any(fnmatch(name, f"*/{p}") for p in patterns)]
    assert forgotten == []


def test_nothing_tracked_is_large(project_root):
    sizes = {
        name: (project_root / name).stat().st_size
        for name in tracked(project_root)
        if (project_root / name).is_file()
    }
    assert [name for name, size in sizes.items() if size > 1_000_000] == []


def test_every_fragment_is_of_a_known_kind(project_root, pyproject):
    kinds = {kind["directory"] for kind in pyproject["tool"]["towncrier"]["type"]}
    names = [path.name for path in (project_root / "docs" / "changes").glob("*.md")]
    known = re.compile(rf"[a-z0-9-]+\.({'|'.join(kinds)})\.md")
    assert [name for name in names if known.fullmatch(name) is None] == []


def test_the_environment_of_the_rules_installs_nothing_of_the_projects_name(project_root):
    # A package of that name on a public index would be somebody else's.
    file = project_root / "workflow" / "envs" / "spheredc.yaml"
    (only,) = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    assert only.startswith("python=")
