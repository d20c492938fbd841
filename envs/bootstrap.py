"""Set the project up and run one of its commands; the standard library is all it needs.

python3 envs/bootstrap.py run      reduce the built-in night, end with the report
python3 envs/bootstrap.py test     run the tests
python3 envs/bootstrap.py lint     run every check on the sources
python3 envs/bootstrap.py docs     build the documentation into docs/_build/html
python3 envs/bootstrap.py bench    measure our methods against VIP, pyKLIP and PynPoint
python3 envs/bootstrap.py setup    only set up; names of extras may follow (test lint docs ...)
python3 envs/bootstrap.py shell    a shell in the environment, or one command: shell -- spheredc ls
python3 envs/bootstrap.py clean    remove what the commands made, except the environments

What follows a command is handed on: `python3 envs/bootstrap.py test -- tests/kernels -x`.
The environment is `.venv` in the project, or the folder that SPHEREDC_VENV names.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
VENV = Path(os.environ.get("SPHEREDC_VENV") or ROOT / ".venv").absolute()
BOOKS = VENV / ".bootstrap"  # stamps, the mark of work in progress, the log of pip
CONSTRAINTS = ROOT / "envs" / "constraints.txt"
PYTHON = VENV / "bin" / "python"
OLDEST, NEWEST = (3, 11), (3, 13)
PIP_ATTEMPTS = 3
DEBIAN_WHEELS = Path("/usr/share/python-wheels")
LEFTOVERS = (
    "build", "demo", "bench-results", "docs/_build", "docs/_generated", "spheredc_hpc.egg-info",
    ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    ".snakemake",
)  # fmt: skip


class BootstrapError(Exception):
    """The environment cannot be set up; the message says what to do about it."""


def say(text: str) -> None:
    """Write one line for the person in front of the terminal."""
    print(f"[bootstrap] {text}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------ interpreter


def use_supported_python() -> None:
    """Start again under a supported interpreter if this one is too old or too new."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    import subprocess

    for minor in range(OLDEST[1], NEWEST[1] + 1):
        found = shutil.which(f"python3.{minor}")
        if found is None:
            continue
        probe = subprocess.run([found, "-c", ""], check=False, capture_output=True)
        if probe.returncode == 0:
            os.execv(found, [found, *sys.argv])
    raise BootstrapError(
        f"this is Python {sys.version.split()[0]}; 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed "
        "and none is on the PATH (Debian: apt-get install python3)"
    )


def base_python() -> str:
    """Return the interpreter below a virtual environment, if this is one."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def clean_environment() -> dict[str, str]:
    """Return the caller's environment without what would lead Python or pip elsewhere."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment["VIRTUAL_ENV"] = str(VENV)
    environment["PATH"] = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    return environment


# ------------------------------------------------------------------ stamps and lock


