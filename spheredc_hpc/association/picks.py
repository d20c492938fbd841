"""A candidate set of calibration frames, its age and its validity window."""

from __future__ import annotations

from dataclasses import dataclass

from spheredc_hpc.association.rules import Source
from spheredc_hpc.config import ValidityWindow
from spheredc_hpc.model.frame import RawFrame

TIERS = ("nominal", "acceptable", "last_resort")
HOURS_PER_DAY = 24.0


@dataclass(frozen=True)
class Pick:
    """A usable set of frames of one source.

    Attributes
    ----------
    source : Source
        Row of the table that it comes from.
    rank : int
        Place of that row in the list of preferences, 1 is best.
    frames : tuple of RawFrame
        In time order.
    tier : str
        Validity window of its nearest frame.
    age_h : float
        Distance of its nearest frame from the middle of the science [h].
    relaxed : tuple of str
        Keys in which it differs from what is served.
    """

    source: Source
    rank: int
    frames: tuple[RawFrame, ...]
    tier: str
    age_h: float
    relaxed: tuple[str, ...]

    @property
    def order(self) -> tuple[bool, int, int, int, float]:
        """Sort key: a last resort of any class comes after everything better."""
        tier = TIERS.index(self.tier)
        last = tier == len(TIERS) - 1
        return last, self.rank, tier, len(self.relaxed), self.age_h


def age_of(frame: RawFrame, mjd: float) -> float:
    """Distance in time of the start of `frame` from `mjd` [h], to 1e-6 h; never negative."""
    return round(abs((frame.mjd_start or 0.0) - mjd) * HOURS_PER_DAY, 6)


def limits_h(window: ValidityWindow) -> dict[str, float]:
    """Upper bound of each window [h], the narrowest first."""
    limits = (window.nominal_h, window.acceptable_h, window.last_resort_h)
    return dict(zip(TIERS, limits, strict=True))


def tier_of(age_h: float, window: ValidityWindow) -> str | None:
    """Window that an age falls into, bounds included; None beyond the last."""
    return next((tier for tier, limit in limits_h(window).items() if age_h <= limit), None)
