"""Run one step once: skip what is current, remember what failed for good."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from spheredc_hpc.config import OutputSettings, digest_of
from spheredc_hpc.errors import ConfigError, DataError, SphereDCError
from spheredc_hpc.model.product import Receipt
from spheredc_hpc.model.provenance import (
    PRODUCT_VERSIONS,
    environment_digest,
    software_version,
)
from spheredc_hpc.steps.layout import split_product
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import canonical_json, read_json, to_plain, write_text
from spheredc_hpc.store.lock import exclusive

logger = logging.getLogger(__name__)


def failure_path(root: Path, product_id: str) -> Path:
    """Where the failure of a product is recorded."""
    return root / "quarantine" / f"{product_id.replace('/', '__')}.json"


def draft_digest(draft: receipts.Draft) -> str:
    """Digest of everything that a draft says and of the software that acts on it."""
    software = [PRODUCT_VERSIONS.get(draft.kind, 0), software_version(), environment_digest()]
    return digest_of([to_plain(draft), software])


def make(
    target: Path,
    draft: receipts.Draft,
    build: Callable[[receipts.ProductWriter], None],
    output: OutputSettings | None = None,
) -> Receipt:
    """Make one product unless an equal one is there.

    One job at a time makes a product: a second one (the orphan of a killed run is still at
    work, say) waits, and then finds the product current.

    Parameters
    ----------
    target : Path
        Directory of the product.
    draft : Draft
        Inputs and settings.
    build : callable
        Writes the files of the product and sets its status.
    output : OutputSettings
        Umask and group of the product; defaults if absent.

    Returns
    -------
    Receipt
        Of the product that is there now.

    Raises
    ------
    SphereDCError
        From `build`; data and settings errors leave a record below ``quarantine``, and
        a later attempt with equal inputs fails at once with the same message.
    """
    owner = output or OutputSettings()
    root, product_id = split_product(target)
    record = failure_path(root, product_id)
    with exclusive(target.parent / f".{target.name}.lock"):
        if receipts.is_current(target, draft):
            logger.info("%s is current", product_id)
            receipts.confirm(target)
            record.unlink(missing_ok=True)
            return receipts.read(target)
        _refuse_known_failure(record, draft)
        try:
            with receipts.writing(target, draft, owner.umask, owner.group) as writer:
                build(writer)
        except (DataError, ConfigError) as error:
            _record_failure(record, product_id, draft, error)
            raise
        record.unlink(missing_ok=True)
        return receipts.read(target)


def _refuse_known_failure(record: Path, draft: receipts.Draft) -> None:
    if not record.is_file():
        return
    known = read_json(record)
    if known.get("draft_digest") != draft_digest(draft):
        return
    kind = ConfigError if known.get("exit_code") == ConfigError.exit_code else DataError
    raise kind(
        f"{known['message']} (failed before with equal inputs; delete {record} to try again)"
    )


def _record_failure(
    record: Path, product_id: str, draft: receipts.Draft, error: SphereDCError
) -> None:
    values = {
        "product": product_id,
        "error": type(error).__name__,
        "exit_code": error.exit_code,
        "message": str(error),
        "draft_digest": draft_digest(draft),
        "try_again": "mend the cause, or delete this file",
    }
    write_text(canonical_json(values), record)
