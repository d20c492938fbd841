"""`spheredc ls`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "spheredc ls demo --json"


def ls(
    root: Annotated[Path, typer.Argument(help="Result root.")] = Path(),
    kind: Annotated[str | None, typer.Option(help="Only products of this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the observations and products of a result root: path, status, flags, quality.

    A product that failed for good is listed with the reason.
    """
    from spheredc_hpc.campaign.listing import listing
    from spheredc_hpc.cli._output import print_json, print_table

    found = listing(root)
    chosen = [p for p in found["products"] if kind is None or p["kind"] == kind]
    if as_json:
        print_json(found | {"products": chosen})
        return
    rows = [
        (p["status"], p["product"], "; ".join(p["reasons"]) if bad else " ".join(p["flags"]))
        for p in chosen
        for bad in (p["status"] in ("failed", "damaged"),)
    ]
    rows += [
        (o["status"], f"observations/{o['observation']}", "; ".join(o["reasons"]))
        for o in found["observations"]
        if not o["products"] and kind is None
    ]
    print_table(("status", "product", "flags or reasons"), rows)
