"""Products as FITS files, for programs that do not read Zarr."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from astropy.io import fits

from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.model.product import Receipt
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.cube import read_cube
from spheredc_hpc.store.cube import to_dataset as cube_dataset
from spheredc_hpc.store.images import read_images
from spheredc_hpc.store.images import to_dataset as images_dataset

_UNITS = {
    **{unit: unit for unit in ("adu/s", "mag", "mas", "deg", "um", "d", "s")},
    **{"px": "pixel", "mas/px": "mas/pixel", "(adu/s)**-2": "adu**-2 s**2"},
}
_SKY = (
    *("image", "image_corrected", "image_snr", "cube", "snr", "snr_gaussian", "mask"),
    *("residuals", "cube_by_modes", "snr_by_modes"),
)


def export_product(directory: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write a Level 1 or Level 2 product as one FITS file.

    Every image becomes an extension of its name (upper case), axes in the order of the Zarr
    array, so that NAXIS1 is x. What is one value per channel, frame, separation or source goes
    to the tables CHANNELS, FRAMES, CURVES and SOURCES. Images of Level 2 carry a linear world
    coordinate about the star: x to the west and y to the north, in mas.

    Parameters
    ----------
    directory : Path
        The product.
    output : Path
        File to write.
    overwrite : bool
        Replace a file that is there.

    Raises
    ------
    DataError
        If the product is neither, was rejected or is damaged.
    ConfigError
        If the file exists.
    ResourceError
        If it cannot be written.
    """
    receipt = receipts.read(directory)
    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists; add --overwrite to replace it")
    if receipt.status == "rejected":
        raise DataError(f"{directory} was rejected: {'; '.join(receipt.reasons)}")
    if receipt.kind == "level1":
        dataset = cube_dataset(read_cube(directory / "cube.zarr"))
    elif receipt.kind == "level2":
        dataset = images_dataset(read_images(directory / "level2.zarr"))
    else:
        raise DataError(f"{directory} is a product of kind {receipt.kind}, not level1 or level2")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        to_hdus(dataset, receipt).writeto(output, overwrite=overwrite, checksum=True)
    except OSError as error:
        raise ResourceError(f"cannot write {output}: {error}") from error


def to_hdus(dataset: xr.Dataset, receipt: Receipt) -> fits.HDUList:
    """Arrange a dataset as images and tables."""
    hdus = fits.HDUList([fits.PrimaryHDU(header=_primary(dataset, receipt))])
    columns: dict[str, list[fits.Column]] = {}
    for name in (*dataset.data_vars, *dataset.coords):
        variable = dataset[name]
        if variable.dtype.kind not in "fiub":
            continue
        table = _TABLES.get(tuple(str(d) for d in variable.dims))
        if table is None:
            hdus.append(_image(str(name), variable, dataset))
        else:
            columns.setdefault(table, []).extend(_columns(str(name), variable, dataset))
    for table, listed in columns.items():
        hdus.append(fits.BinTableHDU.from_columns(fits.ColDefs(listed), name=table))
    return hdus


_TABLES = {
    ("wavelength",): "CHANNELS",
    ("time",): "FRAMES",
    ("time", "ao_quantity"): "FRAMES",
    ("time", "metric"): "FRAMES",
    ("separation",): "CURVES",
    ("wavelength", "separation"): "CURVES",
    ("statistic", "separation"): "CURVES",
    ("statistic", "wavelength", "separation"): "CURVES",
    ("source", "source_column"): "SOURCES",
    ("source", "wavelength"): "SOURCES",
}
# How Level 2 images were made.
_METHOD = {
    "ALGO": ("algorithm", "model of the star"),
    "STRATEGY": ("strategy", "which frames served"),
    "COMBINE": ("combination", "of derotated frames"),
    "CHANNELS": ("channels", "how channels were stacked"),
    "COMPSPEC": ("companion_spectrum", "assumed for throughput and contrast"),
}
_ROWS = ("time", "separation", "source", "wavelength")