def wanted_digest(extra: str) -> str:
    """Return the digest of all that decides what an extra installs."""
    import tomllib

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = {
        "build": pyproject["build-system"],
        "project": pyproject["project"],
        "setuptools": pyproject["tool"]["setuptools"],
        "constraints": CONSTRAINTS.read_text(encoding="utf-8"),
        "root": str(ROOT),
        "extra": extra,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def venv_digest() -> str:
    """Return the digest of what a virtual environment is tied to: its place and its interpreter."""
    return hashlib.sha256(f"{VENV} {base_python()} {sys.version}".encode()).hexdigest()


def stamped(name: str, digest: str) -> bool:
    """Tell whether a piece of the environment was finished with this digest."""
    try:
        return (BOOKS / f"{name}.stamp").read_text(encoding="ascii").strip() == digest
    except FileNotFoundError:
        return False


def stamp(name: str, digest: str) -> None:
    """Note that a piece is finished; the note appears whole or not at all."""
    scratch = BOOKS / f"{name}.stamp.new"
    scratch.write_text(digest + "\n", encoding="ascii")
    scratch.replace(BOOKS / f"{name}.stamp")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let one bootstrap at a time change the environment."""
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_name(VENV.name + ".lock").open("a", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another bootstrap is at work here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# ------------------------------------------------------------------ running things


def logged(command: Sequence[str], task: str, environment: dict[str, str]) -> bool:
    """Run a command with its output in the log; a line every 20 s says that it lives."""
    import subprocess
    import time

    log = BOOKS / "pip.log"
    began = time.monotonic()
    with log.open("a", encoding="utf-8") as handle:
        handle.write(f"\n$ {' '.join(command)}\n")
        handle.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle,
            cwd=ROOT, env=environment,
        )  # fmt: skip
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(20) == 0
                say(f"{task}: {time.monotonic() - began:.0f} s so far")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def log_tail(lines: int = 25) -> str:
    """Return the end of the log, without the notices of pip about its own settings."""
    text = (BOOKS / "pip.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in text if "is ignored: it is neither" not in line][-lines:])


def pip_environment() -> dict[str, str]:
    """Return the environment of pip: the caller's settings, patient with slow networks."""
    environment = clean_environment()
    environment.setdefault("PIP_DEFAULT_TIMEOUT", "120")
    environment.setdefault("PIP_RETRIES", "10")
    environment.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    environment.update(PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    return environment


def pip_install(arguments: Sequence[str], task: str) -> None:
    """Install with the environment's own pip, trying again when the network fails."""
    import time

    command = [str(PYTHON), "-m", "pip", "install", "-c", str(CONSTRAINTS), *arguments]
    for attempt in range(1, PIP_ATTEMPTS + 1):
        if logged(command, task, pip_environment()):
            return
        if "ResolutionImpossible" in log_tail():
            break
        if attempt < PIP_ATTEMPTS:
            say(f"{task}: attempt {attempt} failed, trying again")
            time.sleep(5 * attempt)
    raise BootstrapError(f"{task} failed.\n{log_tail()}\nThe whole log: {BOOKS / 'pip.log'}")


# ------------------------------------------------------------------ virtual environment


def has_pip() -> bool:
    """Tell whether the environment's own pip works."""
    return PYTHON.exists() and logged(
        [str(PYTHON), "-m", "pip", "--version"], "looking for pip", clean_environment()
    )


def make_venv() -> bool:
    """Make the environment with whatever this machine offers; False if no pip was to be had."""
    python = base_python()
    environment = clean_environment()
    if find_spec("ensurepip") is not None:
        logged([python, "-m", "venv", str(VENV)], "making the environment", environment)
        if has_pip():
            return True
    plain = [python, "-m", "venv", "--without-pip", str(VENV)]
    if not logged(plain, "making the environment", environment):
        return False
    for wheel in sorted(DEBIAN_WHEELS.glob("pip-*.whl"), reverse=True):
        source = [str(PYTHON), str(wheel / "pip"), "install", "--no-index", str(wheel)]
        logged(source, "installing pip", pip_environment())
        if has_pip():
            return True
    others = [[path] for path in (shutil.which("pip3"), shutil.which("pip")) if path]
    for pip in [[python, "-m", "pip"], *others]:
        source = [*pip, "--python", str(PYTHON), "install", "pip"]
        logged(source, "installing pip", pip_environment())
        if has_pip():
            return True
    return False


def install_debian_package() -> None:
    """Install the Debian package that brings ensurepip, when this account may do so."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    advice = (
        "this Python has neither ensurepip nor pip. Install one and try again, "
        f"on Debian: apt-get install {package}"
    )
    apt = shutil.which("apt-get")
    if apt is None or sys.base_prefix != "/usr":
        raise BootstrapError(advice)
    prefix: list[str] = []
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        prefix = [sudo or "sudo", "-n"]
        if sudo is None or not logged([*prefix, "true"], "asking sudo", environment):
            raise BootstrapError(advice)
    say(f"no ensurepip and no pip here: installing the Debian package {package}")
    install = [*prefix, apt, "install", "-y", "--no-install-recommends", package]
    if logged(install, f"installing {package}", environment):
        return
    logged([*prefix, apt, "update"], "updating the package lists", environment)
    if not logged(install, f"installing {package}", environment):
        raise BootstrapError(f"{advice}\napt-get could not do it:\n{log_tail()}")


def build_venv() -> None:
    """Make a fresh environment with a pip of its own, in place of an unfinished or old one."""
    if VENV.exists():
        if not BOOKS.is_dir() and any(VENV.iterdir()):
            raise BootstrapError(
                f"{VENV} exists but was not made here. Remove it, or let SPHEREDC_VENV name "
                "another folder for the environment."
            )
        shutil.rmtree(VENV)
    BOOKS.mkdir(parents=True)
    (BOOKS / "busy").touch()
    say(f"making {VENV} with Python {sys.version.split()[0]}")
    if not make_venv():
        install_debian_package()
        if not make_venv():
            raise BootstrapError(f"no virtual environment could be made.\n{log_tail()}")
    stamp("venv", venv_digest())


def ensure(extras: Sequence[str] = ()) -> None:
    """Bring the environment to where the package and these extras are installed."""
    digests = {name: wanted_digest(name) for name in ("runtime", *extras)}

    def missing() -> list[str]:
        if (BOOKS / "busy").exists() or not stamped("venv", venv_digest()):
            return list(digests)
        return [name for name, digest in digests.items() if not stamped(name, digest)]

    if not missing():
        return
    with locked():
        todo = missing()
        if not todo:
            return
        if (BOOKS / "busy").exists() or not stamped("venv", venv_digest()):
            build_venv()
        (BOOKS / "busy").touch()
        names = ",".join(name for name in todo if name != "runtime")
        task = "installing the packages" + (f" for {names.replace(',', ', ')}" if names else "")
        say(f"{task}; the first time takes a minute or two")
        pip_install(["setuptools"], "installing setuptools")
        # Compiled afterwards on all cores: one core of pip would be a third of the whole time.
        target = f"{ROOT}[{names}]" if names else str(ROOT)
        pip_install(["--no-build-isolation", "--no-compile", "-e", target], task)
        compile_packages()
        for name in todo:
            stamp(name, digests[name])
        (BOOKS / "busy").unlink()


def compile_packages() -> None:
    """Compile what pip installed; a file of a package that does not compile is no failure."""
    packages = [str(path) for path in sorted(VENV.glob("lib/python3*/site-packages"))]
    command = [str(PYTHON), "-m", "compileall", "-q", "-j", "0", *packages]
    logged(command, "compiling", clean_environment())


# ------------------------------------------------------------------ commands


def execute(command: Sequence[str], **settings: str) -> NoReturn:
    """Become the command, in the environment."""
    environment = clean_environment()
    for key, value in settings.items():
        environment.setdefault(key, value)
    os.chdir(ROOT)
    os.execvpe(command[0], list(command), environment)


def single_threaded() -> dict[str, str]:
    """Return settings that keep array libraries from starting threads of their own."""
    return {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "NUMEXPR")}


def clean() -> None:
    """Remove what the commands made, except the environment."""
    for name in LEFTOVERS:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for cache in ROOT.glob("[!.]*/**/__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)


def dispatch(command: str, arguments: list[str]) -> None:
    """Set up what one command needs and become it."""
    python = str(PYTHON)
    if command == "setup":
        ensure(arguments)
        say(f"ready: {VENV}")
    elif command == "run":
        ensure()
        execute(["spheredc", "demo", "--root", "demo", *arguments])
    elif command == "test":
        ensure(["test"])
        workers = ["-n", "2", "--dist", "loadscope"]  # fixtures of a module are made once
        execute([python, "-m", "pytest", *workers, *arguments], **single_threaded())
    elif command == "bench":
        ensure()
        execute([python, "tests/bench/run.py", *arguments])
    elif command == "lint":
        ensure(["test", "lint"])
        execute([python, "envs/checks.py", *arguments], **single_threaded())
    elif command == "docs":
        ensure(["docs"])
        strict = ["-W", "--keep-going", "-b", "html"]
        execute([python, "-m", "sphinx", *strict, *arguments, "docs", "docs/_build/html"])
    elif command == "shell":
        ensure()
        execute(arguments or [os.environ.get("SHELL", "/bin/sh")])
    elif command == "clean":
        clean()
    else:
        raise BootstrapError(f"unknown command {command!r}\n\n{__doc__}")


def main() -> int:
    """Parse the command line."""
    command, *arguments = sys.argv[1:] or ["help"]
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if command in {"help", "-h", "--help"}:
        print(__doc__)
        return 0
    try:
        use_supported_python()
        dispatch(command, arguments)
    except BootstrapError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
