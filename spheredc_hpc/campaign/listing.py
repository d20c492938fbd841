"""What a result root holds, read from its files alone: no database, no writing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.report.products import read_failures
from spheredc_hpc.campaign.sheet import Sheet
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.store.inventory import Found, products

SCHEMA_VERSION = 1
DAMAGED = "damaged"
FAILED = "failed"


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
        no plan names is ``imported``, or ``unplanned`` if it was made of raw frames. A product
        whose last attempt left a failure record is ``failed``, and so is the observation that
        the plan needs it for.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    entries = list(products(root))
    found = _with_failures(root, [describe(entry) for entry in entries])
    return {
        "schema_version": SCHEMA_VERSION,
        "root": str(root),
        "observations": _observations(root, found, _imported(entries)),
        "products": found,
    }


def describe(entry: Found) -> dict[str, Any]:
    """Describe one product."""
    receipt = entry.receipt
    return {
        **_identity(entry.product),
        "kind": receipt.kind if receipt else None,
        "status": str(receipt.status) if receipt else DAMAGED,
        "reasons": list(receipt.reasons) if receipt else [entry.problem],
        "flags": list(receipt.flags) if receipt else [],
        "quality": receipt.quality if receipt else {},
        "product_version": receipt.product_version if receipt else None,
        "software_version": receipt.software_version if receipt else None,
        "size_bytes": sum(output.size_bytes for output in receipt.outputs) if receipt else None,
    }


def _identity(product: str) -> dict[str, Any]:
    """Say what the path of a product tells of it."""
    top, *parts = product.split("/")
    of_observation = top == "observations" and len(parts) > 1
    return {
        "product": product,
        "path": product,
        "kind": (parts[1] if of_observation else parts[0]) if parts else None,
        "observation": parts[0] if of_observation else None,
        "recipe": parts[2] if of_observation and len(parts) > 2 else None,
    }


def _with_failures(root: Path, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add what failed for good; a failed attempt to make a product anew counts as its status."""
    listed = {product["product"]: product for product in found}
    for failure in read_failures(root):
        known = listed.get(failure.product) or {
            **_identity(failure.product),
            "flags": [],
            "quality": {},
            "product_version": None,
            "software_version": None,
            "size_bytes": None,
        }
        listed[failure.product] = known | {"status": FAILED, "reasons": [failure.message]}
    return sorted(listed.values(), key=lambda product: str(product["product"]))


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
    needs: dict[str, set[str]] = {}
    for table in sorted(root.glob("plan/*/observations.tsv")):
        try:
            sheet = Sheet.read(root, table.parent.name)
        except ConfigError:  # being planned at this moment, or planned by hand
            continue
        for row in sheet.observations.values():
            own = {f"observations/{row.observation}/level1"}
            own |= {f"observations/{row.observation}/level2/{name}" for name in sheet.recipes}
            needs[row.observation] = {*row.calibrations, *own} if row.reducible else set()
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
    _fail(listed, needs, found)
    return [listed[name] for name in sorted(listed)]


def _fail(
    listed: dict[str, dict[str, Any]], needs: dict[str, set[str]], found: Iterable[dict[str, Any]]
) -> None:
    """Mark the observations that a failed product stops; one of an older plan stops none."""
    failed = {p["product"]: p["reasons"] for p in found if p["status"] == FAILED}
    for name, observation in listed.items():
        wanted = needs.get(name, set(observation["products"]))
        lost = sorted(wanted & set(failed))
        if lost:
            reasons = [f"{product}: {reason}" for product in lost for reason in failed[product]]
            observation["status"], observation["reasons"] = FAILED, reasons
