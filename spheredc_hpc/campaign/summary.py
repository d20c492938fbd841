"""What came of a plan: made, flagged, rejected, failed, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.joblog import last_words
from spheredc_hpc.campaign.sheet import ObservationRow, Sheet
from spheredc_hpc.errors import DataError
from spheredc_hpc.steps.guard import failure_path
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import read_json

FAILED = "failed"
NOT_REDUCED = "rejected"


@dataclass(frozen=True)
class Outcome:
    """One product that the plan asked for.

    Attributes
    ----------
    product : str
        Path below the root; that of the observation if the plan rejected it.
    status : str
        ``ok``, ``flagged``, ``rejected`` or ``failed``.
    reasons : tuple of str
        Why it is not ``ok``.
    flags : tuple of str
        Of the product.
    log : str
        Log of the failed job, relative to the root.
    """

    product: str
    status: str
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    log: str = ""


@dataclass(frozen=True)
class Summary:
    """All outcomes of a plan."""

    plan: str
    outcomes: tuple[Outcome, ...]

    def with_status(self, status: str) -> tuple[Outcome, ...]:
        """Give the outcomes of one status."""
        return tuple(o for o in self.outcomes if o.status == status)

    @property
    def failed(self) -> bool:
        """Whether a job failed."""
        return bool(self.with_status(FAILED))

    def plain(self) -> dict[str, Any]:
        """Give JSON-compatible values."""
        return {
            "schema_version": 1,
            "plan": self.plan,
            "products": [asdict(outcome) for outcome in self.outcomes],
        }

    def lines(self) -> Iterator[str]:
        """Write for people: counts, then all that is not ``ok`` with its flags and reasons."""
        counts = {status: len(self.with_status(status)) for status in _ORDER}
        yield ", ".join(f"{count} {status}" for status, count in counts.items())
        for status in _ORDER[1:]:
            for outcome in self.with_status(status):
                yield "  ".join((f"{status:<8}", outcome.product, *outcome.flags))
                for reason in outcome.reasons:
                    yield f"          {reason}"
                if outcome.log:
                    yield f"          log: {outcome.log}"


_ORDER = ("ok", "flagged", "rejected", "failed")


def summarise(root: Path, plan: str) -> Summary:
    """Read what there is of the products that a plan asked for.

    Parameters
    ----------
    root : Path
        Result root.
    plan : str
        Name of the plan.

    Returns
    -------
    Summary
        Calibrations first, then the observations in the order of the sheet.
    """
    sheet = Sheet.read(root, plan)
    outcomes = []
    wanted = {p for row in sheet.observations.values() if row.reducible for p in row.calibrations}
    for calibration in sheet.calibrations.values():
        needed = calibration.product in wanted
        if needed or (root / calibration.product / receipts.RECEIPT).is_file():
            log = f"logs/calibrations/{calibration.kind}.{calibration.key}.log"
            outcomes.append(_outcome(root, calibration.product, log, calibration.upstream))
    for row in sheet.observations.values():
        outcomes += _observation(root, sheet, row)
    return Summary(plan, tuple(outcomes))


def _observation(root: Path, sheet: Sheet, row: ObservationRow) -> list[Outcome]:
    place = f"observations/{row.observation}"
    if not row.reducible:
        return [Outcome(place, NOT_REDUCED, row.reasons)]
    logs = f"logs/{row.observation}"
    level1 = f"{place}/level1"
    found = [_outcome(root, level1, f"{logs}/level1.log", row.calibrations)]
    for recipe in sheet.recipes:
        log = f"{logs}/level2.{recipe}.log"
        found.append(_outcome(root, f"{place}/level2/{recipe}", log, (level1,)))
    return found


def _outcome(root: Path, product: str, log: str, upstream: tuple[str, ...]) -> Outcome:
    directory = root / product
    missing = [p for p in upstream if not (root / p / receipts.RECEIPT).is_file()]
    if missing:  # what an earlier run left here, if anything, is out of date
        return Outcome(product, FAILED, tuple(f"needs {p}, which failed" for p in missing))
    if (directory / receipts.RECEIPT).is_file():
        try:
            receipt = receipts.read(directory)
        except DataError as error:
            return Outcome(product, FAILED, (str(error),))
        return Outcome(product, str(receipt.status), receipt.reasons, receipt.flags)
    record = failure_path(root, product)
    if record.is_file():
        return Outcome(product, FAILED, (str(read_json(record).get("message", "")),), log=log)
    reasons = last_words(root / log)
    return Outcome(product, FAILED, reasons, log=log if (root / log).is_file() else "")
