"""What a simulated IRDIS night contains: built-in scenarios, loading, revising."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from spheredc_hpc.config import Section
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.simulate.ifs.settings import IfsSettings
from spheredc_hpc.simulate.sections import (
    Atmosphere,
    Calibrations,
    CompanionSpec,
    Defects,
    DetectorSettings,
    Effects,
    Exposure,
    Hopping,
    Pointing,
    Sequence,
    Target,
    Telemetry,
    Wavefront,
)

SCENARIO_FOLDER = "scenarios"

OF_OBJECT_FILES = (
    *("aborted_file", "nan_plane", "truncated_file", "open_loop", "duplicate_file"),
    *("wrong_checksum", "mixed_dit", "foreign_target"),
)
"""Defects of OBJECT files."""


class IrdisScenario(Section):
    """One simulated IRDIS night of imaging."""

    name: str = Field("custom", description="Name of the scenario.")
    seed: int = Field(2018, ge=0, description="Every random number follows from it.")
    date: str = Field(
        "2018-03-15", pattern=r"^\d{4}-\d{2}-\d{2}$", description="UTC date of the transit."
    )
    hour_angle_h: float = Field(
        0.0, ge=-12, le=12, description="Hour angle in the middle of OBJECT [h]."
    )
    filter: str = Field("DB_H23", description="IRDIS filter combination.")
    coronagraph: str = Field("N_ALC_YJH_S", description="Coronagraph combination.")
    ob_id: int = Field(1801234, ge=1, description="Observing block.")
    programme: str = Field("0100.C-9999(A)", description="Programme.")
    target: Target = Target()
    companions: tuple[CompanionSpec, ...] = ()
    sequence: Sequence = Sequence()
    hopping: Hopping | None = Field(None, description="Reference star visited in turn.")
    telemetry: Telemetry = Telemetry()
    calibrations: Calibrations = Calibrations()
    atmosphere: Atmosphere = Atmosphere()
    wavefront: Wavefront = Wavefront()
    pointing: Pointing = Pointing()
    detector: DetectorSettings = DetectorSettings()
    effects: Effects = Effects()
    defects: Defects = Defects()
    ifs: IfsSettings | None = Field(
        None, description="The integral field spectrograph, if it observes beside IRDIS."
    )
    constants: dict[str, float] = Field(
        {},
        description="Instrument constants that differ on this night, `name[arm=IRDIS]` or "
        "`name@2016-07-12`.",
    )

    @field_validator("companions")
    @classmethod
    def _names_differ(cls, value: tuple[CompanionSpec, ...]) -> tuple[CompanionSpec, ...]:
        names = [companion.name for companion in value]
        if len(set(names)) != len(names):
            raise ValueError(f"companions share a name: {names}")
        return value

    @field_validator("date")
    @classmethod
    def _in_the_calendar(cls, value: str) -> str:
        dt.date.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _something_to_spoil(self) -> IrdisScenario:
        s, defects = self.sequence, self.defects.plain()
        waits = [name for name in OF_OBJECT_FILES if defects[name]]
        waits += ["atmosphere.degraded"] if self.atmosphere.degraded.share else []
        none = s.continuous_waffle or not any(e.files for e in (s.object, *s.object_more))
        if none and waits:
            raise ValueError(f"{', '.join(waits)}: the night has no OBJECT files")
        return self

    @model_validator(mode="after")
    def _something_to_observe(self) -> IrdisScenario:
        if not any(exposure.files for exposure in exposures(self)):
            raise ValueError("the sequence holds no exposure")
        return self

    @property
    def n_stars(self) -> int:
        """Stars that are observed: 1, or 2 with star hopping."""
        return 1 if self.hopping is None else 2

    @property
    def has_mask(self) -> bool:
        """Whether a coronagraph stands in the beam."""
        return not self.coronagraph.startswith("N_NS")

    def of_star(self, star: int) -> IrdisScenario:
        """Return the night as one of its stars sees it: target, companions, observing block."""
        if self.hopping is None or star == 0:
            return self
        other = self.hopping
        changes = {"target": other.target, "companions": other.companions, "ob_id": other.ob_id}
        return self.model_copy(update=changes)

    def revise(self, changes: Mapping[str, Any]) -> IrdisScenario:
        """Return a validated copy with nested `changes` merged in."""
        return parse_scenario(merge(self.plain(), changes))

    def without_companions(self) -> IrdisScenario:
        """Return the twin that differs only in having no companions."""
        return self.revise({"companions": []})


def exposures(scenario: IrdisScenario) -> list[Exposure]:
    """Exposures of the observing block."""
    s = scenario.sequence
    blocks = [s.center_before, s.flux_before, s.object, *s.object_more, s.flux_after]
    return [*blocks, s.center_after, s.sky]


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; lists and scalars of `changes` replace those of `base`."""
    merged = dict(base)
    for key, value in changes.items():
        held = merged.get(key)
        if isinstance(value, Mapping) and isinstance(held, Mapping):
            merged[key] = merge(held, value)
        else:
            merged[key] = value
    return merged


def parse_scenario(values: Mapping[str, Any]) -> IrdisScenario:
    """Validate `values`; a `base` key names the built-in scenario that they revise.

    Raises
    ------
    ConfigError
        For an unknown key or base, or a value out of range.
    """
    values = dict(values)
    base = values.pop("base", None)
    if base is not None:
        values = merge(load_scenario(str(base)).plain(), values)
    try:
        return IrdisScenario.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"{where}: {first['msg']}, got {first['input']!r}" if where else first["msg"]
        raise ConfigError(f"scenario: {told}") from error


def scenario_names() -> list[str]:
    """Names of the built-in scenarios."""
    folder = resources.files(__package__) / SCENARIO_FOLDER
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_scenario(name_or_path: str | Path) -> IrdisScenario:
    """Load a built-in scenario by name, or a scenario from a YAML file.

    Parameters
    ----------
    name_or_path : str or Path
        One of `scenario_names()`, or the path of a YAML file.

    Raises
    ------
    ConfigError
        If neither exists, or the content is not a valid scenario.
    """
    text = str(name_or_path)
    if text in scenario_names():
        entry = resources.files(__package__) / SCENARIO_FOLDER / f"{text}.yaml"
        content = entry.read_bytes()
    else:
        path = Path(name_or_path)
        if not path.is_file():
            known = ", ".join(scenario_names())
            raise ConfigError(f"scenario {text!r} is neither a file nor one of: {known}")
        content = path.read_bytes()
    try:
        values = yaml.safe_load(content) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"scenario {text!r} is not valid YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"scenario {text!r} is not a mapping of settings")
    return parse_scenario({"name": Path(text).stem, **values})
