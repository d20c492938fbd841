"""Caches of compiled functions that notice changes in all files they were compiled from.

Numba keeps compiled functions on disk until the file of the function changes. They also hold
the functions and constants that their file imports, and of changes there Numba takes no notice:
after an upgrade in place, a cached function would go on with old code of a changed file. In this
room the stamp of a file covers the files that it imports, directly or not.
"""

# Numba declares types, but not for this part of it.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import caching

ROOM = Path(__file__).parent

_IMPORT = re.compile(
    r"^[ \t]*from spheredc_hpc\.kernels(?:\.(\w+))? import (\([^)]*\)|.*)$", re.MULTILINE
)


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """Files of the same folder that a module imports from ``spheredc_hpc.kernels``."""
    names: set[str] = set()
    for module, listed in _IMPORT.findall(path.read_text(encoding="utf-8")):
        names.update([module] if module else re.findall(r"\w+", listed))
    files = (path.with_name(f"{name}.py") for name in names)
    return frozenset(file for file in files if file.is_file())


@cache
def sources_digest(path: Path) -> str:
    """Digest of a module and of all files of the folder that it imports, directly or not."""
    found, fresh = {path}, [path]
    while fresh:
        new = imported_files(fresh.pop()) - found
        found |= new
        fresh += new
    digest = hashlib.sha256()
    for file in sorted(found):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def watch_imports() -> None:
    """Let Numba compile functions of this room again when a file that they import changes.

    Notes
    -----
    Numba finds the cache of a function through a list of *locators*, which also give the stamp
    that tells whether an entry is fresh. Ours come first in the list, leave alone what is not of
    this room, and differ from Numba's in the stamp only. A list that a user has named in
    ``NUMBA_CACHE_LOCATOR_CLASSES`` goes before.
    """
    # The class has lost its underscore between the versions of Numba.
    module: Any = caching
    owner = module.CacheImpl if hasattr(module, "CacheImpl") else module._CacheImpl
    known = list(owner._locator_classes)
    owner._locator_classes = [_watching(one) for one in known if _has_file(one)] + known


def _has_file(locator: Any) -> bool:
    return issubclass(locator, caching._SourceFileBackedLocatorMixin)


def _watching(locator: Any) -> Any:
    """Derive a locator whose stamp covers the imported files."""

    class Watching(locator):  # type: ignore[misc]
        def get_source_stamp(self) -> Any:
            return super().get_source_stamp(), sources_digest(Path(self._py_file))

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            if Path(py_file).parent != ROOM:
                return None
            return super().from_function(py_func, py_file)

    Watching.__name__ = f"Watching{locator.__name__}"
    return Watching
