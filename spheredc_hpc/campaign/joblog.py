"""Last words of a job, for what no receipt and no failure record tells."""

from __future__ import annotations

from pathlib import Path

ERROR = "spheredc: "
"""How the line begins that a verb ends with when it fails."""
LAST_LINES = 3


def error_line(log: Path) -> str:
    """Give the error that a job ended with, empty if it named none or there is no log."""
    said = [line for line in _lines(log) if line.startswith(ERROR)]
    return said[-1] if said else ""


def last_words(log: Path) -> tuple[str, ...]:
    """Give the error that a job ended with, else the last lines of its log."""
    if not log.is_file():
        return ("its job was not run",)
    error = error_line(log)
    return (error,) if error else tuple(_lines(log)[-LAST_LINES:]) or ("its log is empty",)


def _lines(log: Path) -> list[str]:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]
