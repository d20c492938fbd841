"""`spheredc ls`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from spheredc_hpc.store.inventory import Found

EXAMPLE = "spheredc ls demo --json"


def ls(
    root: Annotated[Path, typer.Argument(help="Result root.")] = Path(),
    kind: Annotated[str | None, typer.Option(help="Only products of this kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the products of a result root: path, status, flags, quality."""
    from spheredc_hpc.cli._output import print_json, print_table
    from spheredc_hpc.store.inventory import products

    found = [
        entry
        for entry in products(root)
        if kind is None or (entry.receipt is not None and entry.receipt.kind == kind)
    ]
    if as_json:
        print_json({"schema_version": 1, "root": str(root), "products": list(map(_plain, found))})
        return
    rows = [
        (entry.receipt.status, entry.product, " ".join(entry.receipt.flags))
        if entry.receipt is not None
        else ("damaged", entry.product, entry.problem)
        for entry in found
    ]
    print_table(("status", "product", "flags"), rows)


def _plain(entry: Found) -> dict[str, Any]:
    parts = entry.product.split("/")
    values: dict[str, Any] = {
        "product": entry.product,
        "path": str(entry.path),
        "observation": parts[1] if parts[0] == "observations" else None,
        "recipe": parts[3] if len(parts) > 3 else None,
    }
    receipt = entry.receipt
    if receipt is None:
        return {**values, "status": "damaged", "reasons": [entry.problem]}
    return {
        **values,
        "kind": receipt.kind,
        "status": str(receipt.status),
        "reasons": list(receipt.reasons),
        "flags": list(receipt.flags),
        "quality": receipt.quality,
        "product_version": receipt.product_version,
        "software_version": receipt.software_version,
        "size_bytes": sum(output.size_bytes for output in receipt.outputs),
    }
