"""Raw folders that were scanned into a root, on disk: a rebuild starts from them."""

from __future__ import annotations

from pathlib import Path

from spheredc_hpc.catalog.files import Places
from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.errors import ResourceError
from spheredc_hpc.store.codec import canonical_json, read_json, write_text

FILE = "plan/scanned.json"


def remember(root: Path, places: Places) -> None:
    """Add raw files and folders to those known; what lies below another one is left out.

    Raises
    ------
    ResourceError
        If the root cannot be written.
    """
    known = {*scanned(root), *places.paths}
    tops = sorted(clean(str(p)) for p in known if not known.intersection(p.parents))
    try:
        write_text(canonical_json({"raw": tops}), root / FILE)
    except OSError as error:
        raise ResourceError(f"{root / FILE} cannot be written: {error.strerror}") from error


def scanned(root: Path) -> tuple[Path, ...]:
    """Raw files and folders that were scanned into `root`."""
    path = root / FILE
    return tuple(map(Path, read_json(path)["raw"])) if path.is_file() else ()
