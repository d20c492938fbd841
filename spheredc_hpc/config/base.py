"""Base of every settings class."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen settings that refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def plain(self) -> dict[str, Any]:
        """Return the settings as JSON-compatible values."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, hexadecimal."""
        return digest_of(self.plain())


def digest_of(values: object) -> str:
    """SHA-256 of the canonical JSON text of `values`, hexadecimal."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
