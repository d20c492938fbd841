"""Flags that a product may carry, each with its meaning; the only list of them."""

from __future__ import annotations

FLAGS: dict[str, str] = {
    "BG_AGE": "background older than its nominal validity window",
    "BG_DARK": "background from a detector dark instead of an instrument background",
    "BG_INTERPOLATED": "background interpolated between two integration times",
    "BG_MISSING": "no background of the same integration time; zero was used",
    "FLAT_AGE": "flat older than its nominal validity window",
    "FLAT_MISSING": "no flat; unit response was used",
    "FLAT_FEW_LEVELS": "flat from fewer than three exposure levels; linearity not checked",
    "CENTER_ASSUMED": "no usable CENTER exposure; the star centre comes from the halo or a table",
    "CENTER_POOR": "star centre uncertain by more than 0.7 px",
    "CENTER_SINGLE": "one CENTER exposure only: drift is not measured",
    "FLUX_MISSING": "no FLUX exposure: contrast is not calibrated",
    "FLUX_SAT": "FLUX exposure above the linear limit of the detector",
    "NO_SPARTA": "no adaptive-optics telemetry; seeing and coherence time from the header",
    "CORO_UNCAL": "coronagraph without a transmission curve; transmission 1 assumed",
    "DEROTATOR_SUSPECT": "derotator correction larger than its limit was refused",
    "FRAMES_REJECTED": "some frames were left out",
    "ROTATION_SMALL": "field rotation below one FWHM at the inner radius",
    "NDIT_SHORT": "file holds fewer planes than planned (aborted exposure)",
    "POINTING_J2000": "derotator coordinates missing; angles from the J2000 pointing",
    "BAD_PIXELS_MISSING": "no map of bad pixels; only single-exposure hits were removed",
    "HALO_VARIABLE": "brightness of the stellar halo varies strongly (clouds or seeing)",
    "TIME_ESTIMATED": "end of an exposure missing in the header and estimated",
    "CHECKSUM_WRONG": "DATASUM of a raw file does not match its data",
    "MIXED_DIT": "science frames with several integration times",
    "ND_UNKNOWN": "neutral density without a transmission; 1 assumed",
    "ANGLE_ASSUMED": "angles supplied from outside",
    "SCALE_ASSUMED": "pixel scale supplied from outside",
}
