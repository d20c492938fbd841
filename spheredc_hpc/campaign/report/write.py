"""Collect the facts of a plan, draw them, write the page."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from spheredc_hpc.association.rules import label
from spheredc_hpc.campaign.report.drawings import (
    Drawing,
    ObservationDrawings,
    draw_calibration,
    draw_coherence,
    draw_observation,
)
from spheredc_hpc.campaign.report.facts import (
    Calibration,
    Failure,
    ObservationFacts,
    ReportFacts,
)
from spheredc_hpc.campaign.report.nights import as_tsv, coherence_relations, night_rows
from spheredc_hpc.campaign.report.observation import read_observation
from spheredc_hpc.campaign.report.page import render
from spheredc_hpc.campaign.report.plan import PlanFiles, read_plan
from spheredc_hpc.campaign.report.products import read_failures, read_product
from spheredc_hpc.errors import ResourceError
from spheredc_hpc.model.provenance import software_version
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.store.codec import canonical_json, to_plain, write_text

logger = logging.getLogger(__name__)

MAX_DRAWN = 40
"""Observations and calibrations with figures; those beyond have their facts only."""


def write_report(root: Path, plan: str, output: Path | None = None) -> Path:
    """Write the report of a plan as one HTML page, with its facts as JSON and its nights as TSV.

    Reads the files of the plan, receipts, run records, products and failure records; nothing
    else. Equal inputs give equal bytes, and a file that would not change is left alone.

    Parameters
    ----------
    root : Path
        Result root.
    plan : str
        Name of the plan.
    output : Path, optional
        The page; ``<root>/report.html`` by default. The facts go beside it, as ``.json``, and
        the table of the nights, as ``-nights.tsv``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ConfigError
        If there is no plan of that name.
    ResourceError
        If the page cannot be written.
    """
    output = root / "report.html" if output is None else output
    files = read_plan(root, plan)
    observations: list[ObservationFacts] = []
    drawn: dict[str, ObservationDrawings] = {}
    for index, association in enumerate(files.associations):
        facts, views = read_observation(root, association, files.recipes)
        observations.append(facts)
        if index < MAX_DRAWN:
            drawn[facts.id] = draw_observation(facts, views, f"o{index}")
    calibrations = _calibrations(root, files, observations)
    thumbnails: dict[str, list[Drawing]] = {}
    for index, calibration in enumerate(calibrations[:MAX_DRAWN]):
        product = calibration.product
        if product.made:
            thumbnails[product.id] = draw_calibration(root, product.id, f"c{index}")
    report = ReportFacts(
        plan=plan,
        software_version=software_version(),
        observations=tuple(observations),
        calibrations=tuple(calibrations),
        failures=_failures(root, observations, calibrations),
        files=files.files,
        flag_meanings=_meanings(observations, calibrations),
        nights=night_rows(observations),
        coherence=coherence_relations(observations),
    )
    try:
        page = render(report, drawn, thumbnails, draw_coherence(report.coherence))
        write_text(page, output)
        write_text(canonical_json(to_plain(report)), output.with_suffix(".json"))
        write_text(as_tsv(report.nights), output.with_name(f"{output.stem}-nights.tsv"))
    except OSError as error:
        raise ResourceError(f"cannot write {output}: {error.strerror}") from error
    logger.info("report of plan %s: %s", plan, output)
    return output


def _calibrations(
    root: Path, files: PlanFiles, observations: list[ObservationFacts]
) -> list[Calibration]:
    """Every calibration product that the plan makes or an observation uses."""
    users: dict[str, list[str]] = {product: [] for product in files.calibrations}
    for observation in observations:
        for use in observation.calibrations:
            users.setdefault(use.product, []).append(observation.id)
    return [
        Calibration(
            product=read_product(root, product, product.split("/")[1]),
            used_by=tuple(dict.fromkeys(users[product])),
            setup=_setup(files.calibrations.get(product, {})),
        )
        for product in sorted(users)
    ]


def _failures(
    root: Path, observations: list[ObservationFacts], calibrations: list[Calibration]
) -> tuple[Failure, ...]:
    """Failure records of the products of the plan; other plans of the root have their own."""
    planned = {p.id for o in observations for p in o.products}
    planned |= {c.product.id for c in calibrations}
    return tuple(failure for failure in read_failures(root) if failure.product in planned)


def _setup(keys: Mapping[str, str]) -> tuple[str, ...]:
    """Write the setup of a calibration for people, in the order of its keys."""
    return tuple(label(key.removesuffix("_s"), keys[key]) for key in sorted(keys))


def _meanings(
    observations: list[ObservationFacts], calibrations: list[Calibration]
) -> dict[str, str]:
    """Give the meaning of every flag that the report shows."""
    names = {flag for o in observations for flag in o.flags}
    names |= {use_flag for o in observations for use in o.calibrations for use_flag in use.flags}
    names |= {lack.flag for o in observations for lack in o.missing if lack.flag}
    names |= {flag for c in calibrations for flag in c.product.flags}
    return {name: FLAGS.get(name, "unknown to this version") for name in sorted(names)}
