"""Frames of one role that do not belong together: another pointing, another setup."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from spheredc_hpc.association.rules import SETUP_OF_A_ROLE, key_value
from spheredc_hpc.model.frame import RawFrame

POINTING_LIMIT_ARCSEC = 15.0


def star_of(science: Sequence[RawFrame]) -> RawFrame | None:
    """Give the frame at whose pointing most of the light was taken, the first of equals.

    Parameters
    ----------
    science : sequence of RawFrame
        In time order.

    Returns
    -------
    RawFrame or None
        None if no header gives a pointing.
    """
    pointed = [frame for frame in science if None not in (frame.ra_deg, frame.dec_deg)]
    exposures = [
        sum(
            _exposure_s(other)
            for other in pointed
            if distance_arcsec(other, frame) <= POINTING_LIMIT_ARCSEC
        )
        for frame in pointed
    ]
    return pointed[exposures.index(max(exposures))] if pointed else None


def distance_arcsec(frame: RawFrame, star: RawFrame) -> float:
    """Distance of two pointings on the sky [arcsec]; 0 if one of them is unknown."""
    if frame.ra_deg is None or frame.dec_deg is None or star.ra_deg is None or star.dec_deg is None:
        return 0.0
    across = (frame.ra_deg - star.ra_deg + 180) % 360 - 180
    across *= math.cos(math.radians(star.dec_deg))
    return 3600 * math.hypot(across, frame.dec_deg - star.dec_deg)


def off_target(frames: Sequence[RawFrame], star: RawFrame) -> dict[str, str]:
    """Find frames that point elsewhere than `star`.

    Returns
    -------
    dict
        Archive id to reason. The limit is the cone in which one star's frames are searched.
    """
    distances = {frame.archive_id: distance_arcsec(frame, star) for frame in frames}
    return {
        archive_id: f'points {distance:.0f}" from the star (limit {POINTING_LIMIT_ARCSEC:.0f}")'
        for archive_id, distance in distances.items()
        if distance > POINTING_LIMIT_ARCSEC
    }


def other_setups(frames: Sequence[RawFrame]) -> dict[str, str]:
    """Find frames whose DIT, ND or read mode is not that with the longest total exposure.

    Returns
    -------
    dict
        Archive id to reason, ``dit 8.00 instead of 32.00`` for example.
    """
    exposure_s: dict[tuple[str, ...], float] = defaultdict(float)
    for frame in frames:
        exposure_s[_setup(frame)] += _exposure_s(frame)
    if len(exposure_s) < 2:
        return {}
    kept = max(exposure_s, key=lambda setup: (exposure_s[setup], setup))
    return {
        frame.archive_id: _difference(_setup(frame), kept)
        for frame in frames
        if _setup(frame) != kept
    }


def _exposure_s(frame: RawFrame) -> float:
    return (frame.dit_s or 0.0) * frame.n_planes


def _setup(frame: RawFrame) -> tuple[str, ...]:
    return tuple(key_value(frame, key) for key in SETUP_OF_A_ROLE)


def _difference(setup: tuple[str, ...], kept: tuple[str, ...]) -> str:
    return ", ".join(
        f"{key} {value or 'none'} instead of {wanted or 'none'}"
        for key, value, wanted in zip(SETUP_OF_A_ROLE, setup, kept, strict=True)
        if value != wanted
    )
