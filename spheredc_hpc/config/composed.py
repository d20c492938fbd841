"""The whole configuration: composition, reading, defaults and schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from spheredc_hpc.config.association import AssociationSettings
from spheredc_hpc.config.base import Section, nested
from spheredc_hpc.config.output import OutputSettings
from spheredc_hpc.config.recipe import Recipe, default_recipes
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.registry import ALGORITHMS, CALIBRATIONS, MODES, STRATEGIES, Registry


def _typed_sections(registry: Registry, given: Any) -> dict[str, Section]:
    if not isinstance(given, Mapping):
        raise ValueError(f"expected a mapping, got {type(given).__name__}")  # noqa: TRY004 pydantic collects ValueError only
    unknown = sorted(set(given) - set(registry))
    if unknown:
        raise ValueError(f"unknown {registry.kind} {unknown[0]!r}; known: {', '.join(registry)}")
    sections: dict[str, Section] = {}
    for name, entry in registry.items():
        value = given.get(name)
        settings_class = entry.settings or Section
        sections[name] = (
            value if isinstance(value, Section) else nested(settings_class, value, name)
        )
    return sections


class Config(Section):
    """Every setting of a run; an empty configuration is valid."""

    output: OutputSettings = Field(OutputSettings(), description="How products are written.")
    constants: dict[str, float] = Field(
        default_factory=dict, description="Instrument constants that replace those of the table."
    )
    association: AssociationSettings = Field(
        AssociationSettings(), description="Grouping and association."
    )
    calibration: dict[str, SerializeAsAny[Section]] = Field(
        default_factory=dict, description="One section per kind of calibration."
    )
    level1: dict[str, SerializeAsAny[Section]] = Field(
        default_factory=dict, description="One section per observing mode."
    )
    level2: dict[str, Recipe] = Field(
        default_factory=default_recipes, description="Level 2 recipes by name."
    )

    @field_validator("calibration", mode="before")
    @classmethod
    def _calibration_sections(cls, value: Any) -> Any:
        return _typed_sections(CALIBRATIONS, value)

    @field_validator("level1", mode="before")
    @classmethod
    def _mode_sections(cls, value: Any) -> Any:
        return _typed_sections(MODES, value)

    @field_validator("level2")
    @classmethod
    def _recipe_names(cls, value: dict[str, Recipe]) -> dict[str, Recipe]:
        for name in value:
            if not name or not all(
                c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in name
            ):
                raise ValueError(f"recipe name {name!r}: lower-case letters, digits and '-' only")
        return value

    def recipe_by_label(self, label: str) -> tuple[str, Recipe]:
        """Find the name and recipe whose directory is `label` (its plain name is accepted too).

        Raises
        ------
        ConfigError
            If the configuration has no such recipe.
        """
        for name, recipe in self.level2.items():
            if label in (name, recipe.label(name)):
                return name, recipe
        known = ", ".join(recipe.label(name) for name, recipe in self.level2.items())
        raise ConfigError(f"unknown recipe {label!r}; the configuration has: {known or 'none'}")


def _explain(error: ValidationError, source: str) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "configuration"
        message = problem["msg"]
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
            lines.append(f"{where}: {message}")
            continue
        lines.append(f"{where}: {message}, got {problem['input']!r}")
    return f"{source}: " + "; ".join(lines)


def parse(values: Mapping[str, Any] | None, source: str = "configuration") -> Config:
    """Check `values` and make a configuration of them.

    Raises
    ------
    ConfigError
        Names every key that is unknown or wrong, its value and what was expected.
    """
    try:
        return Config(**dict(values or {}))
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from error
    except TypeError as error:
        raise ConfigError(f"{source}: keys must be text: {error}") from error


def load(path: Path) -> Config:
    """Read a YAML configuration.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML mapping or holds a wrong key or value.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is no YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"configuration {path}: expected a mapping, got {type(values).__name__}")
    return parse(values, str(path))


def default_yaml() -> str:
    """Write the default configuration as YAML text."""
    head = "# Defaults of every setting; generated by `spheredc config --defaults`. Edit a copy.\n"
    return head + yaml.safe_dump(Config().plain(), sort_keys=False, width=100)


def json_schema() -> dict[str, Any]:
    """Make the JSON schema of the configuration, with the sections that the registries hand in."""
    schema = Config.model_json_schema()
    definitions = schema.setdefault("$defs", {})

    def reference(settings_class: type[Section]) -> dict[str, str]:
        section = settings_class.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(section.pop("$defs", {}))
        definitions[settings_class.__name__] = section
        return {"$ref": f"#/$defs/{settings_class.__name__}"}

    for field, registry in (("calibration", CALIBRATIONS), ("level1", MODES)):
        schema["properties"][field] = {
            "type": "object",
            "description": schema["properties"][field]["description"],
            "additionalProperties": False,
            "properties": {
                name: reference(entry.settings or Section) for name, entry in registry.items()
            },
        }
    variants = []
    for name, entry in ALGORITHMS.items():
        own = reference(entry.settings or Section)
        first = {"anyOf": [own, {"type": "null"}]}
        variants.append(
            {
                "if": {"properties": {"algorithm": {"const": name}}},
                "then": {"properties": {"settings": own, "first_step": first}},
            }
        )
    recipe = definitions["Recipe"]
    recipe["properties"]["algorithm"]["enum"] = list(ALGORITHMS)
    recipe["properties"]["strategy"]["enum"] = list(STRATEGIES)
    recipe["properties"]["settings"] = {"type": "object"}
    recipe["properties"]["first_step"] = {"type": ["object", "null"], "default": None}
    recipe["allOf"] = variants
    return json.loads(json.dumps(schema, sort_keys=True))  # type: ignore[no-any-return]
