"""What a frame is: arm, mode and class, in a fixed order of decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spheredc_hpc.ingest.headers import Extension
from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.instrument.detectors import RAW_SHAPES
from spheredc_hpc.instrument.filters import irdis_combination
from spheredc_hpc.instrument.headers import read_value

_SPECTROGRAPH = ("GRI_MRS", "PRI_LRS")
_IRDIS_MODES_BY_TECHNIQUE = (
    ("POLARIMETRY", "DPI"),
    ("SPECTRUM", "LSS"),
    ("SAM", "SAM"),
    ("DUAL", "DBI"),
)
_IRDIS_MODES_BY_FILTER = (
    ("DP_", "DPI"),
    ("S_LR", "LSS"),
    ("S_MR", "LSS"),
    ("DB_", "DBI"),
    ("BB_", "CBI"),
    ("NB_", "CBI"),
    ("W_", "CBI"),
)


@dataclass(frozen=True)
class Classification:
    """The verdict on a frame.

    Attributes
    ----------
    arm : str
        ``IRDIS``, ``IFS``, ``ZIMPOL``, or empty.
    mode : str
        IRDIS ``DBI``, ``CBI``, ``DPI``, ``LSS``, ``SAM``; IFS ``YJ``, ``YH``; ZIMPOL
        ``IMAGING``, ``POLARIMETRY``; or empty.
    frame_class : str
        One of ``FRAME_CLASSES``.
    reason : str
        Why the frame is ``UNKNOWN`` or ``IGNORED``; empty otherwise.
    notes : tuple of str
        How a decision was made where the header does not say it plainly.
    """

    arm: str
    mode: str
    frame_class: str
    reason: str = ""
    notes: tuple[str, ...] = ()


def classify(
    header: Mapping[str, Any],
    axes: tuple[int, ...] = (),
    extensions: tuple[Extension, ...] = (),
) -> Classification:
    """Decide what a frame is.

    Parameters
    ----------
    header : mapping
        Primary header, keywords without ``HIERARCH``.
    axes : tuple of int
        Axes of the primary unit in FITS order (``NAXIS1`` first).
    extensions : tuple of Extension

    Returns
    -------
    Classification
        Class ``UNKNOWN`` with a reason if no row of the table fits.
    """
    arm, notes = _arm(header, axes, extensions)
    category = _text(header, "category")
    technique = _text(header, "technique")
    dpr_type = classes.normalise_type(_text(header, "dpr_type"))
    mode = _mode(arm, header, technique)

    def verdict(frame_class: str, reason: str = "") -> Classification:
        return Classification(arm, mode, frame_class, reason, notes)

    instrument = _text(header, "instrument")
    if instrument not in ("", "SPHERE"):
        return verdict(classes.UNKNOWN, f"INSTRUME = {instrument}; expected SPHERE")
    if category == "ACQUISITION":
        return verdict(classes.IGNORED, "acquisition frame (DPR CATG = ACQUISITION)")
    if _text(header, "programme") == "MAINTENANCE":
        return verdict(classes.IGNORED, "maintenance frame (OBS PROG ID = Maintenance)")
    if not dpr_type:
        return verdict(classes.UNKNOWN, "the header has no DPR TYPE")
    rules = classes.rules_of_type(dpr_type)
    if not rules:
        return verdict(classes.UNKNOWN, f"DPR TYPE = {dpr_type} is not in the table of classes")
    if rules[0].frame_class == classes.SPARTA:
        return verdict(classes.SPARTA)
    if not arm:
        return verdict(classes.UNKNOWN, "no arm: SEQ ARM, DET ID and the axes do not tell")
    misfit = _misfit(arm, axes, extensions)
    if misfit:
        return verdict(classes.UNKNOWN, misfit)
    for rule in rules:
        if rule.fits(header, arm, mode, category, technique):
            return verdict(rule.frame_class, rule.note)
    what = f"{arm} {mode or 'without mode'}, DPR TYPE = {dpr_type}, CATG = {category or '-'}"
    extra = f", INS2 COMB IFS = {_text(header, 'ifs_setup') or '-'}" if arm == classes.IFS else ""
    return verdict(
        classes.UNKNOWN, f"no row of the table of classes fits: {what}, TECH = {technique}{extra}"
    )


def _text(header: Mapping[str, Any], name: str) -> str:
    return str(read_value(header, name, "")).upper()


def _arm(
    header: Mapping[str, Any], axes: tuple[int, ...], extensions: tuple[Extension, ...]
) -> tuple[str, tuple[str, ...]]:
    """Arm from ``SEQ ARM``, then the detector, then the shape of the data."""
    arm = _text(header, "arm")
    if arm in classes.ARMS:
        return arm, ()
    identity = _text(header, "detector_id")
    for known in classes.ARMS:
        if known in identity:
            return known, (f"arm from the detector {identity}, SEQ ARM is {arm or 'missing'}",)
    note = (f"arm from the shape of the data, SEQ ARM is {arm or 'missing'}",)
    for known in classes.INFRARED:
        if axes[:2] == RAW_SHAPES[known][::-1]:
            return known, note
    if not axes and sum(ext.kind == "IMAGE" for ext in extensions) >= 1:
        return classes.ZIMPOL, note
    return "", ()


def _mode(arm: str, header: Mapping[str, Any], technique: str) -> str:
    if arm == classes.IRDIS:
        return _irdis_mode(header, technique)
    if arm == classes.IFS:
        return _ifs_mode(header)
    if arm == classes.ZIMPOL:
        readmode = _text(header, "readmode")
        polarimetric = "POLARIMETRY" in technique or "POLARIMETRY" in readmode
        return "POLARIMETRY" if polarimetric else "IMAGING"
    return ""


def _irdis_mode(header: Mapping[str, Any], technique: str) -> str:
    for word, mode in _IRDIS_MODES_BY_TECHNIQUE:
        if word in technique:
            return mode
    if _text(header, "lyot_stop") in _SPECTROGRAPH:
        return "LSS"
    combination = irdis_combination(header)
    for prefix, mode in _IRDIS_MODES_BY_FILTER:
        if combination.startswith(prefix):
            return mode
    return ""


def _ifs_mode(header: Mapping[str, Any]) -> str:
    setup = _text(header, "ifs_setup")
    if setup == "OBS_H" or setup.endswith("YJH"):
        return "YH"
    if setup.endswith("YJ"):
        return "YJ"
    prism = _text(header, "prism")
    return "YH" if prism.endswith("YJH") else "YJ" if prism.endswith("YJ") else ""


def _misfit(arm: str, axes: tuple[int, ...], extensions: tuple[Extension, ...]) -> str:
    """Why the data cannot come from the detector of `arm`; empty if they can."""
    if arm == classes.ZIMPOL:
        has_images = any(extension.kind == "IMAGE" for extension in extensions)
        return "" if has_images else "no image extension; ZIMPOL files have one per camera"
    rows, columns = RAW_SHAPES[arm]
    if axes[:2] != (columns, rows) or len(axes) > 3:
        size = " x ".join(str(length) for length in axes) or "no data"
        return f"{size} in the primary unit; {arm} planes are {columns} x {rows}"
    return "" if len(axes) == 2 or axes[2] > 0 else "the cube has no planes (NAXIS3 = 0)"
