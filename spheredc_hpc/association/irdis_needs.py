"""What IRDIS observations need: imaging, polarimetry, long-slit spectroscopy."""

from __future__ import annotations

from spheredc_hpc.association.rules import OBJECT, Match, Need, Source, same
from spheredc_hpc.instrument import frame_classes as classes

_BACKGROUND_KEYS = ("arm", "readmode", "dit", "filter", "nd")
_BRACKET_KEYS = ("arm", "readmode", "filter", "nd")

BACKGROUND = (
    Source(classes.SKY, same(*_BACKGROUND_KEYS, "night", "block"), ("mode",), "block"),
    Source(
        classes.SKY,
        same(*_BACKGROUND_KEYS, "night", "target"),
        ("mode",),
        "night",
        relaxed=("block",),
    ),
    Source(classes.BACKGROUND, same(*_BACKGROUND_KEYS), ("lyot_stop",)),
    Source(classes.DARK, same("arm", "readmode", "dit"), ("filter",), flag="BG_DARK"),
    Source(
        classes.BACKGROUND,
        same(*_BRACKET_KEYS),
        ("lyot_stop",),
        relaxed=("dit",),
        flag="BG_INTERPOLATED",
        bracketing=True,
    ),
    Source(
        classes.DARK,
        same("arm", "readmode"),
        ("filter",),
        relaxed=("dit",),
        flag="BG_INTERPOLATED",
        bracketing=True,
    ),
)


def background_for(role: str) -> Need:
    """Give the row of the background of one role, an integration time at a time."""
    return Need(
        role=f"background:{role}",
        kind="background",
        serves=role,
        sources=BACKGROUND,
        window="background",
        missing_keys=_BACKGROUND_KEYS,
        consequence="no background is subtracted",
        missing_flag="BG_MISSING",
        age_flag="BG_AGE",
        per_dit=True,
    )


def _flat_source(match: Match, relaxed: tuple[str, ...] = ()) -> Source:
    return Source(
        classes.FLAT,
        (*same("arm"), match),
        bundle="template",
        levels=5,
        usable_levels=2,
        relaxed=relaxed,
    )


def _flat(sources: tuple[Source, ...], missing_key: str) -> Need:
    return Need(
        role="flat",
        kind="flat",
        serves=OBJECT,
        sources=sources,
        window="flat",
        missing_keys=("arm", missing_key),
        consequence="unit response is assumed",
        missing_flag="FLAT_MISSING",
        age_flag="FLAT_AGE",
    )


BAD_PIXELS = Need(
    role="bad_pixels",
    kind="bad_pixels",
    serves=OBJECT,
    missing_keys=("arm", "filter"),
    consequence="bad pixels are only found in the science frames",
    upstream=(("flat", "flat"), ("background", "background:OBJECT")),
)
_BACKGROUNDS = (background_for(OBJECT), background_for("CENTER"), background_for("FLUX"))

IMAGING = (*_BACKGROUNDS, _flat((_flat_source(Match("filter")),), "filter"), BAD_PIXELS)

# The polarisers stand behind what a flat measures: one through the filter alone serves as well.
POLARIMETRY = (
    *_BACKGROUNDS,
    _flat(
        (
            _flat_source(Match("filter")),
            _flat_source(Match("filter", "{flat_filter}"), relaxed=("filter",)),
        ),
        "flat_filter",
    ),
    BAD_PIXELS,
)

_WAVE_DARK = Need(
    role="background:WAVE",
    kind="background",
    serves=OBJECT,
    sources=(
        Source(classes.BACKGROUND, same("arm", "readmode", "dit", "filter"), ("lyot_stop",)),
        Source(classes.DARK, same("arm", "readmode", "dit"), flag="BG_DARK"),
    ),
    missing_keys=("arm", "readmode", "dit"),
    consequence="the lines of the lasers are measured above an unknown background",
    missing_flag="BG_MISSING",
    age_flag="BG_AGE",
)
SPECTROSCOPY = (
    *_BACKGROUNDS,
    _flat((_flat_source(Match("filter", "{flat_filter}")),), "flat_filter"),
    Need(
        role="wave",
        kind="lss_wave",
        serves=OBJECT,
        sources=(
            Source(classes.WAVE, same("arm", "mode", "filter"), ("lyot_stop",), bundle="nearest"),
        ),
        window="spectral",
        missing_keys=("arm", "mode", "filter"),
        consequence="wavelengths come from the design of the disperser",
        missing_flag="WAVE_MISSING",
        age_flag="WAVE_AGE",
        upstream=(("background", _WAVE_DARK),),
    ),
    BAD_PIXELS,
)
