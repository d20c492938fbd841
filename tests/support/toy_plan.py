"""A plan whose jobs take milliseconds: real rules, receipts and guard, stand-in arithmetic.

Run as a program this file is the stand-in for the command `spheredc` that the rules call.
Products hold one text file; a folder ``faults`` in the root makes chosen products fail.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

PLAN = "toy"
OBSERVATIONS = ("obs-1", "obs-2")
RECIPES = {"cadi-0001": "c", "pca-0001": "p"}
MEMORY = {
    "fixed": 50.0,
    "frame": 5.0,
    "pair": 0.5,
    "thread": 1.0,
    "thread_frame": 0.25,
    "thread_pair": 0.0,
}


def write_tsv(path: Path, rows: list[dict[str, object]]) -> None:
    lines = ["\t".join(rows[0])] + ["\t".join(str(v) for v in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def write_plan(root: Path, recipes: dict[str, str] | None = None, **settings: str) -> None:
    """Write the tables of a plan: one background, one flat, two observations."""
    folder = root / "plan" / PLAN
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    calibrations = [
        ("background", "k1", "", 3),
        ("flat", "k2", "calibrations/background/k1", 5),
    ]
    write_tsv(
        folder / "calibrations.tsv",
        [
            {
                "kind": kind,
                "key": key,
                "product": f"calibrations/{kind}/{key}",
                "job": f"plan/{PLAN}/jobs/{key}.json",
                "upstream": upstream,
                "n_planes": planes,
            }
            for kind, key, upstream, planes in calibrations
        ],
    )
    write_tsv(
        folder / "observations.tsv",
        [
            {
                "observation": name,
                "level1_mode": "toy_mode",
                "filter": "DB_H23",
                "target": "star",
                "night": "2018-03-15",
                "n_frames": 4,
                "status": "planned",
                "reasons": "",
                "association": f"plan/{PLAN}/jobs/{name}.json",
                "calibrations": ";".join(f"calibrations/{k}/{key}" for k, key, *_ in calibrations),
            }
            for name in OBSERVATIONS
        ],
    )
    for name in ("k1", "k2", *OBSERVATIONS):
        write_job(root, name, "raw")
    values = {
        "plan": PLAN,
        "config_file": f"plan/{PLAN}/config.yaml",
        "settings": {
            "calibration": {"background": settings.get("background", "b"), "flat": "f"},
            "level1": {"toy_mode": settings.get("level1", "l")},
            "level2": recipes or RECIPES,
        },
        "loads": {
            name: {"work": 1.0, "memory": {"toy_mode": MEMORY}} for name in recipes or RECIPES
        },
    }
    (folder / "workflow.json").write_text(json.dumps(values))
    (folder / "config.yaml").write_text("")


def write_job(root: Path, name: str, content: str) -> None:
    """Write the job or association file of a product, only if it changes."""
    path = root / "plan" / PLAN / "jobs" / f"{name}.json"
    text = json.dumps({"name": name, "content": content})
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def install_verbs(folder: Path) -> Path:
    """Put a command `spheredc` into a folder that runs this file."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "spheredc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return folder


def calls(root: Path) -> list[str]:
    """Products that were worked on (not merely confirmed), in order; clears the list."""
    log = root / "calls.log"
    lines = log.read_text().split() if log.is_file() else []
    log.unlink(missing_ok=True)
    return lines


def main() -> int:
    from spheredc_hpc.errors import DataError, SphereDCError
    from spheredc_hpc.model.product import InputRef
    from spheredc_hpc.steps.guard import make
    from spheredc_hpc.store import receipt as receipts
    from spheredc_hpc.store.codec import file_sha256

    verb, source, receipt = sys.argv[1:4]
    root, target = Path.cwd(), Path(receipt).parent
    workflow = json.loads((root / "plan" / PLAN / "workflow.json").read_text())["settings"]
    if verb == "level2":
        inputs = (receipts.product_ref("level1", Path(source).parent, source),)
        settings = workflow["level2"][sys.argv[sys.argv.index("--recipe") + 1]]
    else:
        inputs = (InputRef("job", Path(source).name, file_sha256(Path(source))),)
        settings = (
            workflow["level1"]["toy_mode"]
            if verb == "level1"
            else workflow["calibration"][target.parent.name]
        )
        upstream = {"level1": ["background/k1", "flat/k2"]}.get(verb, [])
        upstream += ["background/k1"] if target.parent.name == "flat" else []
        for name in upstream:
            directory = root / "calibrations" / name
            inputs += (receipts.product_ref(name, directory, f"calibrations/{name}"),)
    draft = receipts.Draft(verb, str(target), inputs, {"settings": settings}, settings)

    def build(writer: receipts.ProductWriter) -> None:
        with (root / "calls.log").open("a") as file:
            file.write(f"{target}\n")
        fault = root / "faults" / str(target).replace("/", "__")
        if fault.is_file():
            kind = fault.read_text().strip()
            if kind == "data":
                raise DataError(f"{target}: bad data")
            raise RuntimeError("bug")
        time.sleep(float(os.environ.get("TOY_SLEEP_S", "0")))
        # The content depends on the job only in part: "same" jobs give equal products.
        content = "".join(ref.digest for ref in inputs) + settings
        (writer.path / "data.txt").write_text(content)

    try:
        make(target, draft, build)
    except SphereDCError as error:
        sys.stderr.write(f"spheredc: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
