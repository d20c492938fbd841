"""Frames of one role that do not belong together: another pointing, another setup."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from spheredc_hpc.association.rules import key_value
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


def other_setups(
    frames: Sequence[RawFrame], keys: Sequence[str], least_share: float = 1.0
) -> dict[str, str]:
    """Find frames whose setup is not one of those with most exposure.

    Parameters
    ----------
    frames : sequence of RawFrame
        Of one role.
    keys : sequence of str
        Values that all frames must share; the setup with the longest total exposure is kept.
    least_share : float
        Share of the exposure from which another integration time of that setup is kept too.

    Returns
    -------
    dict
        Archive id to reason, ``dit 8.00 instead of 32.00`` for example.
    """
    kept = _most_exposed(frames, keys)
    refused = {
        frame.archive_id: _difference(_setup(frame, keys), kept, keys)
        for frame in frames
        if _setup(frame, keys) != kept
    }
    alike = [frame for frame in frames if frame.archive_id not in refused]
    total_s = sum(map(_exposure_s, alike))
    by_dit: dict[tuple[str, ...], float] = defaultdict(float)
    for frame in alike:
        by_dit[_setup(frame, ("dit",))] += _exposure_s(frame)
    longest = max(by_dit, key=lambda dit: (by_dit[dit], dit), default=())
    for frame in alike:
        dit = _setup(frame, ("dit",))
        if dit != longest and by_dit[dit] < least_share * total_s:
            reason = _difference(dit, longest, ("dit",))
            if least_share < 1:
                share = 100 * by_dit[dit] / total_s
                reason += f", {share:.0f} % of the exposure (at least {100 * least_share:g} %)"
            refused[frame.archive_id] = reason
    return refused


def total_exposure_s(frames: Sequence[RawFrame]) -> float:
    """Sum of integration times [s]."""
    return sum(map(_exposure_s, frames))


def _most_exposed(frames: Sequence[RawFrame], keys: Sequence[str]) -> tuple[str, ...]:
    exposure_s: dict[tuple[str, ...], float] = defaultdict(float)
    for frame in frames:
        exposure_s[_setup(frame, keys)] += _exposure_s(frame)
    return max(exposure_s, key=lambda setup: (exposure_s[setup], setup), default=())


def _exposure_s(frame: RawFrame) -> float:
    return (frame.dit_s or 0.0) * frame.n_planes


def _setup(frame: RawFrame, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(key_value(frame, key) for key in keys)


def _difference(setup: tuple[str, ...], kept: tuple[str, ...], keys: Sequence[str]) -> str:
    return ", ".join(
        f"{key} {value or 'none'} instead of {wanted or 'none'}"
        for key, value, wanted in zip(keys, setup, kept, strict=True)
        if value != wanted
    )
