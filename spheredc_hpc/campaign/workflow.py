"""What the Snakefile has to know of a plan besides its tables."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import yaml

from spheredc_hpc.config import Config, ImagingSettings, ModeSettings, Recipe, digest_of
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.level2.memory import memory_law
from spheredc_hpc.model.provenance import PRODUCT_VERSIONS
from spheredc_hpc.store.codec import canonical_json, write_text

CONFIG = "config.yaml"
WORKFLOW = "workflow.json"


def write_workflow(root: Path, plan: str, config: Config) -> None:
    """Freeze the configuration of a plan and note what each kind of product depends on.

    The note holds one digest per calibration, observing mode and recipe, of its settings, the
    product version and the instrument constants. Snakemake compares it with that of the last
    run, so a changed section redoes only what depends on it.

    Parameters
    ----------
    root : Path
        Result root.
    plan : str
        Name of the plan.
    config : Config
        All settings.
    """
    folder = root / "plan" / plan
    text = yaml.safe_dump(config.plain(), sort_keys=False, width=100)
    write_text(text, folder / CONFIG)
    constants = default_constants().with_overrides(config.constants).digest

    def digest(kind: str, settings: str) -> str:
        return digest_of([settings, PRODUCT_VERSIONS.get(kind, 0), constants])[:16]

    values = {
        "plan": plan,
        "config_file": f"plan/{plan}/{CONFIG}",
        "settings": {
            "calibration": {
                kind: digest(kind, section.digest) for kind, section in config.calibration.items()
            },
            "level1": {
                mode: digest("level1", section.digest) for mode, section in config.level1.items()
            },
            "level2": {
                recipe.label(name): digest("level2", recipe.digest)
                for name, recipe in config.level2.items()
            },
        },
        "loads": {
            recipe.label(name): _load(recipe, config) for name, recipe in config.level2.items()
        },
    }
    write_text(canonical_json(values), folder / WORKFLOW)


def _load(recipe: Recipe, config: Config) -> dict[str, object]:
    usual, imaging = ImagingSettings(), recipe.imaging
    area = (imaging.outer_mas / usual.outer_mas) ** 2
    branches = imaging.throughput_branches / usual.throughput_branches
    memory = {
        mode: _rounded(asdict(memory_law(section.cube_shape, recipe)))
        for mode, section in config.level1.items()
        if isinstance(section, ModeSettings)
    }
    return {"work": round(max(area * branches, 0.1), 3), "memory": memory}


def _rounded(law: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in law.items()}
