"""What is reduced as one: the frames of one observing block, arm and setup."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ObservationKey:
    """The values that make two frames part of one observation.

    `block` is the container id where there is one (star hopping), else the OB id. `part` tells
    observations apart that one block was split into, by integration time for instance.
    """

    night: str
    block: str
    arm: str
    mode: str
    filter: str
    derotator_mode: str
    coronagraph: str
    part: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the key, hexadecimal; a `part` counts only if there is one."""
        values = {name: value for name, value in asdict(self).items() if name != "part" or value}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Observation:
    """One observation: identity and the facts that every page shows."""

    id: str
    key: ObservationKey
    target: str
    programme: str = ""
    parent: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None
    mjd_mid: float | None = None
    dit_s: float | None = None
    n_frames: int = 0


def slug(text: str) -> str:
    """Lower-case letters, digits, ``-`` and ``_`` only; ``unknown`` if nothing is left."""
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", text.strip().lower()).strip("-")
    return cleaned or "unknown"


def observation_id(key: ObservationKey, target: str) -> str:
    """``<night>_<target>_<arm>_<filter>_<OB id>_<8 hex of the key>`` (same on every machine)."""
    parts = [key.night, slug(target), slug(key.arm), slug(key.filter), slug(key.block)]
    return "_".join([*parts, key.digest[:8]])
