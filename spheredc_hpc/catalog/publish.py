"""Publish: bring the table of products up to date with the receipts below a root."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from spheredc_hpc.catalog.batches import in_batches
from spheredc_hpc.catalog.models import Product
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.catalog.setup import database_errors, setup
from spheredc_hpc.errors import DataError
from spheredc_hpc.model.product import Receipt
from spheredc_hpc.store import inventory
from spheredc_hpc.store import receipt as receipts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishSummary:
    """What publishing did.

    Attributes
    ----------
    n_products, n_new, n_changed, n_removed : int
        Products in the catalogue; of those, entered now and changed; dropped as they vanished.
    statuses : dict
        Products by kind and status, ``level2 flagged`` for example.
    problems : dict
        Directory of each product that is not what its receipt says, and why; these are not in
        the catalogue.
    """

    n_products: int
    n_new: int
    n_changed: int
    n_removed: int
    statuses: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def publish(root: Path) -> PublishSummary:
    """Enter every sound product below `root`, drop what vanished or was damaged.

    A product is checked cheaply: its receipt is whole, names the place where it lies, and
    its files are there with the sizes that it gives. ``spheredc verify`` checks every digest.

    Raises
    ------
    ConfigError
        If the root does not exist.
    ResourceError
        If the catalogue cannot be written.
    """
    setup(root, create=False)
    problems: dict[str, str] = {}
    with database_errors():
        known = dict(Product.objects.values_list("id", "receipt_digest"))
        statuses: Counter[str] = Counter()
        seen: set[str] = set()
        n_new = n_changed = 0
        for rows in in_batches(_sound(root.absolute(), problems)):
            seen |= {row.id for row in rows}
            statuses.update(f"{row.kind} {row.status}" for row in rows)
            n_new += sum(row.id not in known for row in rows)
            changed = [row for row in rows if known.get(row.id) != row.receipt_digest]
            n_changed += sum(row.id in known for row in changed)
            _upsert(changed)
        gone = sorted(set(known) - seen)
        for ids in in_batches(gone):
            Product.objects.filter(id__in=ids).delete()
    for product, problem in problems.items():
        logger.warning("%s is not published: %s", product, problem)
    return PublishSummary(
        n_products=len(seen),
        n_new=n_new,
        n_changed=n_changed,
        n_removed=len(gone),
        statuses=dict(sorted(statuses.items())),
        problems=problems,
    )


def _sound(root: Path, problems: dict[str, str]) -> Iterator[Product]:
    """Rows of products that pass the cheap check; what is wrong with others is noted."""
    for found in inventory.products(root):
        try:
            if found.receipt is None:
                problems[found.product] = found.problem
            elif problem := _problem(found.path, found.product, found.receipt):
                problems[found.product] = problem
            else:
                yield _row(found.product, found.receipt, receipts.digest(found.path))
        except DataError as error:  # replaced or removed while it was looked at
            problems[found.product] = str(error)


def _problem(path: Path, product: str, receipt: Receipt) -> str:
    if receipt.id != product:
        return f"its receipt is that of {receipt.id}"
    for output in receipt.outputs:
        try:
            size = (path / output.path).stat().st_size
        except OSError as error:
            return f"{output.path}: {error.strerror}"
        if size != output.size_bytes:
            return f"{output.path}: {size} bytes, the receipt says {output.size_bytes}"
    return ""


def _row(product: str, receipt: Receipt, digest: str) -> Product:
    parts = product.split("/")
    of_observation = parts[0] == "observations"
    return Product(
        id=clean(product),
        kind=receipt.kind,
        observation=clean(parts[1]) if of_observation else "",
        recipe=clean(parts[3]) if of_observation and len(parts) > 3 else "",
        status=str(receipt.status),
        reasons=clean(receipt.reasons),
        flags=clean(receipt.flags),
        quality=clean(receipt.quality),
        size_bytes=sum(output.size_bytes for output in receipt.outputs),
        receipt_digest=digest,
        settings_digest=receipt.settings_digest,
        software_version=receipt.software_version,
        product_version=receipt.product_version,
        constants_digest=receipt.constants_digest,
        environment_digest=receipt.environment_digest,
    )


def _upsert(rows: list[Product]) -> None:
    columns = [f.name for f in Product._meta.concrete_fields if not f.primary_key]
    with transaction.atomic():
        Product.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["id"], update_fields=columns
        )
