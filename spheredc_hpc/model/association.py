"""Which frames and calibrations serve an observation, how well, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.model.observation import Observation


@dataclass(frozen=True)
class Rejected:
    """A candidate that was not taken."""

    archive_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class CalibrationUse:
    """One calibration product picked for one role of an observation.

    Attributes
    ----------
    role : str
        What it serves: ``background:OBJECT``, ``background:CENTER``, ``background:FLUX``,
        ``flat``, ``bad_pixels`` and so on. A role of several integration times has a background
        for each: ``background:OBJECT`` of that with most exposure, ``background:OBJECT@8.00``
        of another, and ``background:FLUX@2.00@ND_1.0`` of a second density of one time. What
        calibrations need themselves is named after them: ``background:wave``.
    kind : str
        Kind of product, a name of the calibration registry.
    product : str
        Directory of the product, relative to the root.
    source_class : str
        Class of its raw frames (``SKY``, ``BACKGROUND``, ``DARK``, ``FLAT``).
    tier : str
        ``nominal``, ``acceptable`` or ``last_resort`` validity window.
    age_h : float
        Absolute distance in time to the middle of the science sequence, or to the calibration
        whose own calibration it is [h].
    rank : int
        Place in the list of preferences, 1 is best.
    relaxed : tuple of str
        Keys that were not matched exactly.
    wanted : str
        What it stands for, with the exact keys of the best source, as of what is missing; empty
        for a product that is made of other products.
    """

    role: str
    kind: str
    product: str
    source_class: str
    tier: str
    age_h: float
    rank: int = 1
    relaxed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    why: str = ""
    wanted: str = ""


@dataclass(frozen=True)
class Missing:
    """A calibration that no frame can give, with the exact keys that it would need."""

    role: str
    kind: str
    keys: dict[str, str]
    consequence: str
    flag: str = ""
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Association:
    """Everything that Level 1 of one observation starts from.

    `frames` maps a role (OBJECT, CENTER, FLUX, SKY, SPARTA) to its raw files in time order.
    `rejected_because` is empty if the observation can be reduced. `notes` say which frames were
    left out of a role, or taken from another block. `partners` are the other stars of the same
    container and setup (star hopping): references for each other.
    """

    observation: Observation
    frames: dict[str, tuple[FrameRef, ...]]
    calibrations: tuple[CalibrationUse, ...] = ()
    missing: tuple[Missing, ...] = ()
    flags: tuple[str, ...] = ()
    rejected_because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()

    def calibration(self, role: str) -> CalibrationUse | None:
        """Give the pick for `role`, or None."""
        return next((use for use in self.calibrations if use.role == role), None)


@dataclass(frozen=True)
class CalibrationJob:
    """One calibration product to make: the input file of a calibration job.

    `key` names the product directory ``calibrations/<kind>/<key>``; it digests the frames,
    the upstream products, the settings and the product version. `upstream` maps a role
    (``background``, ``flat``) to the product directory it needs, relative to the root.
    `interpolate_dit_s` is the integration time of a background that is interpolated between
    frames of two others.
    """

    kind: str
    key: str
    setup: dict[str, str]
    frames: tuple[FrameRef, ...]
    upstream: dict[str, str] = field(default_factory=dict)
    interpolate_dit_s: float | None = None

    @property
    def product(self) -> str:
        """Directory of the product, relative to the root."""
        return f"calibrations/{self.kind}/{self.key}"
