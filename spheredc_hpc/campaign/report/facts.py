"""What a report says, as frozen records: the content of ``report.json``.

Numbers that are not finite are None, so that the records are JSON as they stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from spheredc_hpc.campaign.report.night_facts import CoherenceRelation, NightRow

SCHEMA_VERSION = 1
STATUSES = ("ok", "flagged", "rejected", "failed", "damaged", "absent")
"""Of a product; ``failed`` ended with an error, ``absent`` has neither error nor receipt."""


def number(value: Any) -> float | None:
    """Give a finite float, or None."""
    if value is None:
        return None
    result = float(value)
    return result if math.isfinite(result) else None


def worst(statuses: list[str]) -> str:
    """Give the status that needs attention most; ``absent`` if there is none at all."""
    order = ("failed", "damaged", "rejected", "absent", "flagged", "ok")
    return next((status for status in order if status in statuses), "absent")


@dataclass(frozen=True)
class Run:
    """What one job took, from ``run.json`` and from Snakemake's benchmark where there is one."""

    started: str
    host: str
    cpu: str
    executor: str
    threads: int
    wall_s: float | None
    cpu_s: float | None
    peak_rss_mb: float | None
    stages_s: dict[str, float] = field(default_factory=dict)
    job_wall_s: float | None = None
    job_max_rss_mb: float | None = None


@dataclass(frozen=True)
class Product:
    """One product or the lack of it.

    `reasons` come from the receipt; of a product that failed, from its failure record or log.
    """

    id: str
    kind: str
    status: str
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    size_bytes: int = 0
    n_inputs: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    settings_digest: str = ""
    software_version: str = ""
    product_version: int = 0
    constants_version: str = ""
    constants_digest: str = ""
    environment_digest: str = ""
    quality: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None
    log: str = ""

    @property
    def made(self) -> bool:
        """Whether there is a product with data."""
        return self.status in ("ok", "flagged")


@dataclass(frozen=True)
class Source:
    """One claimed source of one recipe; contrasts are per channel."""

    number: int
    separation_mas: float | None
    separation_err_mas: float | None
    position_angle_deg: float | None
    position_angle_err_deg: float | None
    snr: float | None
    contrast: tuple[float | None, ...]
    contrast_err: tuple[float | None, ...]


@dataclass(frozen=True)
class ContrastCurve:
    """5-sigma contrast of one channel (``stack`` for all) by one statistic."""

    channel: str
    statistic: str
    contrast: tuple[float | None, ...]


@dataclass(frozen=True)
class Level2:
    """One recipe of one observation."""

    recipe: str
    product: Product
    channels: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    separation_mas: tuple[float | None, ...] = ()
    curves: tuple[ContrastCurve, ...] = ()
    throughput: tuple[tuple[float | None, ...], ...] = ()


@dataclass(frozen=True)
class Level1:
    """The master cube of an observation: what the page shows of it, medians over the frames.

    `ranges` are the smallest and largest value of the conditions; `star_peak` is the peak of the
    star without mask, mean of the channels [adu/s].
    """

    product: Product
    channels: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    rotation_deg: float | None = None
    exposure_s: float | None = None
    dits_s: tuple[float, ...] = ()
    airmass: float | None = None
    seeing_arcsec: float | None = None
    tau0_ms: float | None = None
    strehl: float | None = None
    wind_speed_mps: float | None = None
    centre_err_px: float | None = None
    centre_method: str = ""
    frames_left_out: tuple[str, ...] = ()
    ranges: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    star_peak: float | None = None


@dataclass(frozen=True)
class Use:
    """One calibration in its role."""

    role: str
    kind: str
    product: str
    source_class: str
    tier: str
    age_h: float | None
    relaxed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    rejected: tuple[tuple[tuple[str, ...], str], ...] = ()
    why: str = ""
    status: str = "absent"
    title: str = ""


@dataclass(frozen=True)
class Lack:
    """One calibration that no frame gives."""

    role: str
    kind: str
    keys: dict[str, str]
    consequence: str
    flag: str = ""
    text: str = ""
    title: str = ""


@dataclass(frozen=True)
class ObservationFacts:
    """Everything about one observation.

    `completeness` and `lacks` judge its calibrations and exposures, as the plan does.
    """

    id: str
    target: str
    night: str
    arm: str
    mode: str
    filter: str
    coronagraph: str
    derotator_mode: str
    block: str
    programme: str
    ra_deg: float | None
    dec_deg: float | None
    mjd_mid: float | None
    status: str
    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    frames: dict[str, int]
    raw_path: str
    level1: Level1
    level2: tuple[Level2, ...]
    calibrations: tuple[Use, ...]
    missing: tuple[Lack, ...]
    completeness: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def products(self) -> list[Product]:
        """Level 1 and every recipe."""
        return [self.level1.product, *(level2.product for level2 in self.level2)]

    @property
    def n_sources(self) -> int:
        """Most sources that one recipe claims."""
        return max((len(level2.sources) for level2 in self.level2), default=0)


@dataclass(frozen=True)
class FileNote:
    """One raw file that serves nothing, and why."""

    path: str
    problem: str
    reason: str


@dataclass(frozen=True)
class Files:
    """The raw files of the plan."""

    n_frames: int
    classes: dict[str, int]
    unknown: tuple[FileNote, ...]
    ignored: tuple[FileNote, ...]
    unreadable: tuple[FileNote, ...]
    left_out: tuple[FileNote, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """One calibration product and the observations that use it."""

    product: Product
    used_by: tuple[str, ...]
    setup: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """One failure record."""

    product: str
    error: str
    exit_code: int
    message: str
    try_again: str
    log: str


@dataclass(frozen=True)
class ReportFacts:
    """The whole report."""

    plan: str
    software_version: str
    observations: tuple[ObservationFacts, ...]
    calibrations: tuple[Calibration, ...]
    failures: tuple[Failure, ...]
    files: Files
    flag_meanings: dict[str, str]
    nights: tuple[NightRow, ...] = ()
    coherence: tuple[CoherenceRelation, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def products(self) -> list[Product]:
        """Every product of the plan, calibrations first."""
        found = [calibration.product for calibration in self.calibrations]
        for observation in self.observations:
            found += observation.products
        return found

    @property
    def counts(self) -> dict[str, int]:
        """Number of products by status."""
        every = [product.status for product in self.products]
        return {status: every.count(status) for status in STATUSES}
