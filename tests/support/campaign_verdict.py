"""What the records of the IRDIS campaign are worth: expected against found, and the tables."""

from __future__ import annotations

from typing import Any

import campaign_defects
import campaign_modes
import campaign_skies
import numpy as np
from campaign_cases import Case, Expected

FIGURES = ("status", "centre_off_px", "centre_err_px", "frames", "degraded", "angle_off_deg")
# Agreement asked of the positions of products without a flag [px].
POSITION_PX = 0.3
# Share of its flux by which a companion may be off without a word.
FLUX_SHARE = 0.1
CASES: dict[str, Case] = {
    case.name: case
    for tables in (campaign_modes.TABLES, campaign_skies.TABLES, campaign_defects.TABLES)
    for table in tables
    for case in table
}


def verdicts(case: Case, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare every expected observation of a case with what was made.

    Returns
    -------
    list of dict
        One an observation: figures, and the `faults`, none if all is as expected.
    """
    found = list(record.get("observations", ()))
    star = case.scenario().target.name
    rows = []
    for expected in case.expected:
        name = expected.target or star
        one = next((each for each in found if each["target"] in (name, "")), None)
        found = [each for each in found if each is not one]
        rows.append(_row(case, expected, name, one))
    for one in found:
        rows[0]["faults"].append(f"unexpected observation of {one['target']}")
    rows[0]["faults"] += [failure.strip().splitlines()[-1] for failure in record["failures"]]
    return rows


def _row(case: Case, expected: Expected, target: str, one: dict[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.name, "about": case.about, "date": case.date, "notes": []}
    row |= {"target": target, "faults": []}
    if one is None:
        return row | {"status": "absent", "flags": [], "faults": ["no such observation"]}
    row |= {key: one.get(key) for key in FIGURES}
    row |= {"flags": one.get("flags", []), "reasons": one.get("reasons", [])}
    row["faults"] += _status_faults(expected, one)
    for recipe in case.recipes:
        made = one.get(recipe)
        if made is not None and one["status"] != "rejected":
            row[recipe] = made.get("companions", [])
            row[f"{recipe}_status"] = [made["status"], *made["flags"]]
            row["faults"] += [f"{recipe}: {fault}" for fault in _position_faults(one, made)]
            row["notes"] += _flux_notes(made)
    return row


def _status_faults(expected: Expected, one: dict[str, Any]) -> list[str]:
    status, flags = one["status"], set(one.get("flags", ()))
    faults = []
    if status not in expected.status:
        said = "; ".join(one.get("reasons", ())[:2])
        faults.append(f"{status} instead of {' or '.join(expected.status)} ({said})")
    faults += [f"lacks {flag}" for flag in expected.flags if flag not in flags]
    known = {*expected.flags, *expected.may}
    faults += [f"unexpected {flag}" for flag in sorted(flags - known)]
    if expected.reason and not any(expected.reason in text for text in one.get("reasons", ())):
        faults.append(f"no reason says {expected.reason!r}")
    return faults


def _position_faults(one: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """Companions that are missing or too far from their places.

    A product without a flag may be off by 0.3 px or three errors; one with a flag by three.
    """
    if made["status"] == "rejected":
        return [f"rejected: {'; '.join(made['reasons'][:1])}"]
    floor = POSITION_PX if one["status"] == "ok" else 0.0
    faults = []
    for companion in made["companions"]:
        if not companion["found"]:
            faults.append(f"{companion['name']} not found")
            continue
        off, error = np.abs(companion["offset_px"]), np.array(companion["error_px"])
        # NaN is no agreement.
        if not (off <= np.maximum(floor, 3 * error)).all():
            x, y = companion["offset_px"]
            faults.append(
                f"{companion['name']} off by ({x:+.2f}, {y:+.2f}) px, stated "
                f"({error[0]:.2f}, {error[1]:.2f})"
            )
    return faults


def _flux_notes(made: dict[str, Any]) -> list[str]:
    """Fluxes that are off by a tenth and by three errors: told, not judged."""
    notes = []
    for companion in made.get("companions", ()):
        ratio = np.array(companion.get("flux", ()))
        error = np.array(companion.get("flux_err", ()))
        if not (np.abs(ratio - 1) <= np.maximum(FLUX_SHARE, 3 * error)).all():
            notes.append(f"flux of {companion['name']} off")
    return notes


HEAD = (
    "| case | date | what | status | flags | bad frames kept | centre off / stated px |"
    " companion: offset px (error) | flux ratio | verdict |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Lay the verdicts out as a table, with the sums above."""
    good = sum(not row["faults"] for row in rows)
    counts = {s: sum(row["status"] == s for row in rows) for s in ("ok", "flagged", "rejected")}
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    lines = [_line(row) for row in rows]
    top = f"{len(rows)} observations: {said}; {good} as expected, {len(rows) - good} not.\n\n"
    return top + HEAD + "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    centre = "-"
    if row.get("centre_off_px") is not None:
        centre = f"{row['centre_off_px']:.2f} / {row['centre_err_px']:.2f}"
    places, fluxes = [], []
    for recipe in ("adi", "profile"):
        for one in row.get(recipe, ()):
            if not one["found"]:
                places.append(f"{one['name']} lost")
                continue
            (x, y), error = one["offset_px"], max(one["error_px"])
            places.append(f"{one['name']} {x:+.2f} {y:+.2f} ({error:.2f})")
            fluxes.append(" ".join(f"{value:.2f}" for value in one["flux"]))
    cells = [row["case"], row["date"], row["about"], row["status"], " ".join(row["flags"])]
    bad, left = row.get("degraded") or (0, 0)
    cells += [f"{left} of {bad}" if bad else "", centre]
    cells += [
        "; ".join(places),
        "; ".join(fluxes),
        "; ".join([*row["faults"], *row["notes"]]) or "good",
    ]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
