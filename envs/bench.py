"""Make the environment of one reference package and print its interpreter.

    python envs/bench.py vip          VIP and pyKLIP, in .venv-bench-vip
    python envs/bench.py pynpoint     PynPoint, in .venv-bench-pynpoint

Started by the benchmarks, inside the project's own environment, whose pip does the work. An
environment that is complete for the constraints and the interpreter of today is used as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What is compared; envs/constraints-*.txt has the versions of these and of what they need.
PACKAGES = {
    "vip": (
        "vip-hci",
        "pyklip",
        "opencv-python-headless",
        "numba",
    ),  # VIP uses numba if it is there
    "pynpoint": ("pynpoint",),
}
ATTEMPTS = 3


class NotInstalledError(Exception):
    """The environment cannot be made; the message says why."""


def say(text: str) -> None:
    """Write one line for the person in front of the terminal."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def constraints(name: str) -> Path:
    """Return the file with the versions of one environment."""
    return ROOT / "envs" / f"constraints-{name}.txt"


def digest(name: str) -> str:
    """Return the digest of all that decides what an environment holds."""
    parts = [sys.version, base_python(), *PACKAGES[name], constraints(name).read_text("utf-8")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def base_python() -> str:
    """Return the interpreter below a virtual environment, if this is one."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def run(command: list[str], log: Path) -> bool:
    """Run a command with its output in the log."""
    with log.open("a", encoding="utf-8") as handle:
        return subprocess.run(command, check=False, stdout=handle, stderr=handle).returncode == 0


def install(folder: Path, name: str) -> None:
    """Make the environment afresh; pip is not put into it, the one of this interpreter serves."""
    log = folder.with_name(folder.name + ".log")
    log.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"making {folder.name} with {', '.join(PACKAGES[name])}; this takes a minute or two")
    if not run([base_python(), "-m", "venv", "--without-pip", str(folder)], log):
        raise NotInstalledError(f"no virtual environment could be made; see {log}")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    quiet = ["--no-input", "--disable-pip-version-check", "-c", str(constraints(name))]
    for _ in range(ATTEMPTS):
        if run([*pip, *quiet, *PACKAGES[name]], log):
            return
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    raise NotInstalledError("\n".join(["the packages could not be installed:", *tail]))


def ensure(name: str) -> Path:
    """Return the interpreter of an environment, which is made if it is not there.

    Raises
    ------
    NotInstalledError
        If it cannot be made.
    """
    folder = ROOT / f".venv-bench-{name}"
    stamp = folder / ".stamp"
    with folder.with_name(folder.name + ".lock").open("a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = digest(name)
        if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
            install(folder, name)
            stamp.write_text(wanted, encoding="ascii")
    return folder / "bin" / "python"


def main() -> int:
    """Make one environment and print its interpreter."""
    if sys.argv[1:] not in [[name] for name in PACKAGES]:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(ensure(sys.argv[1]))
    except NotInstalledError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
