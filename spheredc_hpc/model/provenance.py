"""Versions that enter every receipt, and what varies from run to run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from functools import cache

PRODUCT_VERSIONS: dict[str, int] = {
    "background": 2,
    "flat": 2,
    "bad_pixels": 2,
    "ifs_specpos": 1,
    "ifs_wave": 1,
    "ifs_ifu_flat": 1,
    "ifs_det_flat": 1,
    "level1": 2,
    "level2": 2,
}
"""Raised when the numbers of a kind of product change (a `science` change)."""


@cache
def software_version() -> str:
    """Version of the installed project."""
    try:
        return importlib.metadata.version("spheredc_hpc")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


NUMERICAL_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "astropy",
    "pyerfa",
    "astropy-iers-data",
    "zarr",
    "numcodecs",
    "xarray",
    "matplotlib",
)


@cache
def environment_digest() -> str:
    """SHA-256 of the interpreter and of the packages that shape the numbers of a product."""
    lines = [f"python=={platform.python_version()}", f"machine=={platform.machine()}"]
    for name in NUMERICAL_PACKAGES:
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name}==absent")
    lines.append(f"byteorder=={sys.byteorder}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
