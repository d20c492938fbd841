"""Places below a result root."""

from __future__ import annotations

from pathlib import Path

from spheredc_hpc.errors import ConfigError

TOPS = ("calibrations", "observations", "library")


def split_product(target: Path) -> tuple[Path, str]:
    """Split the directory of a product into root and identity.

    Parameters
    ----------
    target : Path
        ``<root>/observations/...`` or ``<root>/calibrations/...``; may be relative.

    Returns
    -------
    root : Path
        Result root, absolute.
    product_id : str
        Path of the product relative to the root, with ``/``.

    Raises
    ------
    ConfigError
        If no part of the path is a product folder of a root.
    """
    absolute = target.absolute()
    for depth in range(len(absolute.parts) - 1, 0, -1):
        if absolute.parts[depth] in TOPS:
            root = Path(*absolute.parts[:depth])
            return root, "/".join(absolute.parts[depth:])
    raise ConfigError(f"{target} is not below {' or '.join(TOPS)} of a result root")


def product_directory(receipt: Path) -> Path:
    """Give the directory of the product that `receipt` belongs to.

    Raises
    ------
    ConfigError
        If the path does not end in ``receipt.json``.
    """
    if receipt.name != "receipt.json":
        raise ConfigError(f"{receipt}: expected the path of a receipt.json")
    return receipt.parent
