"""Arrays made elsewhere: images and cubes from FITS, vectors from FITS or text."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from spheredc_hpc.errors import DataError

Header = dict[str, str | int | float | bool]


def read_image(path: Path, dimensions: tuple[int, ...]) -> tuple[Header, npt.NDArray[np.float32]]:
    """Read the first image of a FITS file.

    Parameters
    ----------
    path : Path
        FITS file, plain or ``.gz``; the image may be in any unit.
    dimensions : tuple of int
        Numbers of dimensions that are accepted.

    Returns
    -------
    header : dict
        Of the unit with the image.
    image : ndarray
        Native float32, axes in array order.

    Raises
    ------
    DataError
        If the file cannot be read, has no image or one with other dimensions.
    """
    try:
        with _quiet(), fits.open(path, memmap=False) as hdus:
            unit = next((hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] > 0), None)
            if unit is None:
                raise DataError(f"{path}: no image in any of its {len(hdus)} units")
            header: Header = {
                card.keyword: card.value
                for card in unit.header.cards
                if isinstance(card.value, str | int | float | bool)
            }
            image = np.asarray(unit.data, dtype=np.float32)
    except (OSError, ValueError, TypeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error
    if image.ndim not in dimensions:
        wanted = " or ".join(str(n) for n in dimensions)
        raise DataError(f"{path}: image of shape {image.shape}, expected {wanted} dimensions")
    return header, image


def read_vector(path: Path) -> npt.NDArray[np.float64]:
    """Read a list of numbers: a FITS image or the first numeric column of a FITS table or text.

    Raises
    ------
    DataError
        If the file cannot be read or holds something else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(10)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if start.startswith((b"SIMPLE  =", b"\x1f\x8b")):
        return _vector_of_fits(path)
    try:
        values = np.genfromtxt(path, delimiter=_delimiter(path), comments="#", dtype=np.float64)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: neither FITS nor a table of numbers: {error}") from error
    values = np.atleast_1d(values)
    vector = values if values.ndim == 1 else values[:, 0]
    return _finite(vector, path)


def _quiet() -> warnings.catch_warnings[None]:
    """Leave it to the reading itself to fail where a file is cut short."""
    return warnings.catch_warnings(action="ignore", category=AstropyUserWarning)


def _delimiter(path: Path) -> str | None:
    return "," if "," in path.read_text(encoding="utf-8", errors="replace")[:4096] else None


def _vector_of_fits(path: Path) -> npt.NDArray[np.float64]:
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                data: Any = hdu.data
                if data is None:
                    continue
                if hdu.is_image:
                    vector = np.squeeze(np.asarray(data, dtype=np.float64))
                    vector = np.atleast_1d(vector)
                    if vector.ndim != 1:
                        raise DataError(f"{path}: shape {data.shape}, expected one dimension")
                    return _finite(vector, path)
                for name in data.names:
                    if np.issubdtype(data[name].dtype, np.number) and data[name].ndim == 1:
                        return _finite(np.asarray(data[name], dtype=np.float64), path)
    except (OSError, ValueError, TypeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error
    raise DataError(f"{path}: no list of numbers in it")


def _finite(vector: npt.NDArray[np.float64], path: Path) -> npt.NDArray[np.float64]:
    bad = np.flatnonzero(~np.isfinite(vector))
    if vector.size == 0 or bad.size:
        what = f"value {bad[0] + 1} is no number" if bad.size else "it is empty"
        raise DataError(f"{path}: {what}, expected finite numbers")
    return vector
