"""What a killed job leaves behind: scratch and aside directories, cleared at start."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import psutil

from spheredc_hpc.store.lock import is_held
from spheredc_hpc.store.receipt import KEPT, RECEIPT

logger = logging.getLogger(__name__)

_LEFT_BEHIND = re.compile(r"^\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{8}\.(?P<kind>part|old)$")


# Folders that hold products: what is left behind lies beside its product, never inside.
_PRODUCT_PARENTS = ("calibrations/*", "observations/*", "observations/*/level2", "library")


def sweep(root: Path) -> list[Path]:
    """Remove scratch directories whose writer is dead and bring back versions set aside.

    A version set aside is restored if its successor was never renamed in.

    Parameters
    ----------
    root : Path
        Result root; only its product folders are looked at.

    Returns
    -------
    list of Path
        What was removed or restored.
    """
    done = []
    for place in _PRODUCT_PARENTS:
        for path in sorted(root.glob(f"{place}/.*")):
            match = _LEFT_BEHIND.match(path.name)
            if match is None or not path.is_dir() or psutil.pid_exists(int(match["pid"])):
                continue
            if is_held(path.parent / f".{match['name']}.lock"):
                continue  # its writer lives, on another host
            target = path.parent / match["name"]
            sound = any((target / name).is_file() for name in (RECEIPT, KEPT))
            if match["kind"] == "old" and not sound:
                if target.exists():
                    shutil.rmtree(target)
                path.rename(target)
                logger.warning("restored %s, whose successor was never finished", target)
            else:
                shutil.rmtree(path)
                logger.warning("removed %s, left behind by a job that died", path)
            done.append(path)
    return done
