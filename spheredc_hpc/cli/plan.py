"""`spheredc plan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spheredc_hpc.catalog.plan import PlanSummary

EXAMPLE = "spheredc plan --root results --explain OBSERVATION"


def plan(
    root: Annotated[Path, typer.Option(help="Result root that was scanned.")] = Path(),
    raw: Annotated[
        list[Path] | None,
        typer.Option(help="Plan observations with frames here; all of the catalogue if absent."),
    ] = None,
    name: Annotated[str, typer.Option("--plan", help="Name of the plan.")] = "default",
    config: Annotated[Path | None, typer.Option(help="Settings; defaults if absent.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(metavar="OBSERVATION", help="Only explain what the plan says of one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Group scanned frames into observations and find their calibrations."""
    from spheredc_hpc.campaign.owner import owning
    from spheredc_hpc.campaign.workflow import write_workflow
    from spheredc_hpc.catalog.plan import plan as make
    from spheredc_hpc.cli._output import load_config, print_json

    if explain is not None:
        _explain(root, name, explain, as_json)
        return
    settings = load_config(config)
    with owning(root, create=False):
        made = make(root, name, settings, raw)
        write_workflow(root, name, settings)
    if as_json:
        print_json({"schema_version": 1, **asdict(made)})
    else:
        _print(made)


def _print(made: PlanSummary) -> None:
    typer.echo(f"plan {made.name}: {made.n_planned} observations, {made.n_rejected} rejected")
    for kind, count in made.calibrations.items():
        typer.echo(f"{count:>6}  {kind}")
    counts = ", ".join(f"{count} {status}" for status, count in made.completeness.items())
    typer.echo(f"calibrations: {counts}; by night in plan/{made.name}/completeness.tsv")
    for title, entries in (("rejected", made.rejected), ("missing", made.missing)):
        for observation, reasons in entries.items():
            for reason in reasons:
                typer.echo(f"{title} {observation}: {reason}")


def _explain(root: Path, name: str, observation: str, as_json: bool) -> None:
    from spheredc_hpc.association.explain import explain_json, explain_text
    from spheredc_hpc.cli._output import print_json
    from spheredc_hpc.errors import ConfigError
    from spheredc_hpc.model.association import Association
    from spheredc_hpc.store.codec import read_record

    folder = root / "plan" / name / "associations"
    if not folder.is_dir():
        raise ConfigError(f"{root} has no plan {name!r}; run `spheredc plan` first")
    known = sorted(path.stem for path in folder.glob("*.json"))
    chosen = [entry for entry in known if entry == observation] or [
        entry for entry in known if observation in entry
    ]
    if len(chosen) != 1:
        what = "several match" if chosen else "none matches"
        raise ConfigError(
            f"observation {observation!r} of plan {name!r}: {what}; "
            f"it has: {', '.join(chosen or known) or 'none'}"
        )
    association = read_record(Association, folder / f"{chosen[0]}.json")
    if as_json:
        print_json(explain_json(association))
    else:
        typer.echo(explain_text(association))
