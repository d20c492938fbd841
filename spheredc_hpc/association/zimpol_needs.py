"""What ZIMPOL observations need: imaging and polarimetry."""

from __future__ import annotations

from spheredc_hpc.association.rules import OBJECT, Match, Need, Source, same
from spheredc_hpc.instrument import frame_classes as classes


def _by_filter(frame_class: str) -> tuple[Source, ...]:
    """Through the filters of the science, else through the nearest broad band."""
    keys = same("arm", "readmode")
    return (
        Source(frame_class, (*keys, Match("filter"))),
        Source(frame_class, (*keys, Match("filter", "{broad_band}")), relaxed=("filter",)),
    )


BIAS = Need(
    role="bias",
    kind="zimpol_bias",
    serves=OBJECT,
    sources=(Source(classes.BIAS, same("arm", "readmode")),),
    window="zimpol_bias",
    missing_keys=("arm", "readmode"),
    consequence="the level without light comes from the overscan alone",
    missing_flag="BIAS_MISSING",
)
DARK = Need(
    role="dark",
    kind="zimpol_dark",
    serves=OBJECT,
    sources=(
        Source(classes.DARK, same("arm", "readmode", "dit")),
        Source(classes.DARK, same("arm", "readmode"), ("dit",)),
    ),
    window="zimpol_dark",
    missing_keys=("arm", "readmode", "dit"),
    consequence="dark current is not subtracted",
)
FLAT = Need(
    role="flat",
    kind="zimpol_flat",
    serves=OBJECT,
    sources=_by_filter(classes.FLAT),
    window="zimpol_flat",
    missing_keys=("arm", "readmode", "filter"),
    consequence="unit response is assumed",
    missing_flag="FLAT_MISSING",
    upstream=(("bias", BIAS),),
)
MODEM = Need(
    role="modem",
    kind="zimpol_modem",
    serves=OBJECT,
    sources=_by_filter(classes.MODEM),
    window="zimpol_flat",
    missing_keys=("arm", "readmode", "filter"),
    consequence="the efficiency of the modulation is assumed",
    missing_flag="MODEM_MISSING",
    upstream=(("bias", BIAS),),
)

IMAGING = (BIAS, DARK, FLAT)
POLARIMETRY = (*IMAGING, MODEM)
