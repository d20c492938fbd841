"""What somebody should look at, the gravest first."""

from __future__ import annotations

from dataclasses import dataclass

from spheredc_hpc.campaign.report.facts import ReportFacts


@dataclass(frozen=True)
class Item:
    """One thing to look at: its status, what it is about, why, and where on the page."""

    status: str
    subject: str
    reason: str
    anchor: str


def attention(report: ReportFacts) -> list[Item]:
    """List failures, absences, rejections, missing calibrations and unreadable files."""
    items = [
        Item("failed", failure.product, failure.message, "failures") for failure in report.failures
    ]
    recorded = {failure.product for failure in report.failures}
    items += [
        Item(product.status, product.id, "; ".join(product.reasons), "")
        for product in report.products
        if product.status in ("damaged", "failed") and product.id not in recorded
    ]
    items += [
        Item("absent", c.product.id, "was not made in this run", c.product.id)
        for c in report.calibrations
        if c.product.status == "absent"
    ]
    for observation in report.observations:
        if observation.status == "rejected":
            reason = "; ".join(observation.reasons)
            items.append(Item("rejected", observation.id, reason, observation.id))
            continue
        if observation.level1.product.status in ("failed", "damaged"):
            continue
        absent = [p.id for p in observation.products if p.status == "absent"]
        items += [Item("absent", p, "was not made in this run", observation.id) for p in absent]
    for observation in report.observations:
        for lack in observation.missing:
            reason = f"{lack.text}; {lack.consequence}"
            items.append(Item("missing", observation.id, reason, observation.id))
    items += [Item("unreadable", n.path, n.reason, "files") for n in report.files.unreadable]
    items += [Item("unknown", n.path, n.reason, "files") for n in report.files.unknown]
    return items