def _primary(dataset: xr.Dataset, receipt: Receipt) -> fits.Header:
    header = fits.Header()
    header["ORIGIN"] = ("spheredc_hpc", "software that made the product")
    header["SWVERS"] = (receipt.software_version, "its version")
    header["PRODVERS"] = (receipt.product_version, "version of this kind of product")
    header["PRODKIND"] = (receipt.kind, "kind of product")
    header["STATUS"] = (str(receipt.status), "ok, flagged or rejected")
    header["SETDIG"] = (receipt.settings_digest[:16], "digest of the settings")
    header["CONSTVER"] = (receipt.constants_version, "table of instrument constants")
    for number, flag in enumerate(receipt.flags, start=1):
        header[f"FLAG{number}"] = flag
    for keyword, name in (("OBJECT", "target"), ("FILTER", "filter"), ("CORONO", "coronagraph")):
        value = dataset.attrs.get(name)
        if isinstance(value, str) and value:
            header[keyword] = value
    for keyword, (name, meaning) in _METHOD.items():
        value = dataset.attrs.get(name)
        if isinstance(value, str) and value:
            header[keyword] = (value, meaning)
    flux = dataset.attrs.get("image_star_flux")
    if flux is not None:
        header["STARFLUX"] = (float(flux), "[adu/s] of the star, for IMAGE_CORRECTED")
    header.add_comment(f"product {receipt.id}")
    return header


def _image(name: str, variable: xr.DataArray, dataset: xr.Dataset) -> fits.ImageHDU:
    values = variable.to_numpy()
    stored = values.astype(np.uint8) if values.dtype == np.bool_ else values
    hdu = fits.ImageHDU(stored, name=name)
    unit = _UNITS.get(str(variable.attrs.get("units", "")))
    if unit:
        hdu.header["BUNIT"] = unit
    for axis, dimension in enumerate(reversed(variable.dims), start=1):
        hdu.header[f"AXIS{axis}"] = (str(dimension), f"what axis {axis} counts")
    if variable.dims[-2:] == ("y", "x"):
        _place(hdu.header, variable.shape, name, dataset)
    return hdu


def _place(header: fits.Header, shape: tuple[int, ...], name: str, dataset: xr.Dataset) -> None:
    """Put the origin of the world coordinate on the star, pixel ``(n // 2, n // 2)``."""
    scale = float(dataset["pixel_scale_mas"].to_numpy()[0])
    for axis, count in ((1, shape[-1]), (2, shape[-2])):
        header[f"CRPIX{axis}"] = (count // 2 + 1.0, "star, counted from 1")
        header[f"CRVAL{axis}"] = 0.0
        header[f"CUNIT{axis}"] = "mas" if name in _SKY else "pixel"
    if name in _SKY:
        header["CTYPE1"], header["CTYPE2"] = ("DRA", "offset to the east"), ("DDEC", "to the north")
        header["CDELT1"], header["CDELT2"] = -scale, scale
    else:
        header["CTYPE1"], header["CTYPE2"] = "DX", "DY"
        header["CDELT1"], header["CDELT2"] = 1.0, 1.0


def _columns(name: str, variable: xr.DataArray, dataset: xr.Dataset) -> list[fits.Column]:
    """Turn a variable into columns: rows along its table axis, one column per other label."""
    row = next(d for d in _ROWS if d in variable.dims)
    others = [d for d in variable.dims if d != row]
    columns = []
    stacked = variable.transpose(row, *others).to_numpy()
    flat = stacked.reshape(stacked.shape[0], math.prod(stacked.shape[1:]))
    labels = _labels(others, variable, dataset)
    for index, label in enumerate(labels):
        title = label if variable.dims[-1] in ("source_column", "ao_quantity", "metric") else name
        if title == name and label:
            title = f"{name}_{label}"
        unit = _UNITS.get(str(variable.attrs.get("units", "")))
        kind = "D" if flat.dtype.kind == "f" else "K"
        columns.append(fits.Column(name=title, format=kind, unit=unit, array=flat[:, index]))
    return columns


def _labels(others: list[Any], variable: xr.DataArray, dataset: xr.Dataset) -> list[str]:
    labels = [""]
    for dimension in others:
        if dimension in dataset.coords and dataset[dimension].dtype.kind in "UOT":
            names = [str(value) for value in dataset[dimension].to_numpy()]
        else:
            names = [str(index) for index in range(variable.sizes[dimension])]
        labels = [f"{label}_{name}" if label else name for label in labels for name in names]
    return labels
