"""What a result root holds, read from receipts and sheets alone: no database, no writing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.sheet import Sheet
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.store.inventory import Found, products

SCHEMA_VERSION = 1
DAMAGED = "damaged"


def listing(root: Path) -> dict[str, Any]:
    """List observations and products of a root.

    Parameters
    ----------
    root : Path
        Result root.

    Returns
    -------
    dict
        JSON-compatible: ``schema_version``, ``root``, ``observations`` (those that were planned
        or have a product) and ``products``; paths are relative to the root. An observation that
        no plan names is ``imported``, or ``unplanned`` if it was made of raw frames.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    entries = list(products(root))
    found = [describe(entry) for entry in entries]
    return {
        "schema_version": SCHEMA_VERSION,
        "root": str(root),
        "observations": _observations(root, found, _imported(entries)),
        "products": found,
    }


def describe(entry: Found) -> dict[str, Any]:
    """Describe one product."""
    parts = entry.product.split("/")
    of_observation = parts[0] == "observations"
    receipt = entry.receipt
    return {
        "product": entry.product,
        "path": entry.product,
        "kind": receipt.kind if receipt else None,
        "observation": parts[1] if of_observation else None,
        "recipe": parts[3] if of_observation and len(parts) > 3 else None,
        "status": str(receipt.status) if receipt else DAMAGED,
        "reasons": list(receipt.reasons) if receipt else [entry.problem],
        "flags": list(receipt.flags) if receipt else [],
        "quality": receipt.quality if receipt else {},
        "product_version": receipt.product_version if receipt else None,
        "software_version": receipt.software_version if receipt else None,
        "size_bytes": sum(output.size_bytes for output in receipt.outputs) if receipt else None,
    }


def _imported(entries: Iterable[Found]) -> set[str]:
    """Names of the observations whose Level 1 is a cube that was made elsewhere."""
    return {
        entry.product.split("/")[1]
        for entry in entries
        if entry.receipt is not None
        and entry.receipt.kind == "level1"
        and any(ref.role == "cube" for ref in entry.receipt.inputs)
    }


def _observations(
    root: Path, found: Iterable[dict[str, Any]], imported: set[str]
) -> list[dict[str, Any]]:
    listed: dict[str, dict[str, Any]] = {}
    for table in sorted(root.glob("plan/*/observations.tsv")):
        try:
            sheet = Sheet.read(root, table.parent.name)
        except ConfigError:  # being planned at this moment, or planned by hand
            continue
        for row in sheet.observations.values():
            listed[row.observation] = {
                "observation": row.observation,
                "target": row.target,
                "night": row.night,
                "filter": row.filter,
                "plan": sheet.plan,
                "status": row.status,
                "reasons": list(row.reasons),
                "products": [],
            }
    for product in found:
        name = product["observation"]
        if name is None:
            continue
        if name not in listed:
            listed[name] = dict.fromkeys(("target", "night", "filter", "plan"))
            status = "imported" if name in imported else "unplanned"
            listed[name] |= {"observation": name, "status": status, "reasons": []}
            listed[name]["products"] = []
        listed[name]["products"].append(product["product"])
    return [listed[name] for name in sorted(listed)]
