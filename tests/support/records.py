"""Records of long runs, one JSON file each, so that a run can be interrupted and continued."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read a record, or make and keep it; the file appears whole or not at all."""
    if not path.is_file():
        text = json.dumps(make())
        scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
        scratch.write_text(text + "\n", encoding="utf-8")
        scratch.replace(path)
    return json.loads(path.read_text(encoding="utf-8"))
