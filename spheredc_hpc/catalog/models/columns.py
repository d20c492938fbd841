"""Types of columns, and values that every database takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    Text = models.TextField[str, str]
    Integer = models.BigIntegerField[int, int]
    Float = models.FloatField[float, float]
    OptionalFloat = models.FloatField[float | None, float | None]
    Boolean = models.BooleanField[bool, bool]
    Json = models.JSONField[Any, Any]

BIG_INTEGER = 2**63 - 1


def clean(value: Any) -> Any:
    """Replace what a database refuses: null characters, infinities, NaN, endless integers.

    Numbers that JSON cannot write become text in a structure, None on their own.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _clean(value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii() and "\x00" not in value:
            return value
        return value.replace("\x00", "").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-BIG_INTEGER, min(BIG_INTEGER, value))
    return value
