"""Questions to the catalogue."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from spheredc_hpc.catalog.models import MissingCalibration, Observation, PlanEntry, Product
from spheredc_hpc.catalog.models.plan_entry import PLANNED, REJECTED
from spheredc_hpc.catalog.publish import publish
from spheredc_hpc.catalog.setup import database_errors, setup

IMPORTED = "imported"


def list_products(root: Path, *, refresh: bool = True) -> dict[str, Any]:
    """List observations and products of a root, with path, status and quality.

    Parameters
    ----------
    root : Path
        Result root.
    refresh : bool
        Publish first, so that the answer is what lies on disk now.

    Returns
    -------
    dict
        JSON-compatible: ``root``, ``observations``, ``products`` and ``problems`` (products
        that are not what their receipt says). Paths are relative to the root. The status of
        an observation is that of its plan, or ``imported`` if no plan names it.

    Raises
    ------
    ConfigError
        If the root does not exist.
    """
    problems: dict[str, str] = {}
    if refresh:
        problems = publish(root).problems
    else:
        setup(root, create=False)
    with database_errors():
        products = [_product(row) for row in Product.objects.all()]
        return {
            "schema_version": 1,
            "root": str(root.absolute()),
            "observations": _observations(products),
            "products": products,
            "problems": [{"product": p, "reason": r} for p, r in sorted(problems.items())],
        }


def _product(row: Product) -> dict[str, Any]:
    return {
        "product": row.id,
        "path": row.id,
        "kind": row.kind,
        "observation": row.observation or None,
        "recipe": row.recipe or None,
        "status": row.status,
        "reasons": row.reasons,
        "flags": row.flags,
        "quality": row.quality,
        "size_bytes": row.size_bytes,
        "receipt_digest": row.receipt_digest,
        "settings_digest": row.settings_digest,
        "software_version": row.software_version,
        "product_version": row.product_version,
    }


def _observations(products: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: dict[str, list[str]] = defaultdict(list)
    for product in products:
        if product["observation"]:
            made[product["observation"]].append(product["product"])
    missing: dict[int, list[str]] = defaultdict(list)
    for entry_id, text in MissingCalibration.objects.values_list("entry_id", "text"):
        missing[entry_id].append(text)
    plans: dict[str, list[dict[str, Any]]] = defaultdict(list)
    columns = ("pk", "observation_id", "plan", "status", "reasons", "flags", "association")
    for pk, name, *rest in PlanEntry.objects.values_list(*columns):
        entry = dict(zip(columns[2:], rest, strict=True))
        plans[name].append({**entry, "missing": missing[pk]})
    listed = [
        {**values, **_fate(plans[values["id"]]), "products": made.pop(values["id"], [])}
        for values in Observation.objects.values()
    ]
    listed += [
        {"id": name, "status": IMPORTED, "reasons": [], "plans": [], "products": found}
        for name, found in made.items()
    ]
    return sorted(
        ({**values, "path": f"observations/{values['id']}"} for values in listed),
        key=lambda values: str(values["id"]),
    )


def _fate(plans: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the plans of an observation: planned if one of them reduces it."""
    planned = any(entry["status"] == PLANNED for entry in plans)
    reasons = {} if planned else dict.fromkeys(r for entry in plans for r in entry["reasons"])
    return {
        "status": PLANNED if planned else REJECTED,
        "reasons": list(reasons),
        "plans": plans,
    }
