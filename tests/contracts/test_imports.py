"""Import rules that hold for the sources as written."""

from __future__ import annotations

import ast
import sys

import pytest

GROUND_FLOOR = ("errors.py", "registry.py", "log.py")


def imported_names(path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def offenders(folder, *rooms: str) -> list[str]:
    forbidden = tuple(f"spheredc_hpc.{room}" for room in rooms)
    return [
        f"{path.relative_to(folder)}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in sorted(imported_names(path))
        if any(name == room or name.startswith(f"{room}.") for room in forbidden)
    ]


@pytest.mark.parametrize("module", GROUND_FLOOR)
def test_ground_floor_needs_the_standard_library_only(project_root, module):
    names = imported_names(project_root / "spheredc_hpc" / module)
    roots = {name.partition(".")[0] for name in names}
    assert roots - set(sys.stdlib_module_names) <= {"spheredc_hpc"}


def test_simulator_does_not_know_the_pipeline(project_root):
    rooms = ("level1", "calibration", "level2", "association", "ingest", "steps")
    assert offenders(project_root / "spheredc_hpc" / "simulate", *rooms) == []


@pytest.mark.parametrize("room", ["calibration", "level1", "level2", "steps", "association"])
def test_pipeline_does_not_know_the_simulator(project_root, room):
    assert offenders(project_root / "spheredc_hpc" / room, "simulate") == []


def test_anchors_know_neither_simulator_nor_pipeline(project_root):
    assert offenders(project_root / "tests" / "anchors", "simulate", "level1") == []


def test_cupy_is_imported_inside_functions_only(project_root):
    at_module_level = [
        str(path)
        for path in (project_root / "spheredc_hpc").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if (isinstance(node, ast.Import) and any(a.name.startswith("cupy") for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cupy"))
    ]
    assert at_module_level == []
