"""Requirements and matching keys of each arm and mode, as rows of a table.

An arm is added by adding rows: sources name the classes of raw frames, what of the science
they must match, and which files go together; needs name the product, its sources in order of
preference, and what follows if none is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.model.observation import slug

NO_BLOCK = ("", "-1", "-999", "0")
NO_CORONAGRAPH = ("", "N_NS_CLEAR")
OBJECT = "OBJECT"

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
        the calibration's own frames (a calibration of a calibration).
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


def _same(*keys: str) -> tuple[Match, ...]:
    return tuple(Match(key) for key in keys)


_BACKGROUND_KEYS = ("arm", "readmode", "dit", "filter", "nd")

IRDIS_BACKGROUND = (
    Source(classes.SKY, _same(*_BACKGROUND_KEYS, "night", "block"), ("mode",), "block"),
    Source(
        classes.SKY,
        _same(*_BACKGROUND_KEYS, "night", "target"),
        ("mode",),
        "night",
        relaxed=("block",),
    ),
    Source(classes.BACKGROUND, _same(*_BACKGROUND_KEYS), ("lyot_stop",)),
    Source(classes.DARK, _same("arm", "readmode", "dit"), ("filter",), flag="BG_DARK"),
)


def _irdis_background(role: str) -> Need:
    return Need(
        role=f"background:{role}",
        kind="background",
        serves=role,
        sources=IRDIS_BACKGROUND,
        window="background",
        missing_keys=_BACKGROUND_KEYS,
        consequence="no background is subtracted",
        missing_flag="BG_MISSING",
        age_flag="BG_AGE",
    )


IRDIS_IMAGING = (
    _irdis_background(OBJECT),
    _irdis_background("CENTER"),
    _irdis_background("FLUX"),
    Need(
        role="flat",
        kind="flat",
        serves=OBJECT,
        sources=(
            Source(
                classes.FLAT,
                _same("arm", "filter"),
                bundle="template",
                levels=5,
                usable_levels=2,
            ),
        ),
        window="flat",
        missing_keys=("arm", "filter"),
        consequence="unit response is assumed",
        missing_flag="FLAT_MISSING",
        age_flag="FLAT_AGE",
    ),
    Need(
        role="bad_pixels",
        kind="bad_pixels",
        serves=OBJECT,
        missing_keys=("arm", "filter"),
        consequence="bad pixels are only found in the science frames",
        upstream=(("flat", "flat"), ("background", "background:OBJECT")),
    ),
)

REQUIREMENTS: dict[tuple[str, str], tuple[Need, ...]] = {
    (classes.IRDIS, "DBI"): IRDIS_IMAGING,
    (classes.IRDIS, "CBI"): IRDIS_IMAGING,
}
"""Calibrations by arm and mode; a mode without a row is not supported yet."""

LEVEL1_MODES: dict[tuple[str, str], str] = {
    (classes.IRDIS, "DBI"): "irdis_dbi",
    (classes.IRDIS, "CBI"): "irdis_dbi",
}
"""Name in the registry of observing modes, by arm and mode."""

SCIENCE_CLASSES = (classes.SCIENCE, classes.SCIENCE_POL, classes.SCIENCE_LSS)

_SAME_SETUP = ("night", "target", "arm", "filter", "derotator_mode")

ROLES = (
    RoleRule(
        "CENTER",
        classes.CENTER,
        ((*_SAME_SETUP, "coronagraph", "block"), (*_SAME_SETUP, "coronagraph")),
        consequence="the star centre comes from the halo",
        missing_flag="CENTER_ASSUMED",
        coronagraph_only=True,
    ),
    RoleRule(
        "FLUX",
        classes.FLUX,
        ((*_SAME_SETUP, "block"),),
        consequence="contrast is not calibrated",
        missing_flag="FLUX_MISSING",
    ),
    RoleRule(
        "SKY",
        classes.SKY,
        (("night", "arm", "filter", "block"), ("night", "arm", "filter", "target")),
    ),
    RoleRule(
        "SPARTA",
        classes.SPARTA,
        consequence="seeing and coherence time come from the science headers",
        missing_flag="NO_SPARTA",
    ),
)

SETUP_OF_A_ROLE = ("dit", "nd", "readmode")
"""Values that the frames of one role share; the setup with most light is kept."""

LABELS = {
    "dit": "DIT {} s",
    "night": "night {}",
    "block": "block {}",
    "lyot_stop": "Lyot stop {}",
    "target": "target {}",
    "mode": "mode {}",
}


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
    observing block), ``target`` (its slug) and ``ifs_band`` (``YJ`` or ``YJH``).
    """
    if key == "dit":
        return "" if frame.dit_s is None else f"{frame.dit_s:.2f}"
    if key == "block":
        return block_of(frame)
    if key == "target":
        return slug(frame.target)
    if key == "ifs_band":
        return {"YJ": "YJ", "YH": "YJH"}.get(frame.mode, "")
    return str(getattr(frame, key))


def label(key: str, value: str) -> str:
    """Write a key and its value for people: ``DIT 32.00 s``, ``ND OPEN``, ``DB_H23``."""
    if key == "nd":
        return value if value.startswith("ND") else f"ND {value or 'unknown'}"
    return LABELS.get(key, "{}").format(value or f"(no {key})")
