"""Time and memory: by job, by kind of job and by stage."""

from __future__ import annotations

from dataclasses import dataclass

from spheredc_hpc.campaign.report.facts import Product, ReportFacts, Run


@dataclass(frozen=True)
class Share:
    """A part of a job: its name, its time and its fraction of the whole."""

    name: str
    seconds: float
    fraction: float


@dataclass(frozen=True)
class JobRow:
    """One job; bars are fractions of the longest and of the largest job."""

    product: Product
    run: Run
    time_bar: float
    memory_bar: float
    stages: tuple[Share, ...]


@dataclass(frozen=True)
class KindRow:
    """All jobs of one kind: times are sums, memory is the largest."""

    kind: str
    n_jobs: int
    wall_s: float
    longest_s: float
    cpu_s: float
    peak_rss_mb: float
    size_bytes: int
    stages: tuple[Share, ...]


def kind_of(product: Product) -> str:
    """Name the kind of a product; Level 2 by its recipe."""
    recipe = product.id.split("/")[3:4]
    return f"{product.kind} {recipe[0]}" if recipe else product.kind


def job_rows(report: ReportFacts) -> list[JobRow]:
    """Every job with a record, in the order in which they began."""
    known = [(product, product.run) for product in report.products if product.run is not None]
    longest = max((run.wall_s or 0.0 for _, run in known), default=0.0)
    largest = max((run.peak_rss_mb or 0.0 for _, run in known), default=0.0)
    rows = [
        JobRow(
            product=product,
            run=run,
            time_bar=(run.wall_s or 0.0) / longest if longest else 0.0,
            memory_bar=(run.peak_rss_mb or 0.0) / largest if largest else 0.0,
            stages=_shares([run]),
        )
        for product, run in known
    ]
    return sorted(rows, key=lambda row: (row.run.started, row.product.id))


def kind_rows(report: ReportFacts) -> list[KindRow]:
    """Sum the jobs of each kind, in the order in which the data pass."""
    groups: dict[str, list[tuple[Product, Run]]] = {}
    for product in report.products:
        if product.run is not None:
            groups.setdefault(kind_of(product), []).append((product, product.run))
    return [
        KindRow(
            kind=kind,
            n_jobs=len(jobs),
            wall_s=sum(run.wall_s or 0.0 for _, run in jobs),
            longest_s=max(run.wall_s or 0.0 for _, run in jobs),
            cpu_s=sum(run.cpu_s or 0.0 for _, run in jobs),
            peak_rss_mb=max(run.peak_rss_mb or 0.0 for _, run in jobs),
            size_bytes=sum(product.size_bytes for product, _ in jobs),
            stages=_shares([run for _, run in jobs]),
        )
        for kind, jobs in groups.items()
    ]


def total(report: ReportFacts) -> KindRow:
    """Sum all jobs; the stages are left out."""
    rows = kind_rows(report)
    return KindRow(
        kind="all",
        n_jobs=sum(row.n_jobs for row in rows),
        wall_s=sum(row.wall_s for row in rows),
        longest_s=max((row.longest_s for row in rows), default=0.0),
        cpu_s=sum(row.cpu_s for row in rows),
        peak_rss_mb=max((row.peak_rss_mb for row in rows), default=0.0),
        size_bytes=sum(product.size_bytes for product in report.products),
        stages=(),
    )


def _shares(runs: list[Run]) -> tuple[Share, ...]:
    """Sum the stages of jobs; what no stage accounts for is ``other``."""
    sums: dict[str, float] = {}
    for run in runs:
        for name, seconds in run.stages_s.items():
            sums[name] = sums.get(name, 0.0) + seconds
    whole = sum(run.wall_s or 0.0 for run in runs)
    rest = whole - sum(sums.values())
    if sums and rest > 0:
        sums["other"] = rest
    scale = max(whole, sum(sums.values()))
    return tuple(
        Share(name, seconds, seconds / scale if scale else 0.0) for name, seconds in sums.items()
    )
