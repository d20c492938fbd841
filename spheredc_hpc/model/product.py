"""The receipt of a product."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What a product is worth."""

    OK = "ok"
    FLAGGED = "flagged"
    REJECTED = "rejected"


@dataclass(frozen=True)
class InputRef:
    """One input of a product: a raw file or an upstream product.

    `digest` is the header digest and DATASUM of a raw file, or the receipt digest of a product;
    `sha256` is the digest of the pixels once they were read.
    """

    role: str
    id: str
    digest: str
    sha256: str = ""


@dataclass(frozen=True)
class OutputFile:
    """One file of a product, path relative to the product directory."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """Deterministic description of a product: equal inputs give equal receipts."""

    kind: str
    id: str
    status: Status
    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    inputs: tuple[InputRef, ...]
    outputs: tuple[OutputFile, ...]
    settings: dict[str, Any]
    settings_digest: str
    software_version: str
    product_version: int
    constants_version: str
    constants_digest: str
    environment_digest: str
    quality: dict[str, Any] = field(default_factory=dict)
    schema_version: int = 1
