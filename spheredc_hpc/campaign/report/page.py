"""The page: template, style sheet and the figures put together."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spheredc_hpc.campaign.report import text
from spheredc_hpc.campaign.report.attention import attention
from spheredc_hpc.campaign.report.costs import job_rows, kind_rows, total
from spheredc_hpc.campaign.report.drawings import Drawing, ObservationDrawings
from spheredc_hpc.campaign.report.facts import ReportFacts
from spheredc_hpc.campaign.report.night_facts import NightRow
from spheredc_hpc.model.quality import FLAGS

_HERE = Path(__file__).parent
_FILTERS = {
    "fixed": text.fixed,
    "with_error": text.with_error,
    "scientific": text.scientific,
    "magnitudes": text.magnitudes,
    "utc": text.utc,
    "duration": text.duration,
    "age": text.age,
    "size": text.size,
    "ra": text.right_ascension,
    "dec": text.declination,
    "file_name": text.file_name,
}


def anchor(name: str) -> str:
    """Make an id of a name, usable in a link."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def pretty(values: object) -> str:
    """Write settings for people."""
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)


def environment() -> Environment:
    """Make the template environment: everything is escaped, nothing may be undefined."""
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS, anchor=anchor, pretty=pretty)
    made.globals["flag_meaning"] = lambda name: FLAGS.get(name, "unknown to this version")
    return made


def render(
    report: ReportFacts,
    drawn: Mapping[str, ObservationDrawings],
    thumbnails: Mapping[str, Sequence[Drawing]],
    coherence: Drawing,
) -> str:
    """Write the page.

    Parameters
    ----------
    report : ReportFacts
        What it says.
    drawn : mapping
        Observation id to its figures.
    thumbnails : mapping
        Calibration product to its figures.
    coherence : Drawing
        Light beside the mask against coherence time, of all observations.

    Returns
    -------
    str
        A whole HTML document that asks for nothing from outside.
    """
    values: dict[str, Any] = {
        "report": report,
        "drawn": drawn,
        "thumbnails": thumbnails,
        "coherence": coherence,
        "nights": by_night(report),
        "attention": attention(report),
        "kinds": kind_rows(report),
        "jobs": job_rows(report),
        "total": total(report),
        "versions": versions(report),
        # Both files are part of the project, so they need no escaping.
        "css": Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704
        "js": Markup((_HERE / "page.js").read_text(encoding="utf-8")),  # noqa: S704
        "inline": Markup,
    }
    return environment().get_template("page.html").render(values)


def by_night(report: ReportFacts) -> list[tuple[str, list[NightRow]]]:
    """Gather the rows of each night, in time order."""
    return [
        (night, list(rows)) for night, rows in itertools.groupby(report.nights, lambda r: r.night)
    ]


def versions(report: ReportFacts) -> list[tuple[str, list[tuple[str, int]]]]:
    """List each kind of version with its values and the number of products that carry it."""
    kinds = {
        "Software": "software_version",
        "Instrument constants": "constants_version",
        "Digest of the constants": "constants_digest",
        "Digest of the environment": "environment_digest",
    }
    found = []
    made = [product for product in report.products if product.settings_digest]
    for title, name in kinds.items():
        values = [str(getattr(product, name)) for product in made]
        counted = sorted({value: values.count(value) for value in values if value}.items())
        found.append((title, counted))
    labels = [f"{product.kind} {product.product_version}" for product in made]
    found.append(("Product version", sorted({v: labels.count(v) for v in labels}.items())))
    return found
