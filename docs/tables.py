"""Tables of the documentation, written from the code so that they cannot go stale."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def cell(value: object) -> str:
    """Write a value as the content of a table cell."""
    text = str(value).replace("|", "\\|")
    return " ".join(text.split())


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *[[cell(value) for value in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shown(value: object) -> str:
    """Write a default as it stands in a configuration."""
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def allowed(field: Mapping[str, Any]) -> str:
    """Write the bounds or choices of a field of a JSON schema."""
    signs = {
        "minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<",
    }  # fmt: skip
    kinds = []
    for variant in field.get("anyOf", [field]):
        words = [f"{sign} {variant[key]}" for key, sign in signs.items() if key in variant]
        choices = [f"`{choice}`" for choice in variant.get("enum", ())]
        kinds.append(", ".join(choices or [variant.get("type", ""), *words]))
    return " or ".join(kinds)


def settings_rows(
    settings_class: Any, prefix: str = "", held: Any = None
) -> Iterator[tuple[object, ...]]:
    """List the fields of a settings class, those of nested ones with a dotted name.

    `held` is the default of the field that holds the class; its values are the defaults then.
    """
    from spheredc_hpc.config import Section

    properties = settings_class.model_json_schema()["properties"]
    for name, field in settings_class.model_fields.items():
        if held is not None:
            default = getattr(held, name)
        else:
            default = field.get_default(call_default_factory=True)
        if isinstance(default, Section) and default.plain():
            yield from settings_rows(type(default), f"{prefix}{name}.", default)
            continue
        required = field.is_required() and held is None
        meaning = field.description or ""
        written = default.plain() if isinstance(default, Section) else default
        text = "required" if required else shown(written)
        yield f"`{prefix}{name}`", text, allowed(properties[name]), meaning


def settings_table(settings_class: Any) -> str:
    """Write the fields of a settings class as a table."""
    if settings_class is None or not settings_class.model_fields:
        return "No settings.\n"
    return table(("key", "default", "allowed", "meaning"), settings_rows(settings_class))


def registry_section(registry: Any) -> str:
    """Write every entry of a registry with its settings."""
    parts = []
    for name, entry in registry.items():
        parts += [f"## `{name}`\n", f"{entry.summary} (`{entry.module}`)\n"]
        parts.append(settings_table(entry.settings))
    return "\n".join(parts)


def configuration() -> str:
    """Write the sections of the configuration that do not come from a registry."""
    from spheredc_hpc.config import AssociationSettings, OutputSettings, Recipe

    sections = {
        "`output`": OutputSettings,
        "`association`": AssociationSettings,
        "Every recipe of `level2`": Recipe,
    }
    return "\n".join(f"## {title}\n\n{settings_table(kind)}" for title, kind in sections.items())


def archive_settings() -> str:
    """Write the settings of a simulated archive."""
    from spheredc_hpc.simulate.archive import ArchiveSettings

    return settings_table(ArchiveSettings)


def errors() -> str:
    """Write the branches of errors with their exit codes."""
    from spheredc_hpc import errors as module

    kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
    kinds.sort(key=lambda kind: (kind.exit_code, kind.__name__))
    rows = [
        (kind.exit_code, f"`{kind.__name__}`", kind.retry, (kind.__doc__ or "").split("\n")[0])
        for kind in kinds
    ]
    return table(("exit code", "error", "retried", "meaning"), rows)


def flags() -> str:
    """Write the flags that a product may carry."""
    from spheredc_hpc.model.quality import FLAGS

    return table(("flag", "meaning"), [(f"`{name}`", text) for name, text in FLAGS.items()])


def constants() -> str:
    """Write the table of instrument constants."""
    from spheredc_hpc.instrument.constants import default_constants

    table_of_constants = default_constants()
    rows = [
        (f"`{row.label}`", f"{row.value:.8g}", f"{row.error:.3g}", row.unit, row.status, row.source)
        for name in table_of_constants.names
        for row in table_of_constants.rows(name)
    ]
    heads = ("constant", "value", "error", "unit", "status", "source")
    return f"Version {table_of_constants.version}.\n\n{table(heads, rows)}"


def frame_classes() -> str:
    """Write the rules that tell the class of a raw frame."""
    from spheredc_hpc.instrument.frame_classes import RULES

    rows = [
        (
            ", ".join(f"`{kind}`" for kind in rule.types),
            rule.frame_class,
            ", ".join(rule.arms) or "any",
            ", ".join(rule.modes) or "any",
            rule.note,
        )
        for rule in RULES
    ]
    return table(("`DPR TYPE`", "class", "arm", "mode", "note"), rows)


def commands() -> str:
    """Write every verb with the first sentences of its help."""
    import typer.main

    from spheredc_hpc.cli import build, verb_names

    def walk(command: Any, name: str) -> Iterator[tuple[str, str]]:
        if hasattr(command, "commands"):
            for verb, child in sorted(command.commands.items()):
                yield from walk(child, f"{name} {verb}")
        elif not command.hidden:
            yield f"`{name}`", (command.help or "").strip().split("\n\n")[0]

    application = typer.main.get_command(build(verb_names()))
    return table(("command", "does"), walk(application, "spheredc"))


def pending() -> str:
    """Write the changes since the last release."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Unreleased"]
    done = subprocess.run(  # noqa: S603 - a fixed command
        command, cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout


def algorithms() -> str:
    """Write the Level 2 algorithms."""
    from spheredc_hpc.registry import ALGORITHMS

    return registry_section(ALGORITHMS)


def calibrations() -> str:
    """Write the kinds of calibration."""
    from spheredc_hpc.registry import CALIBRATIONS

    return registry_section(CALIBRATIONS)


def modes() -> str:
    """Write the observing modes of Level 1."""
    from spheredc_hpc.registry import MODES

    return registry_section(MODES)


def strategies() -> str:
    """Write the strategies of Level 2 and what each exploits."""
    from spheredc_hpc.level2.diversity import diversity_of
    from spheredc_hpc.registry import STRATEGIES

    rows = []
    for name, entry in STRATEGIES.items():
        found = diversity_of(entry.run)
        used = [
            word
            for word, used in (
                ("other times", found.rotation),
                ("other channels", found.wavelength),
                ("other stars", found.library),
            )
            if used
        ]
        rows.append((f"`{name}`", entry.summary, ", ".join(used) or "nothing"))
    return table(("strategy", "what it does", "references"), rows)


TABLES = (
    algorithms, archive_settings, calibrations, commands, configuration, constants, errors, flags,
    frame_classes, modes, pending, strategies,
)  # fmt: skip


def write_all(folder: Path) -> None:
    """Write every table into `folder`, leaving alone what has not changed."""
    folder.mkdir(exist_ok=True)
    for make in TABLES:
        target = folder / f"{make.__name__.replace('_', '-')}.md"
        text = make()
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
