"""Nights at a glance, and how the light beside the mask follows the coherence time over them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from scipy.stats import spearmanr

from spheredc_hpc.campaign.report.facts import ObservationFacts
from spheredc_hpc.campaign.report.night_facts import CoherencePoint, CoherenceRelation, NightRow
from spheredc_hpc.level1.parts.coherence import tau0_relation

LEAST_OBSERVATIONS = 5


def night_rows(observations: Sequence[ObservationFacts]) -> tuple[NightRow, ...]:
    """Make the rows, by night and time."""
    rows = [_row(facts) for facts in observations]
    return tuple(sorted(rows, key=lambda row: (row.night, row.utc_mjd or 0.0, row.observation)))


def as_tsv(rows: Sequence[NightRow]) -> str:
    """Write rows as tab-separated values with a line of names; empty where nothing is known."""
    stream = io.StringIO()
    names = [item.name for item in fields(NightRow)]
    writer = csv.writer(stream, dialect="excel-tab", lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow(["" if value is None else _plain(value) for value in values])
    return stream.getvalue()


def coherence_relations(
    observations: Sequence[ObservationFacts],
) -> tuple[CoherenceRelation, ...]:
    """Relate light and coherence time over the observations of each filter and coronagraph."""
    gathered: dict[tuple[str, str], list[CoherencePoint]] = defaultdict(list)
    for facts in observations:
        point = _point(facts)
        if point is not None:
            gathered[facts.filter, facts.coronagraph].append(point)
    return tuple(_relation(*setup, points) for setup, points in sorted(gathered.items()))


def _row(facts: ObservationFacts) -> NightRow:
    level1 = facts.level1
    ranges = {
        f"{name}_{edge}": value
        for name, both in level1.ranges.items()
        for edge, value in zip(("min", "max"), both, strict=True)
    }
    made = level1.product.made
    return NightRow(
        night=facts.night,
        utc_mjd=facts.mjd_mid,
        target=facts.target,
        observation=facts.id,
        arm=facts.arm,
        mode=facts.mode,
        filter=facts.filter,
        coronagraph=facts.coronagraph,
        tracking=facts.derotator_mode,
        dits_s="/".join(f"{dit:g}" for dit in level1.dits_s),
        frames=level1.shape[1] if level1.shape else None,
        left_out=len(level1.frames_left_out) if made else None,
        exposure_s=level1.exposure_s,
        rotation_deg=level1.rotation_deg,
        airmass=level1.airmass,
        seeing_arcsec=level1.seeing_arcsec,
        tau0_ms=level1.tau0_ms,
        strehl=level1.strehl,
        wind_speed_mps=level1.wind_speed_mps,
        **{name: ranges.get(name) for name in _RANGES},
        conditions_from=_source(facts) if level1.shape else "",
        status=facts.status,
        flags=" ".join(facts.flags),
        completeness=facts.completeness,
        lacks="; ".join(facts.lacks),
    )


_RANGES = tuple(
    f"{name}_{edge}"
    for name in ("seeing_arcsec", "tau0_ms", "strehl", "wind_speed_mps")
    for edge in ("min", "max")
)


def _source(facts: ObservationFacts) -> str:
    if "NO_SPARTA" in facts.level1.product.flags:
        return "headers" if facts.level1.seeing_arcsec is not None else ""
    gaps = "SPARTA_GAPS" in facts.level1.product.flags
    return "telemetry and headers" if gaps else "telemetry"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return " ".join(str(value).split())


def _point(facts: ObservationFacts) -> CoherencePoint | None:
    relation = facts.level1.product.quality.get("tau0_relation") or {}
    peak = facts.level1.star_peak
    light = np.array(relation.get("log_intensity", ()), dtype=np.float64)
    inverse = np.array(relation.get("log_inverse_tau0", ()), dtype=np.float64)
    if not light.size or peak is None or not peak > 0:
        return None
    spread = 1.4826 * float(np.median(np.abs(light - np.median(light))))
    return CoherencePoint(
        observation=facts.id,
        log_inverse_tau0=float(np.median(inverse)),
        log_light=float(np.median(light) - np.log10(peak)),
        # Of a median of normal values.
        log_light_err=float(1.2533 * spread / np.sqrt(light.size)),
        frames=int(light.size),
    )


def _relation(filter_: str, coronagraph: str, points: list[CoherencePoint]) -> CoherenceRelation:
    found = CoherenceRelation(filter_, coronagraph, tuple(points))
    if len(points) < LEAST_OBSERVATIONS:
        return found
    x = np.array([point.log_inverse_tau0 for point in points])
    y = np.array([point.log_light for point in points])
    if np.ptp(x) <= 0 or np.ptp(y) <= 0:
        return found
    line = tau0_relation(10**y, 1e3 * 10**-x)
    rank = spearmanr(x, y)
    return CoherenceRelation(
        filter_,
        coronagraph,
        tuple(points),
        slope=line["slope"],
        slope_err=line["slope_err"],
        rank_correlation=float(rank.statistic),
        chance=float(rank.pvalue),
    )
