"""The Level 2 images and their Zarr form (``level2.zarr``)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spheredc_hpc.errors import DataError
from spheredc_hpc.store.cube import image_encoding, labels

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

STATISTICS = ("gaussian", "student")

SOURCE_COLUMNS = (
    "x_px",
    "y_px",
    "x_err_px",
    "y_err_px",
    "separation_mas",
    "separation_err_mas",
    "position_angle_deg",
    "position_angle_err_deg",
    "snr",
)
"""Columns of the table of sources; contrast and its error are per wavelength."""


@dataclass(frozen=True)
class Level2Images:
    """What every algorithm delivers; the names are the same for all.

    Attributes
    ----------
    image, image_corrected : ndarray, shape (y, x)
        Stack over the channels [adu/s], as it is and corrected for self-subtraction.
    image_snr : ndarray, shape (y, x)
        Gaussian-equivalent S/N of the stack.
    image_contrast : ndarray, shape (statistic, separation)
        5-sigma contrast of the stack.
    cube : ndarray, shape (wavelength, y, x)
        Final image per channel [adu/s].
    snr, snr_gaussian : ndarray, shape (wavelength, y, x)
        Two-sample t statistic and its Gaussian equivalent.
    contrast : ndarray, shape (statistic, wavelength, separation)
        5-sigma companion to star flux ratio, `STATISTICS`.
    throughput : ndarray, shape (wavelength, separation)
        Fraction of a companion's flux that survives.
    transmission : ndarray, shape (wavelength, separation)
        Off-axis transmission of the coronagraph.
    separation_mas : ndarray, shape (separation,)
        Radii of the curves [mas].
    mask : ndarray of bool, shape (y, x)
        True where the images are valid.
    sources : ndarray, shape (source, len(SOURCE_COLUMNS))
        Peaks found blindly and characterised by a forward model.
    source_contrast, source_contrast_err : ndarray, shape (source, wavelength)
        Throughput-corrected contrast of each source and its 1-sigma error.
    residuals : ndarray or None, shape (wavelength, time, y, x)
        Derotated residual frames, on request.
    residual_mjd : ndarray or None, shape (time,)
        Mid-exposure dates of those frames [d]: rejected ones are not among them.
    image_throughput : ndarray or None, shape (separation,)
        Fraction of a companion's flux that survives in the stack.
    throughput_t_type, contrast_t_type, image_contrast_t_type : ndarray or None
        As `throughput`, `contrast` and `image_contrast`, for a methane companion, where
        channels are subtracted from each other. The contrast of the stack is the mean over
        its channels.
    modes : ndarray of int or None, shape (mode_count,)
        Numbers of modes of the two images that follow; the first is that of `cube`.
    cube_by_modes, snr_by_modes : ndarray or None, shape (mode_count, wavelength, y, x)
        Final images and their Gaussian-equivalent S/N for several numbers of modes.
    """

    image: Images
    image_corrected: Images
    image_snr: Images
    image_contrast: Floats
    cube: Images
    snr: Images
    snr_gaussian: Images
    contrast: Floats
    throughput: Floats
    transmission: Floats
    separation_mas: Floats
    mask: npt.NDArray[np.bool_]
    sources: Floats
    source_contrast: Floats
    source_contrast_err: Floats
    wavelength_um: Floats
    pixel_scale_mas: Floats
    fwhm_px: Floats
    star_flux: Floats
    residuals: Images | None = None
    residual_mjd: Floats | None = None
    image_throughput: Floats | None = None
    throughput_t_type: Floats | None = None
    contrast_t_type: Floats | None = None
    image_contrast_t_type: Floats | None = None
    modes: npt.NDArray[np.int64] | None = None
    cube_by_modes: Images | None = None
    snr_by_modes: Images | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


_DIMENSIONS: dict[str, tuple[str, ...]] = {
    "image": ("y", "x"),
    "image_corrected": ("y", "x"),
    "image_snr": ("y", "x"),
    "image_contrast": ("statistic", "separation"),
    "image_throughput": ("separation",),
    "cube": ("wavelength", "y", "x"),
    "snr": ("wavelength", "y", "x"),
    "snr_gaussian": ("wavelength", "y", "x"),
    "contrast": ("statistic", "wavelength", "separation"),
    "throughput": ("wavelength", "separation"),
    "transmission": ("wavelength", "separation"),
    "separation_mas": ("separation",),
    "mask": ("y", "x"),
    "residuals": ("wavelength", "time", "y", "x"),
    "residual_mjd": ("time",),
    "throughput_t_type": ("wavelength", "separation"),
    "contrast_t_type": ("statistic", "wavelength", "separation"),
    "image_contrast_t_type": ("statistic", "separation"),
    "modes": ("mode_count",),
    "cube_by_modes": ("mode_count", "wavelength", "y", "x"),
    "snr_by_modes": ("mode_count", "wavelength", "y", "x"),
    "sources": ("source", "source_column"),
    "source_contrast": ("source", "wavelength"),
    "source_contrast_err": ("source", "wavelength"),
    "wavelength_um": ("wavelength",),
    "pixel_scale_mas": ("wavelength",),
    "fwhm_px": ("wavelength",),
    "star_flux": ("wavelength",),
}
_COORDINATES = (
    "separation_mas",
    "residual_mjd",
    "wavelength_um",
    "pixel_scale_mas",
    "fwhm_px",
    "modes",
)
_OPTIONAL = frozenset(f.name for f in fields(Level2Images) if f.default is None)
# Contrasts are stored a second time in magnitudes, for those who read them so.
_IN_MAGNITUDES = ("contrast", "image_contrast", "contrast_t_type", "image_contrast_t_type")
_UNITS = {
    "image": "adu/s",
    "image_corrected": "adu/s",
    "cube": "adu/s",
    "cube_by_modes": "adu/s",
    "residuals": "adu/s",
    "separation_mas": "mas",
    "wavelength_um": "um",
    "pixel_scale_mas": "mas/px",
    "fwhm_px": "px",
    "residual_mjd": "d",
    "star_flux": "adu/s",
}


def to_dataset(images: Level2Images) -> xr.Dataset:
    """Arrange Level 2 images as a dataset with named dimensions and units.

    Every contrast ``c`` has a companion variable ``<name>_mag``: ``-2.5 log10 c``.
    """
    held = {
        name: (dimensions, getattr(images, name))
        for name, dimensions in _DIMENSIONS.items()
        if getattr(images, name) is not None
    }
    coordinates: dict[str, Any] = {name: held.pop(name) for name in _COORDINATES if name in held}
    coordinates["statistic"] = ("statistic", labels(STATISTICS))
    coordinates["source_column"] = ("source_column", labels(SOURCE_COLUMNS))
    magnitudes = {
        f"{name}_mag": (held[name][0], magnitude(held[name][1]))
        for name in _IN_MAGNITUDES
        if name in held
    }
    dataset = xr.Dataset(held | magnitudes, coords=coordinates, attrs=images.attrs)
    for name, unit in (_UNITS | dict.fromkeys(magnitudes, "mag")).items():
        if name in dataset:
            dataset[name].attrs["units"] = unit
    return dataset


def magnitude(contrast: Floats) -> Floats:
    """Contrast in magnitudes, ``-2.5 log10``; NaN where it is not positive."""
    positive = np.where(contrast > 0, contrast, np.nan)
    return np.asarray(-2.5 * np.log10(positive), np.float64)


def write_images(images: Level2Images, path: Path, compression_level: int = 1) -> None:
    """Write Level 2 images as Zarr (format 3)."""
    large = {"residuals": images.residuals, "cube_by_modes": images.cube_by_modes}
    encoding = {
        name: image_encoding(values.shape, compression_level)
        for name, values in large.items()
        if values is not None
    }
    to_dataset(images).to_zarr(
        path, mode="w-", zarr_format=3, consolidated=False, encoding=encoding
    )


def read_images(path: Path) -> Level2Images:
    """Read Level 2 images into memory.

    Raises
    ------
    DataError
        If the store is absent or damaged, or a variable is missing.
    """
    names = [f.name for f in fields(Level2Images) if f.name != "attrs"]
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
            dataset.load()
            values: dict[str, Any] = {
                name: dataset[name].to_numpy()
                for name in names
                if name in dataset or name not in _OPTIONAL
            }
            attrs = dict(dataset.attrs)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} holds no Level 2 images: {error}") from error
    return Level2Images(**values, attrs=attrs)
