"""Run the checks on the sources, two at a time; the names of some may be given.

Started by `python3 envs/bootstrap.py lint`, inside the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
Command = list[str]


def tool(name: str, *arguments: str) -> list[Command]:
    """Return the command of one of the environment's tools."""
    return [[str(BIN / name), *arguments]]


def workflow_files() -> list[str]:
    """Return the Snakefile and its rule files."""
    rules = sorted((ROOT / "workflow").rglob("*.smk"))
    return [str(path) for path in [ROOT / "Snakefile", *rules] if path.exists()]


def snakefmt() -> list[Command]:
    """Check the layout of the rules."""
    files = workflow_files()
    return tool("snakefmt", "--check", *files) if files else []


def snakemake() -> list[Command]:
    """Let Snakemake judge the rules, on an empty result root."""
    if not workflow_files():
        return []
    scratch = tempfile.mkdtemp(prefix="spheredc-lint-")
    return tool(
        "snakemake", "--lint", "--directory", scratch, "--snakefile", str(ROOT / "Snakefile")
    )


def packaging() -> list[Command]:
    """Check constraints, package data and import rules by their contract tests."""
    files = ["tests/contracts/test_packaging.py", "tests/contracts/test_imports.py"]
    return tool("pytest", "-q", "--no-header", "-p", "no:cacheprovider", *files)


CHECKS: dict[str, Callable[[], list[Command]]] = {
    "mypy": lambda: tool("mypy"),
    "ruff": lambda: tool("ruff", "check", "."),
    "format": lambda: tool("ruff", "format", "--check", "."),
    "imports": lambda: tool("lint-imports"),
    "snakefmt": snakefmt,
    "snakemake": snakemake,
    "packaging": packaging,
}


def check(name: str) -> bool:
    """Run one check and show what it said if it failed."""
    began = time.monotonic()
    said: list[str] = []
    good = True
    for command in CHECKS[name]():
        done = subprocess.run(
            command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        good = good and done.returncode == 0
        said.append(done.stdout)
    report = "" if good else "\n" + "\n".join(said)
    verdict = "ok" if good else "FAILED"
    print(f"{name:10s} {verdict} ({time.monotonic() - began:.1f} s){report}", flush=True)
    return good


def main() -> int:
    """Run the checks named on the command line, or all."""
    names = sys.argv[1:] or list(CHECKS)
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        print(f"unknown: {' '.join(unknown)}; known: {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(check, names))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
