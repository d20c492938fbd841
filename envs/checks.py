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
SNAKEFILE = ROOT / "Snakefile"
BIN = Path(sys.executable).parent


def tool(name: str, *arguments: str) -> list[str]:
    """Return the command of one of the environment's tools."""
    return [str(BIN / name), *arguments]


def snakefmt(_: str) -> list[str]:
    """Check the layout of the Snakefile and its rule files."""
    rules = sorted(str(path) for path in (ROOT / "workflow").rglob("*.smk"))
    return tool("snakefmt", "--check", str(SNAKEFILE), *rules)


def snakemake(scratch: str) -> list[str]:
    """Let Snakemake judge the rules, on an empty result root."""
    return tool("snakemake", "--lint", "--directory", scratch, "--snakefile", str(SNAKEFILE))


def packaging(_: str) -> list[str]:
    """Check constraints, package data and import rules by their contract tests."""
    files = ["tests/contracts/test_packaging.py", "tests/contracts/test_imports.py"]
    return tool("pytest", "-q", "--no-header", "-p", "no:cacheprovider", *files)


CHECKS: dict[str, Callable[[str], list[str]]] = {
    "mypy": lambda _: tool("mypy"),
    "ruff": lambda _: tool("ruff", "check", "."),
    "format": lambda _: tool("ruff", "format", "--check", "."),
    "imports": lambda _: tool("lint-imports"),
    "snakefmt": snakefmt,
    "snakemake": snakemake,
    "packaging": packaging,
}


def check(name: str, scratch: str) -> bool:
    """Run one check in the root, with an empty folder to use, and show why it failed."""
    began = time.monotonic()
    done = subprocess.run(
        CHECKS[name](scratch), cwd=ROOT, check=False, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    good = done.returncode == 0
    verdict = "ok" if good else "FAILED"
    report = "" if good else f"\n{done.stdout}"
    print(f"{name:10s} {verdict} ({time.monotonic() - began:.1f} s){report}", flush=True)
    return good


def main() -> int:
    """Run the checks named on the command line, or all."""
    names = sys.argv[1:] or list(CHECKS)
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        print(f"unknown: {' '.join(unknown)}; known: {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(max_workers=2) as pool, tempfile.TemporaryDirectory() as scratch:
        results = list(pool.map(lambda name: check(name, scratch), names))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
