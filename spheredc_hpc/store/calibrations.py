"""Calibration products: named images in one FITS file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from spheredc_hpc.errors import DataError

FILE = "calibration.fits"
Image = npt.NDArray[np.generic]


def write_calibration(
    images: Mapping[str, Image], facts: Mapping[str, str | int | float], directory: Path
) -> None:
    """Write named images as extensions of one FITS file.

    Parameters
    ----------
    images : mapping
        Extension name (upper case) to image; booleans are stored as uint8.
    facts : mapping
        Primary header: keyword (8 characters at most) to value.
    directory : Path
        Where the file goes.
    """
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for keyword, value in facts.items():
        hdus[0].header[keyword] = value
    for name, image in images.items():
        stored = image.astype(np.uint8) if image.dtype == np.bool_ else image
        hdus.append(fits.ImageHDU(stored, name=name))
    hdus.writeto(directory / FILE)


def read_calibration(directory: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read every image of a calibration product as native float32.

    Raises
    ------
    DataError
        If the product has no readable file.
    """
    path = directory / FILE
    try:
        with fits.open(path, memmap=False) as hdus:
            return {hdu.name: np.asarray(hdu.data, dtype=np.float32) for hdu in hdus[1:]}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as a calibration: {error}") from error
