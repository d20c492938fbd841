"""What observations with the integral field spectrograph need, either prism."""

from __future__ import annotations

from spheredc_hpc.association.rules import OBJECT, Match, Need, Source, same
from spheredc_hpc.instrument import frame_classes as classes

CALIBRATION_DIT_S = "1.65"
"""Integration time of calibrations that do not depend on it; no science frame need have it."""
_DARK_KEYS = ("arm", "readmode", "dit")
_DARKS = (
    Source(classes.BACKGROUND, same(*_DARK_KEYS), ("nd",)),
    Source(classes.DARK, same(*_DARK_KEYS), ("nd",)),
    Source(
        classes.DARK,
        same("arm", "readmode"),
        relaxed=("dit",),
        flag="BG_INTERPOLATED",
        bracketing=True,
    ),
)


def _background(role: str) -> Need:
    return Need(
        role=f"background:{role}",
        kind="background",
        serves=role,
        sources=(
            Source(classes.SKY, same(*_DARK_KEYS, "ifs_setup", "night", "block"), ("nd",), "block"),
            *_DARKS,
        ),
        missing_keys=_DARK_KEYS,
        consequence="no background is subtracted",
        missing_flag="BG_MISSING",
        age_flag="BG_AGE",
        per_dit=True,
    )


def _own_dark(of: str) -> Need:
    """Dark of a calibration's own frames: the archive does not deliver it with the science."""
    return Need(
        role=f"background:{of}",
        kind="background",
        serves=OBJECT,
        sources=_DARKS,
        missing_keys=_DARK_KEYS,
        consequence=f"{of} frames are used with their dark",
        missing_flag="BG_MISSING",
        age_flag="BG_AGE",
        per_dit=True,
    )


_DARK_OF_CALIBRATIONS = Need(
    role="dark",
    kind="background",
    serves=OBJECT,
    sources=tuple(
        Source(frame_class, (*same("arm", "readmode"), Match("dit", CALIBRATION_DIT_S)), ("nd",))
        for frame_class in (classes.BACKGROUND, classes.DARK)
    ),
    missing_keys=_DARK_KEYS,
    consequence="calibrations of the shortest integration time keep their dark",
    missing_flag="BG_MISSING",
    age_flag="BG_AGE",
)


def _lenslets(
    role: str,
    frame_class: str,
    window: str,
    consequence: str,
    flag: str,
    located_by: tuple[str, ...] = (),
) -> Need:
    """One file of the prism of the science; spectra may be `located_by` other roles."""
    name = frame_class.lower()
    return Need(
        role=role,
        kind=f"ifs_{name}",
        serves=OBJECT,
        sources=(Source(frame_class, same("arm", "ifs_setup"), bundle="nearest"),),
        window=window,
        missing_keys=("arm", "ifs_setup"),
        consequence=consequence,
        missing_flag=f"{flag}_MISSING",
        age_flag=f"{flag}_AGE" if window == "spectral" else "",
        upstream=(("background", _own_dark(frame_class)), *((name, name) for name in located_by)),
    )


def _lamp(lamp: str, setup: str, flag: str) -> Need:
    """Detector flat of one lamp: the two nearest files, of two exposure levels as a rule."""
    return Need(
        role=f"det_flat:{lamp}",
        kind="ifs_det_flat",
        serves=OBJECT,
        sources=(
            Source(
                classes.DET_FLAT,
                (*same("arm"), Match("ifs_setup", setup)),
                bundle="nearest",
                take=2,
                levels=2,
            ),
        ),
        window="det_flat",
        missing_keys=("arm", "ifs_setup"),
        consequence=(
            "unit response is assumed" if lamp == "white" else "the white flat serves at any colour"
        ),
        missing_flag=flag,
        upstream=(("background", _own_dark(classes.DET_FLAT)),),
    )


_COMMON = (
    _background(OBJECT),
    _background("CENTER"),
    _background("FLUX"),
    _DARK_OF_CALIBRATIONS,
    _lamp("white", "CAL_BB_2_{ifs_band}", "FLAT_MISSING"),
    _lamp("1020", "CAL_NB1_1_{ifs_band}", ""),
    _lamp("1230", "CAL_NB2_1_{ifs_band}", ""),
    _lamp("1300", "CAL_NB3_1_{ifs_band}", ""),
)
_SPECTRA = (
    _lenslets(
        "specpos",
        classes.SPECPOS,
        "spectral",
        "spectra are located by other lamps",
        "SPECPOS",
    ),
    _lenslets(
        "wave",
        classes.WAVE,
        "spectral",
        "the nearest solution is shifted to the spectra",
        "WAVE",
    ),
    _lenslets(
        "ifu_flat",
        classes.IFU_FLAT,
        "det_flat",
        "lenslets count as equally transparent",
        "IFU_FLAT",
        ("specpos", "wave"),
    ),
    Need(
        role="bad_pixels",
        kind="bad_pixels",
        serves=OBJECT,
        missing_keys=("arm",),
        consequence="bad pixels are only found in the science frames",
        upstream=(("flat", "det_flat:white"), ("background", "dark")),
    ),
)
YJ = (*_COMMON, *_SPECTRA)
YH = (*_COMMON, _lamp("1550", "CAL_NB4_2_YJH", ""), *_SPECTRA)
