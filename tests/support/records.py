"""Records of long runs, one JSON file each, so that a run can be interrupted and continued."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spheredc_hpc.store.codec import write_text


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read a record, or make and keep it; the file appears whole or not at all."""
    if not path.is_file():
        write_text(json.dumps(make()) + "\n", path)
    return json.loads(path.read_text(encoding="utf-8"))
