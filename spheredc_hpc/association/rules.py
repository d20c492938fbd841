"""What the rows of the tables of requirements are made of, and the keys that frames match by.

Sources name the classes of raw frames, what of the science they must match, and which files go
together; needs name the product, its sources in order of preference, and what follows if none
is there. The rows stand in `irdis_needs`, `ifs_needs` and `zimpol_needs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spheredc_hpc.instrument.filters import flat_filter, zimpol_broad_band
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.model.observation import slug

NO_BLOCK = ("", "-1", "-999", "0")
NO_CORONAGRAPH = ("", "N_NS_CLEAR", "V_NC_WF")
OBJECT = "OBJECT"

MAY_BE_UNKNOWN = ("nd", "readmode")
"""Keys that whole periods may lack: there no value equals no value."""

Bundle = Literal["night", "block", "template", "nearest"]


@dataclass(frozen=True)
class Match:
    """One key that a calibration shares with the frame it serves.

    `value` replaces the value of that frame: a fixed text (``1.65`` for `dit`), or a form
    such as ``CAL_BB_2_{ifs_band}`` whose fields are keys of the frame.
    """

    key: str
    value: str = ""

    def wanted(self, served: RawFrame) -> str:
        """Value that a calibration of `served` must have."""
        if not self.value:
            return key_value(served, self.key)
        return self.value.format_map(_KeysOf(served))


@dataclass(frozen=True)
class Source:
    """One class of raw frames that can give a calibration.

    Attributes
    ----------
    frame_class : str
        Class of the raw frames.
    exact : tuple of Match
        Keys that must be equal.
    tolerant : tuple of str
        Keys that are preferred equal; a difference is recorded as relaxed.
    bundle : str
        Which files go with the nearest one: those of its ``night``, ``block`` or
        ``template``, or the `take` nearest.
    take : int
        Number of files of a ``nearest`` bundle.
    levels, usable_levels : int
        Integration times that a whole set has, and that it must have to be of use.
    relaxed : tuple of str
        Keys that this row leaves open although a better row does not.
    flag : str
        Quality flag of a product that this source serves.
    bracketing : bool
        Two sets of one night, of the integration times next below and above the wanted one,
        between which the product is interpolated.
    """

    frame_class: str
    exact: tuple[Match, ...]
    tolerant: tuple[str, ...] = ()
    bundle: Bundle = "night"
    take: int = 1
    levels: int = 1
    usable_levels: int = 1
    relaxed: tuple[str, ...] = ()
    flag: str = ""
    bracketing: bool = False


@dataclass(frozen=True)
class Need:
    """One calibration that a role of an observation needs.

    Attributes
    ----------
    role : str
        Name under which Level 1 finds it.
    kind : str
        Kind of product, a name of the calibration registry.
    serves : str
        Role of the frames that it calibrates; no such frames, no need.
    sources : tuple of Source
        In order of preference; empty for a product that is made of other products.
    window : str
        Validity window, a field of `AssociationSettings`.
    missing_keys : tuple of str
        Keys that name what is missing.
    consequence, missing_flag : str
        What follows if no frame gives it.
    age_flag : str
        Flag of a pick beyond its nominal window.
    upstream : tuple of (str, str or Need)
        Products that it is made of: name, and the role of the same observation or a need of
        the calibration's own frames (a calibration of a calibration), whose role becomes
        ``<name>:<role>``.
    per_dit : bool
        Whether each integration time of the frames that it serves needs one of its own. That
        of most exposure has the plain role, another ``<role>@<DIT>``.
    """

    role: str
    kind: str
    serves: str
    sources: tuple[Source, ...] = ()
    window: str = "background"
    missing_keys: tuple[str, ...] = ()
    consequence: str = ""
    missing_flag: str = ""
    age_flag: str = ""
    upstream: tuple[tuple[str, str | Need], ...] = ()
    per_dit: bool = False


@dataclass(frozen=True)
class RoleRule:
    """How frames of one class join an observation beside its science.

    `ladder` holds sets of keys that must equal those of the science, the preferred one first;
    without a ladder, frames join by time. `coronagraph_only` roles are missed by coronagraphic
    observations alone.
    """

    role: str
    frame_class: str
    ladder: tuple[tuple[str, ...], ...] = ()
    consequence: str = ""
    missing_flag: str = ""
    coronagraph_only: bool = False


SETUPS_OF_ROLES = {
    OBJECT: ("nd", "readmode"),
    "CENTER": ("nd", "readmode"),
    "FLUX": ("readmode",),
}
"""Values that the frames of one role share, besides the integration time of science; the setup
with most light is kept."""

LABELS = {
    "dit": "DIT {} s",
    "night": "night {}",
    "block": "block {}",
    "lyot_stop": "Lyot stop {}",
    "target": "target {}",
    "mode": "mode {}",
}


def same(*keys: str) -> tuple[Match, ...]:
    """Keys that a calibration shares with the frame it serves, as they are."""
    return tuple(Match(key) for key in keys)


class _KeysOf(dict[str, str]):
    def __init__(self, frame: RawFrame) -> None:
        super().__init__()
        self._frame = frame

    def __missing__(self, key: str) -> str:
        return key_value(self._frame, key)


def block_of(frame: RawFrame) -> str:
    """Container of a frame where there is one, else its observing block."""
    return frame.container_id if frame.container_id not in NO_BLOCK else frame.obs_id


def key_value(frame: RawFrame, key: str) -> str:
    """Value of a matching key of a frame, as text; empty if the header does not say.

    Besides the columns of `RawFrame`: ``dit`` (two decimals), ``block`` (container or
    observing block), ``target`` (its slug), ``ifs_band`` (``YJ`` or ``YJH``), ``flat_filter``
    (the filter of flats that serve it) and ``broad_band`` (of ZIMPOL, the nearest).
    """
    if key == "dit":
        return "" if frame.dit_s is None else f"{frame.dit_s:.2f}"
    if key == "block":
        return block_of(frame)
    if key == "target":
        return slug(frame.target)
    if key == "ifs_band":
        return {"YJ": "YJ", "YH": "YJH"}.get(frame.mode, "")
    if key == "flat_filter":
        return flat_filter(frame.filter)
    if key == "broad_band":
        return zimpol_broad_band(frame.filter)
    return str(getattr(frame, key))


def fits(key: str, value: str, wanted: str) -> bool:
    """Whether a calibration's value of a key is the wanted one; two unknown ones are not equal."""
    unknown = slug("") if key == "target" else ""
    return value == wanted and (value != unknown or key in MAY_BE_UNKNOWN)


def label(key: str, value: str) -> str:
    """Write a key and its value for people: ``DIT 32.00 s``, ``ND OPEN``, ``DB_H23``."""
    if key == "nd":
        return value if value.startswith("ND") else f"ND {value or 'unknown'}"
    return LABELS.get(key, "{}").format(value or f"(no {key})")
