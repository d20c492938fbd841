"""An association in words: every pick, what it replaced, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spheredc_hpc.association.picks import Pick, limits_h
from spheredc_hpc.association.requirements import SCIENCE_CLASSES
from spheredc_hpc.association.rules import Need, key_value, label
from spheredc_hpc.config import ValidityWindow
from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.model.association import Association, CalibrationUse, Missing
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.store.codec import to_plain

SETUP_KEYS = ("frame_class", "arm", "night", "readmode", "dit", "filter", "nd")


def title_of_role(role: str) -> str:
    """Write ``background:CENTER`` as ``background for CENTER``."""
    return role.replace("_", " ").replace(":", " for ")


def describe_missing(missing: Missing) -> str:
    """Name what is missing with its exact matching keys.

    ``background for CENTER: IRDIS, Nondest, DIT 32.00 s, DB_H23, ND OPEN``.
    """
    what = title_of_role(missing.role)
    if missing.kind == "exposure":
        what = f"{missing.role} exposure"
    return describe_keys(what, missing.keys)


def describe_keys(what: str, keys: Mapping[str, str]) -> str:
    """Write what is needed with its matching keys."""
    return f"{what}: {', '.join(label(key, value) for key, value in keys.items())}"


def pick_reason(need: Need, served: RawFrame, pick: Pick, window: ValidityWindow) -> str:
    """Say in a sentence why `pick` serves `need`."""
    first = pick.frames[0]
    files = "file" if len(pick.frames) == 1 else "files"
    limit = limits_h(window)[pick.tier]
    parts = [
        f"{len(pick.frames)} {pick.source.frame_class} {files} of night {first.night}",
        f"{pick.age_h:.1f} h from {_reference(served)} "
        f"({pick.tier.replace('_', ' ')}: up to {limit:g} h)",
        "matching " + ", ".join(label(m.key, m.wanted(served)) for m in pick.source.exact),
    ]
    parts += [_difference(key, first, served, pick) for key in pick.relaxed]
    return f"{title_of_role(need.role)}: " + "; ".join(parts)


def _reference(served: RawFrame) -> str:
    """Name what ages count from: a calibration of a calibration is near that in time."""
    on_star = (*SCIENCE_CLASSES, classes.CENTER, classes.FLUX)
    if served.frame_class in on_star:
        return "the middle of the science"
    return f"the {served.frame_class} file that it serves"


def _difference(key: str, frame: RawFrame, served: RawFrame, pick: Pick) -> str:
    if key == "levels":
        levels = len({f.dit_s for f in pick.frames})
        return f"{levels} integration times of {pick.source.levels}"
    if key == "dit" and pick.source.bracketing:
        dits = sorted({f.dit_s for f in pick.frames if f.dit_s is not None})
        return f"interpolated between DIT {dits[0]:.2f} s and {dits[-1]:.2f} s"
    got, wanted = label(key, key_value(frame, key)), label(key, key_value(served, key))
    return f"{got} instead of {wanted} accepted"


def setup_of(frames: Sequence[RawFrame]) -> dict[str, str]:
    """Describe what a calibration is taken with; several values are joined by commas."""
    setup = {}
    for key in SETUP_KEYS:
        values = {key_value(frame, key) for frame in frames} - {""}
        if values:
            ordered = sorted(values, key=lambda v: (float(v) if key == "dit" else 0.0, v))
            setup["dit_s" if key == "dit" else key] = ",".join(ordered)
    return setup


def explain_text(association: Association) -> str:
    """Explain an association to people, a line per fact."""
    observation = association.observation
    lines = [f"{observation.id}: {observation.target}, {observation.key.mode}"]
    lines += [f"  rejected: {reason}" for reason in association.rejected_because]
    for role, frames in association.frames.items():
        planes = sum(frame.n_planes for frame in frames)
        lines.append(f"  {role}: {len(frames)} files, {planes} planes")
    lines += [f"  partner: {partner}" for partner in association.partners]
    lines += [f"  note: {note}" for note in association.notes]
    for use in association.calibrations:
        lines += _explain_use(use)
    for missing in association.missing:
        flag = f" [{missing.flag}]" if missing.flag else ""
        lines.append(f"  MISSING {describe_missing(missing)}: {missing.consequence}{flag}")
        lines += [f"    not: {rejected.reason}" for rejected in missing.rejected]
    return "\n".join(lines)


def _explain_use(use: CalibrationUse) -> list[str]:
    flags = f" [{', '.join(use.flags)}]" if use.flags else ""
    return [
        f"  {use.why}{flags}",
        f"    product: {use.product}",
        *(f"    not: {rejected.reason}" for rejected in use.rejected),
    ]


def explain_json(association: Association) -> dict[str, Any]:
    """Explain an association to programs: the record itself and what is missing in words."""
    return {
        **to_plain(association),
        "missing_text": [describe_missing(missing) for missing in association.missing],
        "text": explain_text(association),
    }
