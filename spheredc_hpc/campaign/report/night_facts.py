"""Records of the overview of nights: a row an observation, and light against coherence time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NightRow:
    """One observation in the table of its night; None where nothing is known.

    Attributes
    ----------
    tracking : str
        Law of the derotator.
    frames, left_out : int or None
        Frames of the cube, and reasons why frames are not in it.
    seeing_arcsec, tau0_ms, strehl, wind_speed_mps : float or None
        Medians over the frames; ``_min`` and ``_max`` are their range.
    conditions_from : str
        ``telemetry``, ``telemetry and headers`` (gaps), ``headers``, or empty without a cube.
    completeness : str
        ``complete``, ``degraded`` or ``incomplete``.
    lacks : str
        What is missing, stale or replaced.
    """

    night: str
    utc_mjd: float | None
    target: str
    observation: str
    arm: str
    mode: str
    filter: str
    coronagraph: str
    tracking: str
    dits_s: str
    frames: int | None
    left_out: int | None
    exposure_s: float | None
    rotation_deg: float | None
    airmass: float | None
    seeing_arcsec: float | None
    seeing_arcsec_min: float | None
    seeing_arcsec_max: float | None
    tau0_ms: float | None
    tau0_ms_min: float | None
    tau0_ms_max: float | None
    strehl: float | None
    strehl_min: float | None
    strehl_max: float | None
    wind_speed_mps: float | None
    wind_speed_mps_min: float | None
    wind_speed_mps_max: float | None
    conditions_from: str
    status: str
    flags: str
    completeness: str
    lacks: str


@dataclass(frozen=True)
class CoherencePoint:
    """One observation: median light at 10 lambda/D over the peak of the star, and coherence time.

    `log_light_err` is the error of the median by the scatter of the frames.
    """

    observation: str
    log_inverse_tau0: float
    log_light: float
    log_light_err: float
    frames: int


@dataclass(frozen=True)
class CoherenceRelation:
    """All observations of one filter and coronagraph.

    `slope` of log10(light) over log10(1 / tau0) and `rank_correlation` (Spearman) with the
    probability `chance` that unrelated values give as much; None for fewer than five observations.
    """

    filter: str
    coronagraph: str
    points: tuple[CoherencePoint, ...]
    slope: float | None = None
    slope_err: float | None = None
    rank_correlation: float | None = None
    chance: float | None = None
