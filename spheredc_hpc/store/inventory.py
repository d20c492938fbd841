"""The products of a result root, found by their receipts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.model.product import Receipt
from spheredc_hpc.store import receipt as receipts

PLACES = ("calibrations/*/*", "observations/*/level1", "observations/*/level2/*")
MARKS = ("calibrations", "observations", "plan/*/observations.tsv")
"""What tells a result root from other folders; one whose plan rejects all has no product."""


@dataclass(frozen=True)
class Found:
    """One product of a root; a damaged receipt gives a problem instead.

    Attributes
    ----------
    path : Path
        Its directory.
    product : str
        Path below the root, with ``/``.
    """

    path: Path
    product: str
    receipt: Receipt | None
    problem: str = ""


def products(root: Path) -> Iterator[Found]:
    """List the products of a root: calibrations, then observations, by name.

    A directory without a receipt is no product and is left out.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder")
    for place in PLACES:
        for path in sorted(root.glob(place)):
            if path.name.startswith(".") or not (path / receipts.RECEIPT).is_file():
                continue
            product = path.relative_to(root).as_posix()
            try:
                yield Found(path, product, receipts.read(path))
            except DataError as error:
                if (path / receipts.RECEIPT).is_file():
                    yield Found(path, product, None, str(error))


def to_verify(path: Path) -> list[Path]:
    """Give the directories below a root that are products, or were: their receipt was removed.

    Parameters
    ----------
    path : Path
        Result root, or one product.

    Raises
    ------
    DataError
        If there is no such folder.
    ConfigError
        If it is neither a product nor a result root.
    """
    if not path.is_dir():
        raise DataError(f"{path} is no folder")
    if _was_product(path):
        return [path]
    if not any(True for mark in MARKS for _ in path.glob(mark)):
        raise ConfigError(
            f"{path} is no result root: expected a product with {receipts.RECEIPT}, or a folder "
            "with calibrations/, observations/ or a plan"
        )
    found = (entry for place in PLACES for entry in sorted(path.glob(place)))
    return [entry for entry in found if not entry.name.startswith(".") and _was_product(entry)]


def _was_product(path: Path) -> bool:
    return any((path / name).is_file() for name in (receipts.RECEIPT, receipts.KEPT))
