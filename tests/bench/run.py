"""Our methods against VIP, pyKLIP and PynPoint on identical inputs, in one run.

    make bench
    make bench BENCH_ARGS="--threads 1 --cases pca20_fft klip_9x4 --quick"

Writes a table (``benchmark.md``), everything as numbers (``benchmark.json``) and a plot
(``benchmark.png``) into ``bench-results``. Nothing here asserts a speed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from anchors import compare, inputs, report
from anchors.cases import BY_NAME, CASES, PACKAGES, Case
from anchors.measure import Effort, Side, SideError, Task, environment, in_turns

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT_OF = {"by_vip": "vip", "by_pyklip": "vip", "by_pynpoint": "pynpoint"}
QUICK = Effort(most=3, budget_s=3.0)


def say(text: str) -> None:
    """Write a line for whoever waits."""
    sys.stderr.write(f"[bench] {text}\n")
    sys.stderr.flush()


def shout(text: str) -> None:
    """Write what must not be overlooked."""
    say("!" * 20 + f" {text}")


class Bench:
    """One run: interpreters, inputs, measurements, report."""

    def __init__(self, output: Path, quick: bool) -> None:
        self.output = output
        self.effort = QUICK if quick else Effort()
        self.failures: list[str] = []
        self._pythons: dict[str, str | None] = {}
        self._inputs: dict[str, Path | None] = {}

    def fail(self, text: str) -> None:
        """Note what could not be measured, and say it loudly."""
        self.failures.append(text)
        shout(f"NOT MEASURED: {text}")

    def python(self, side: str) -> str | None:
        """Interpreter of a side; its environment is made when it is first asked for."""
        if side == "ours":
            return sys.executable
        name = ENVIRONMENT_OF[side]
        if name not in self._pythons:
            maker = [sys.executable, str(ROOT / "envs" / "bench.py"), name]
            done = subprocess.run(maker, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
            self._pythons[name] = done.stdout.strip() if done.returncode == 0 else None
            if done.returncode != 0:
                self.fail(f"everything against the packages of environment {name!r}: see above")
        return self._pythons[name]

    def input(self, name: str) -> Path | None:
        """Folder of an input, made when it is first asked for; None if it cannot be."""
        if name not in self._inputs:
            self._inputs[name] = self._made(name)
        return self._inputs[name]

    def _made(self, name: str) -> Path | None:
        folder = self.output / "inputs" / name
        if inputs.is_made(folder):
            return folder
        say(f"making the input {name}")
        if name in inputs.SCENES:
            inputs.save(inputs.synthetic(name), folder)
            return folder
        data = os.environ.get("SPHEREDC_DATA") or ROOT.parent / "shared" / "data"
        source = Path(data).resolve() / "naco-betapic-adi"
        if not (source / "cube.fits.gz").is_file():
            self.fail(f"{name}: no real data, {source} is not there; set SPHEREDC_DATA")
            return None
        python = self.python("by_vip")
        if python is None:
            self.fail(f"{name}: VIP centres the real frames and is not installed")
            return None
        command = [python, "-m", "anchors.prepare_betapic", str(source), str(folder.parent)]
        if subprocess.run(command, check=False, env=environment("by_vip", 1)).returncode:  # noqa: S603 - our own program
            self.fail(f"{name}: VIP could not centre the real frames: see above")
            return None
        return folder

    def measure(self, case: Case, name: str, threads: int) -> dict[str, Any] | None:
        """Measure one case on one input; None if it failed, which is said."""
        label = f"{case.name} on {name} against {PACKAGES[case.side]}, {threads} thread(s)"
        folder, python = self.input(name), self.python(case.side)
        if folder is None or python is None:
            return None
        started = time.perf_counter()
        scratch = self.output / "arrays"
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        tasks = [Task(key, folder, threads) for key in (case.name, case.theirs)]
        logs = [self.output / "logs" / f"{side}.log" for side in ("ours", case.side)]
        try:
            with (
                Side(sys.executable, "ours", tasks[0], self.effort, logs[0]) as ours,
                Side(python, case.side, tasks[1], self.effort, logs[1]) as theirs,
            ):
                sides = {"ours": ours, "theirs": theirs}
                in_turns(list(sides.values()))
                for key, side in sides.items():
                    side.ask(f"save {scratch / key}")
        except SideError as error:
            self.fail(f"{label}: {error}")
            return None
        arrays = {key: compare.load(scratch / key) for key in sides}
        shutil.rmtree(scratch)
        row = {
            "case": case.name,
            "title": case.title,
            "input": name,
            "side": case.side,
            "threads": threads,
            "ratio": theirs.figures.median_s / ours.figures.median_s,
            "at_least": case.at_least,
            "aim": case.aim,
            **{key: side.figures.record() for key, side in sides.items()},
            "comparison": compare.compare(inputs.load(folder), arrays["ours"], arrays["theirs"]),
        }
        took = time.perf_counter() - started
        pair = f"{ours.figures.median_s:.4g} s, theirs {theirs.figures.median_s:.4g} s"
        say(f"{label}: {pair}, ratio {row['ratio']:.1f} (took {took:.0f} s)")
        return row


def about(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Machine, date and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    found = {"spheredc_hpc": rows[0]["ours"]["version"]} if rows else {}
    found |= {PACKAGES[row["side"]]: row["theirs"]["version"] for row in rows}
    words = [f"{name} {version}" for name, version in found.items()]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}",
        "versions": ", ".join(words),
    }


def write(output: Path, record: dict[str, Any]) -> None:
    """Write the report; done after every measurement, so that an interrupted run leaves one."""
    record["about"] = about(record["rows"])
    text = json.dumps(record, indent=1)
    (output / "benchmark.json").write_text(text + "\n", encoding="utf-8")
    (output / "benchmark.md").write_text(report.markdown(record), encoding="utf-8")
    if record["rows"]:
        report.plot(record, output / "benchmark.png")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1 2; quick: 1")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="only these cases")
    parser.add_argument("--inputs", nargs="+", metavar="INPUT", help="only these inputs")
    parser.add_argument("--quick", action="store_true", help="small inputs, few repetitions")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--output", type=Path, default=ROOT / "bench-results")
    options = parser.parse_args(arguments)
    options.threads = options.threads or ([1] if options.quick else [1, 2])
    if min(options.threads) < 1:
        parser.error("--threads must be 1 or more")
    known_inputs = {name for case in CASES for name in (*case.inputs, *case.quick)}
    for word, asked, known in (
        ("case", options.cases, BY_NAME),
        ("input", options.inputs, known_inputs),
    ):
        unknown = [name for name in asked or () if name not in known]
        if unknown:
            listed = ", ".join(sorted(known))
            parser.error(f"no {word} {', '.join(unknown)}; there are {listed}")
    if not options.list and not chosen(options):
        kind = "quick run" if options.quick else "whole run"
        parser.error(f"nothing to measure: no case asked for has such an input in a {kind}")
    return options


def chosen(options: argparse.Namespace) -> list[tuple[Case, str]]:
    """Pairs of case and input that the command line asks for."""
    cases = [BY_NAME[name] for name in dict.fromkeys(options.cases or BY_NAME)]
    pairs = [
        (case, name) for case in cases for name in (case.quick if options.quick else case.inputs)
    ]
    return [pair for pair in pairs if not options.inputs or pair[1] in options.inputs]


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 if something could not be measured."""
    options = parse(arguments)
    if options.list:
        for case in CASES:
            sys.stdout.write(f"{case.name:18s} {PACKAGES[case.side]:9s} {case.title}\n")
        return 0
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    bench = Bench(output, options.quick)
    threads = list(dict.fromkeys(options.threads))
    record = {"quick": options.quick, "threads": threads, "rows": [], "failures": bench.failures}
    for case, name in chosen(options):
        for count in threads:
            row = bench.measure(case, name, count)
            if row is not None:
                record["rows"].append(row)
            write(output, record)
    sys.stdout.write((output / "benchmark.md").read_text(encoding="utf-8"))
    say(f"written: {output / 'benchmark.md'}, .json and .png")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # workers end with the run
    sys.exit(main())
