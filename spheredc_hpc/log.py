"""Structured logs: one logger per module, records that carry observation, step and status."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

CONTEXT_FIELDS = ("observation", "step", "status")
_context: ContextVar[dict[str, str] | None] = ContextVar("spheredc_log_context", default=None)


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Add fields (observation, step, status) to every record made inside the block."""
    unknown = set(fields) - set(CONTEXT_FIELDS)
    if unknown:
        raise TypeError(f"unknown log fields {sorted(unknown)}; known: {CONTEXT_FIELDS}")
    token = _context.set({**(_context.get() or {}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        context = _context.get() or {}
        for field in CONTEXT_FIELDS:
            if not hasattr(record, field):
                setattr(record, field, context.get(field, ""))
        return True


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            **{f: getattr(record, f, "") for f in CONTEXT_FIELDS if getattr(record, f, "")},
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        where = " ".join(getattr(record, f, "") for f in CONTEXT_FIELDS if getattr(record, f, ""))
        text = f"{stamp} {record.levelname:<7} {where + ': ' if where else ''}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def configure_logging(
    level: str = "INFO", *, as_json: bool = False, stream: TextIO | None = None
) -> None:
    """Send the records of the project to `stream` (standard error by default).

    Parameters
    ----------
    level : str
        Lowest level shown.
    as_json : bool
        One JSON object per line instead of text.
    stream : text file, optional
        Where the records go.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    handler.addFilter(_ContextFilter())
    logger = logging.getLogger("spheredc_hpc")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
