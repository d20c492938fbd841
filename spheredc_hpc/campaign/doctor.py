"""Checks of the machine and the environment, each with what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from spheredc_hpc.campaign.assets import profile_path, workflow_home
from spheredc_hpc.errors import SphereDCError
from spheredc_hpc.model.provenance import environment_digest, software_version

NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "smbfs", "ceph", "fuse.sshfs"),
    *("glusterfs", "afs", "panfs", "wekafs", "9p", "virtiofs"),
)
LEAST_FREE_GB = 5.0
LEAST_MEMORY_GB = 4.0
PACKAGES = ("numpy", "scipy", "numba", "astropy", "zarr", "xarray", "snakemake", "django")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What it is.
    status : str
        ``ok``, ``warning`` or ``error``.
    found : str
        What there is.
    advice : str
        What to do, if it is not ``ok``.
    """

    name: str
    status: str
    found: str
    advice: str = ""


def examine(root: Path) -> list[Check]:
    """Look at everything that a run on this machine needs.

    Parameters
    ----------
    root : Path
        Result root that would be used; it need not exist.

    Returns
    -------
    list of Check
    """
    checks: tuple[Callable[[Path], Check], ...] = (
        _python,
        _software,
        _packages,
        _workflow,
        _gzip,
        _cores,
        _memory,
        _library_threads,
        _writable,
        _disk,
        _database,
    )
    return [check(root) for check in checks]


def _python(root: Path) -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Check("Python", "ok", found)
    return Check("Python", "error", found, "use Python 3.11 to 3.13")


def _software(root: Path) -> Check:
    found = f"{software_version()}, environment {environment_digest()[:12]}"
    return Check("spheredc_hpc", "ok", found)


def _packages(root: Path) -> Check:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "error", f"missing: {', '.join(missing)}", "install the project")
    return Check("packages", "ok", ", ".join(found))


def _workflow(root: Path) -> Check:
    try:
        home = workflow_home()
        profile_path("local")
    except SphereDCError as error:
        return Check("workflow", "error", str(error), "install the project again")
    return Check("workflow", "ok", str(home))


def _gzip(root: Path) -> Check:
    found = shutil.which("gzip")
    if found is None:
        return Check("gzip", "error", "not found", "install gzip: .gz and .Z files need it")
    return Check("gzip", "ok", found)


def _cores(root: Path) -> Check:
    usable = len(os.sched_getaffinity(0))
    return Check("cores", "ok", f"{usable} usable of {psutil.cpu_count()}")


def _memory(root: Path) -> Check:
    free_gb = psutil.virtual_memory().available / 1e9
    found = f"{free_gb:.1f} GB available"
    if free_gb < LEAST_MEMORY_GB:
        advice = f"at least {LEAST_MEMORY_GB:g} GB are needed for one observation"
        return Check("memory", "warning", found, advice)
    return Check("memory", "ok", found)


def _library_threads(root: Path) -> Check:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    found = ", ".join(f"{name}={os.environ.get(name, '-')}" for name in names)
    if all(os.environ.get(name) == "1" for name in names):
        return Check("library threads", "ok", found)
    advice = "set them to 1: jobs have their own threads"
    return Check("library threads", "warning", found, advice)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _writable(root: Path) -> Check:
    place = _existing(root)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check("root", "error", f"{root}: {error.strerror}", "choose a root you can write")
    return Check("root", "ok", f"{root} can be written")


def _disk(root: Path) -> Check:
    free_gb = shutil.disk_usage(_existing(root)).free / 1e9
    found = f"{free_gb:.0f} GB free"
    if free_gb < LEAST_FREE_GB:
        return Check("disk", "warning", found, "an observation may take several GB")
    return Check("disk", "ok", found)


def file_system(path: Path) -> str:
    """Name the type of the file system that holds a path, empty if it cannot be told."""
    best, kind = 0, ""
    text = str(_existing(path).resolve())
    for part in psutil.disk_partitions(all=True):
        mount = part.mountpoint.rstrip("/") + "/"
        if (text + "/").startswith(mount) and len(mount) >= best:
            best, kind = len(mount), part.fstype
    return kind


def _named_database(root: Path) -> Check:
    from spheredc_hpc.catalog.setup import check_answer

    try:
        check_answer(root)
    except SphereDCError as error:
        return Check("database", "error", str(error), "mend SPHEREDC_DATABASE_URL or the server")
    return Check("database", "ok", "the one of SPHEREDC_DATABASE_URL answers")


def _database(root: Path) -> Check:
    if os.environ.get("SPHEREDC_DATABASE_URL"):
        return _named_database(root)
    kind = file_system(root)
    found = f"SQLite on {kind or 'an unknown file system'}"
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "SQLite needs a local disk: set SPHEREDC_DATABASE_URL to a PostgreSQL server"
        return Check("database", "error", found, advice)
    return Check("database", "ok", found)
