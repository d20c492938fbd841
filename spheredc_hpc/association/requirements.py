"""What each arm and mode needs, and how frames join an observation: the tables.

An arm is added by adding rows, see `rules`.
"""

from __future__ import annotations

from spheredc_hpc.association import ifs_needs, irdis_needs, zimpol_needs
from spheredc_hpc.association.rules import Need, RoleRule
from spheredc_hpc.instrument import frame_classes as classes

REQUIREMENTS: dict[tuple[str, str], tuple[Need, ...]] = {
    (classes.IRDIS, "DBI"): irdis_needs.IMAGING,
    (classes.IRDIS, "CBI"): irdis_needs.IMAGING,
    (classes.IRDIS, "SAM"): irdis_needs.IMAGING,
    (classes.IRDIS, "DPI"): irdis_needs.POLARIMETRY,
    (classes.IRDIS, "LSS"): irdis_needs.SPECTROSCOPY,
    (classes.IFS, "YJ"): ifs_needs.YJ,
    (classes.IFS, "YH"): ifs_needs.YH,
    (classes.ZIMPOL, "IMAGING"): zimpol_needs.IMAGING,
    (classes.ZIMPOL, "POLARIMETRY"): zimpol_needs.POLARIMETRY,
}
"""Calibrations by arm and mode."""

LEVEL1_MODES: dict[tuple[str, str], str] = {
    (classes.IRDIS, "DBI"): "irdis_dbi",
    (classes.IRDIS, "CBI"): "irdis_dbi",
}
"""Name in the registry of observing modes, by arm and mode; others are associated only."""

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
