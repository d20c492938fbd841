"""Frame classes: which headers make a frame what it is, as rows of a table.

``DPR TYPE`` is compared word by word after :func:`normalise_type`; ``DPR TECH`` by substring,
never by equality. The first row that fits decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from spheredc_hpc.instrument.headers import read_value

IRDIS, IFS, ZIMPOL = "IRDIS", "IFS", "ZIMPOL"
ARMS = (IRDIS, IFS, ZIMPOL)
INFRARED = (IRDIS, IFS)

SCIENCE, SCIENCE_POL, SCIENCE_LSS = "SCIENCE", "SCIENCE_POL", "SCIENCE_LSS"
CENTER, FLUX, SKY, SPARTA, STANDARD = "CENTER", "FLUX", "SKY", "SPARTA", "STANDARD"
DARK, BACKGROUND, FLAT, BIAS, MODEM = "DARK", "BACKGROUND", "FLAT", "BIAS", "MODEM"
DISTORTION, GAIN, WAVE, SPECPOS = "DISTORTION", "GAIN", "WAVE", "SPECPOS"
IFU_FLAT, DET_FLAT = "IFU_FLAT", "DET_FLAT"
UNKNOWN, IGNORED = "UNKNOWN", "IGNORED"
FRAME_CLASSES = (
    *(SCIENCE, SCIENCE_POL, SCIENCE_LSS, CENTER, FLUX, SKY, SPARTA, STANDARD),
    *(DARK, BACKGROUND, FLAT, BIAS, MODEM, DISTORTION, GAIN, WAVE, SPECPOS),
    *(IFU_FLAT, DET_FLAT, UNKNOWN, IGNORED),
)

# Frames of TEST and TECHNICAL categories are not science; standards may be CALIB.
ON_SKY = ("SCIENCE", "CALIB")
LENSLET_SETUPS = ("OBS_YJ", "OBS_H")
DETECTOR_FLAT_SETUPS = (
    *("CAL_BB_2_*", "CAL_NB1_1_*", "CAL_NB2_1_*", "CAL_NB3_1_*"),
    "CAL_NB4_2_YJH",
)


@dataclass(frozen=True)
class FrameRule:
    """One row: all of its conditions hold for a frame of its class.

    Attributes
    ----------
    types : tuple of str
        Values of ``DPR TYPE``, normalised.
    frame_class : str
        The class of a frame that fits.
    arms, modes, categories : tuple of str
        Any of these; empty is any at all.
    tech_has : tuple of str
        Substrings of ``DPR TECH`` that must all be there.
    extra : tuple of (str, tuple of str)
        Header values (logical names) and the patterns of which one must fit.
    note : str
        Why the frame is kept out, for classes that are not reduced.
    """

    types: tuple[str, ...]
    frame_class: str
    arms: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    tech_has: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    note: str = ""

    def fits(
        self, header: Mapping[str, Any], arm: str, mode: str, category: str, technique: str
    ) -> bool:
        """Whether a frame of one of the row's types meets its other conditions."""
        return (
            (not self.arms or arm in self.arms)
            and (not self.modes or mode in self.modes)
            and (not self.categories or category in self.categories)
            and all(word in technique for word in self.tech_has)
            and all(
                any(fnmatchcase(str(read_value(header, name, "")), pattern) for pattern in patterns)
                for name, patterns in self.extra
            )
        )


RULES: tuple[FrameRule, ...] = (
    FrameRule(("OBJECT,AO",), SPARTA),
    # IRDIS, and what both infrared arms share
    FrameRule(("OBJECT",), SCIENCE_POL, (IRDIS,), ("DPI",), ON_SKY),
    FrameRule(("OBJECT",), SCIENCE_LSS, (IRDIS,), ("LSS",), ON_SKY),
    FrameRule(("OBJECT",), SCIENCE, (IRDIS,), ("DBI", "CBI", "SAM"), ON_SKY),
    FrameRule(("OBJECT",), SCIENCE, (IFS,), ("YJ", "YH"), ON_SKY),
    FrameRule(("OBJECT,CENTER",), CENTER, categories=ON_SKY),
    FrameRule(("OBJECT,FLUX",), FLUX, categories=ON_SKY),
    FrameRule(("SKY",), SKY, categories=ON_SKY),
    FrameRule(("STD", "STD,FLUX", "STD,CENTER"), STANDARD),
    FrameRule(("OBJECT,ASTROMETRY", "ASTROMETRY", "STD,ASTROMETRY"), STANDARD),
    FrameRule(("DARK",), DARK),
    FrameRule(("DARK,BACKGROUND",), BACKGROUND, arms=INFRARED),
    FrameRule(("FLAT,LAMP,RONGAIN",), GAIN, arms=INFRARED),
    FrameRule(("LAMP,DISTORT",), DISTORTION),
    # A lamp through the coronagraph does not calibrate a spectrum.
    FrameRule(
        ("LAMP,WAVE", "WAVE,LAMP", "FLAT,LAMP"),
        IGNORED,
        arms=(IRDIS,),
        modes=("LSS",),
        categories=("CALIB",),
        tech_has=("SPECTRUM", "CORON"),
        note="LSS calibration taken through the coronagraph, unfit for use",
    ),
    FrameRule(("LAMP,WAVE", "WAVE,LAMP"), WAVE, arms=(IRDIS,), modes=("LSS",)),
    FrameRule(("FLAT,LAMP",), FLAT, arms=(IRDIS,)),
    # IFS
    FrameRule(("WAVE,LAMP", "LAMP,WAVE"), WAVE, arms=(IFS,)),
    FrameRule(("SPECPOS,LAMP",), SPECPOS, arms=(IFS,)),
    FrameRule(("FLAT,LAMP",), IFU_FLAT, arms=(IFS,), extra=(("ifs_setup", LENSLET_SETUPS),)),
    FrameRule(("FLAT,LAMP",), DET_FLAT, arms=(IFS,), extra=(("ifs_setup", DETECTOR_FLAT_SETUPS),)),
    # ZIMPOL
    FrameRule(("OBJECT",), SCIENCE_POL, (ZIMPOL,), ("POLARIMETRY",), ON_SKY),
    FrameRule(("OBJECT",), SCIENCE, (ZIMPOL,), ("IMAGING",), ON_SKY),
    FrameRule(("BIAS",), BIAS, arms=(ZIMPOL,)),
    FrameRule(("FLAT,POL,LAMP",), MODEM, arms=(ZIMPOL,)),
    FrameRule(("FLAT,LAMP",), FLAT, arms=(ZIMPOL,)),
)


def normalise_type(dpr_type: str) -> str:
    """Return ``DPR TYPE`` in upper case, without blanks, ``CENTRE`` written ``CENTER``."""
    words = [word.strip().upper() for word in dpr_type.split(",")]
    return ",".join("CENTER" if word == "CENTRE" else word for word in words if word)


def rules_of_type(dpr_type: str) -> tuple[FrameRule, ...]:
    """All rows for a ``DPR TYPE``, in order of decision."""
    wanted = normalise_type(dpr_type)
    return tuple(rule for rule in RULES if wanted in rule.types)
