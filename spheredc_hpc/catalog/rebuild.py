"""Rebuild the catalogue from raw headers, plans and receipts alone."""

from __future__ import annotations

import logging
from pathlib import Path

from django.db import connections, transaction

from spheredc_hpc.catalog.models import Observation, Product, RawFrame, RawProblem
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.publish import PublishSummary, publish
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.catalog.scanned import scanned
from spheredc_hpc.catalog.setup import (
    DEFAULT,
    close,
    connect,
    database_errors,
    setup,
)
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.store.codec import read_json

logger = logging.getLogger(__name__)


def rebuild(root: Path, config: Config) -> PublishSummary:
    """Throw the catalogue of `root` away and make it anew.

    The raw folders and the plans are those named below ``plan``; raw folders that are gone
    are passed over, and a damaged SQLite file does not matter.

    Raises
    ------
    ConfigError
        If the root does not exist, or a plan is of a raw folder that is gone.
    """
    if not root.is_dir():
        raise ConfigError(f"result root {root} does not exist")
    plans = {
        path.parent.name: [Path(place) for place in read_json(path)["raw"]]
        for path in sorted(root.glob("plan/*/scan.json"))
    }
    _empty(root)
    raw = [place for place in scanned(root) if place.exists()]
    if raw:
        scan(raw, root, config)
    for name, places in plans.items():
        plan(root, name, config, places or None)
    logger.info("catalogue of %s rebuilt: %d plans", root, len(plans))
    return publish(root)


def _empty(root: Path) -> None:
    connect(root)
    if connections[DEFAULT].vendor == "sqlite":
        close()
        name = Path(connections.settings[DEFAULT]["NAME"])
        for suffix in ("", "-wal", "-shm"):
            name.with_name(name.name + suffix).unlink(missing_ok=True)
    setup(root)
    with database_errors(), transaction.atomic():
        for table in (Observation, RawFrame, RawProblem, Product):
            table.objects.all().delete()
