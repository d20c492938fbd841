"""Campaign of simulated IRDIS nights, 2014 to 2024: every mode, every defect, end to end.

Run from the project root (a case takes half a minute to a minute and 1 GB of disk):

    python tests/bench/irdis_campaign.py --work /tmp/campaign --jobs 2
    python tests/bench/irdis_campaign.py --work /tmp/campaign --cases hopping k12-sky --again

Each night is simulated, scanned, planned, calibrated, reduced to Level 1 and by one or two Level 2
recipes, all by the real steps, and compared with its truth. A case is kept as one JSON file, so the
run can be interrupted and continued; its raw frames and products are removed. The tables at the end
are written to `--out` as JSON and Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import campaign_verdict
import records
from campaign_cases import Case
from campaign_verdict import CASES


def kept(name: str, work: Path) -> dict[str, Any]:
    """Record of a case, made now or read back."""
    import campaign_run

    case = CASES[name]
    made = records.kept(
        work / "records" / f"{name}.json",
        lambda: campaign_run.run_case(case, work / "nights"),
    )
    return dict(made)


def rows_of(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Verdicts of the cases that were run, in the order of the table."""
    return [
        row
        for name, case in CASES.items()
        if name in found
        for row in campaign_verdict.verdicts(case, found[name])
    ]


def _chosen(names: list[str] | None) -> list[Case]:
    unknown = set(names or ()) - set(CASES)
    if unknown:
        raise SystemExit(f"unknown cases {sorted(unknown)}; known: {', '.join(CASES)}")
    return [case for name, case in CASES.items() if not names or name in names]


def main() -> None:
    """Run the cases, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of nights and records.")
    parser.add_argument("--cases", nargs="+", help="Names; all if absent.")
    parser.add_argument("--again", action="store_true", help="Forget their records first.")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args()
    cases = _chosen(options.cases)
    (options.work / "records").mkdir(parents=True, exist_ok=True)
    if options.again:
        for case in cases:
            (options.work / "records" / f"{case.name}.json").unlink(missing_ok=True)
    # A process a case: each opens the catalogue of its own root.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(kept, case.name, options.work): case.name for case in cases}
        for done in as_completed(waiting):
            record, case = done.result(), CASES[waiting[done]]
            rows = campaign_verdict.verdicts(case, record)
            faults = [fault for row in rows for fault in row["faults"]]
            sys.stderr.write(f"{case.name} {record['cpu_s']}: {'; '.join(faults) or 'good'}\n")
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((options.work / "records").glob("*.json"))
    }
    rows = rows_of(found)
    options.out.mkdir(parents=True, exist_ok=True)
    text = campaign_verdict.markdown(rows)
    (options.out / "irdis_campaign.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "irdis_campaign.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
