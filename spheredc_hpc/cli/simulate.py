"""`spheredc simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc simulate first-light --output raw"


def simulate(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="Name of a built-in scenario (`first-light` if absent), or a YAML file; "
            "with --archive a YAML file of archive settings."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the raw files.")] = Path("raw"),
    threads: Annotated[int, typer.Option(min=1, help="Threads to use.")] = 1,
    scenarios: Annotated[
        bool, typer.Option("--list", help="List the built-in scenarios and leave.")
    ] = False,
    archive: Annotated[
        bool, typer.Option("--archive", help="Write an archive of headers without pixels.")
    ] = False,
    nights: Annotated[
        int | None, typer.Option(min=1, help="Nights of the archive; default: 1100.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the archive.")] = None,
) -> None:
    """Write a simulated raw night with known truth (`truth.json` beside the files)."""
    from spheredc_hpc.errors import ConfigError
    from spheredc_hpc.simulate import load_scenario, scenario_names, simulate_night

    if scenarios:
        for name in scenario_names():
            typer.echo(name)
        return
    if archive:
        _archive(scenario, output, nights, seed)
        return
    if nights is not None or seed is not None:
        raise ConfigError("--nights and --seed are for archives; give --archive too")
    simulate_night(load_scenario(scenario or "first-light"), output, threads=threads)
    typer.echo(str(output))


def _archive(scenario: str | None, output: Path, nights: int | None, seed: int | None) -> None:
    from spheredc_hpc.simulate.archive import Archive, load_archive_settings, write_archive

    settings = load_archive_settings(
        Path(scenario) if scenario is not None else None, nights=nights, seed=seed
    )
    count = write_archive(Archive(settings).files(), output)
    typer.echo(f"{output}: {count} files of {settings.nights} nights")
