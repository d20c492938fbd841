"""The Level 1 cube and its Zarr form (``cube.zarr``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from spheredc_hpc.errors import DataError

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

AO_QUANTITIES = ("seeing_arcsec", "tau0_ms", "wind_speed_mps", "strehl", "r0_m")
MAX_SHARD_BYTES = 256 * 1024**2
INNER_CHUNK_PX = 128
INNER_CHUNK_FRAMES = 16


@dataclass(frozen=True)
class Level1Cube:
    """A recentred master cube with all that Level 2 needs.

    Attributes
    ----------
    science : ndarray, shape (wavelength, time, y, x)
        Recentred frames [adu/s], star on pixel ``(n // 2, n // 2)``; NaN where no data.
    weight : ndarray, shape of `science`
        Inverse variance [(adu/s)**-2], 0 where bad.
    psf : ndarray, shape (wavelength, psf_time, psf_y, psf_x)
        Unsaturated star [adu/s] at the neutral density of the science.
    centre_px, centre_err_px : ndarray, shape (wavelength, time, 2)
        Star on the detector field (x, y) [px].
    ao : ndarray, shape (time, ao_quantity)
        `AO_QUANTITIES` per frame; NaN where there is no telemetry.
    quality : ndarray, shape (time, metric)
        Per-frame metrics, named by `metrics`.
    wavelength_um, bandwidth_um, pixel_scale_mas : ndarray, shape (wavelength,)
        Channels.
    mjd, dit_s, parang_deg, derotation_deg, derotation_start_deg, derotation_end_deg, airmass :
        ndarray, shape (time,). Mid-integration time; rotating frame ``i`` counter-clockwise
        (y up) by ``derotation_deg[i]`` brings north up and east left.
    attrs : dict
        JSON-compatible facts: observation, target, arm, filter, bands, coronagraph, flags.
    """

    science: Images
    weight: Images
    psf: Images
    centre_px: Floats
    centre_err_px: Floats
    ao: Floats
    quality: Floats
    metrics: tuple[str, ...]
    wavelength_um: Floats
    bandwidth_um: Floats
    pixel_scale_mas: Floats
    mjd: Floats
    dit_s: Floats
    parang_deg: Floats
    derotation_deg: Floats
    derotation_start_deg: Floats
    derotation_end_deg: Floats
    airmass: Floats
    attrs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together.

        Raises
        ------
        DataError
            Names the variable, its shape and the one expected.
        """
        if self.science.ndim != 4:
            raise DataError(f"science has shape {self.science.shape}, expected 4 dimensions")
        n_wave, n_time = self.science.shape[:2]
        expected: dict[str, tuple[int, ...]] = {
            "weight": self.science.shape,
            "centre_px": (n_wave, n_time, 2),
            "centre_err_px": (n_wave, n_time, 2),
            "ao": (n_time, len(AO_QUANTITIES)),
            "quality": (n_time, len(self.metrics)),
        }
        expected |= dict.fromkeys(("wavelength_um", "bandwidth_um", "pixel_scale_mas"), (n_wave,))
        expected |= dict.fromkeys(_PER_FRAME, (n_time,))
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise DataError(f"{name} has shape {found}, expected {shape}")
        if self.psf.ndim != 4 or self.psf.shape[0] != n_wave:
            raise DataError(f"psf has shape {self.psf.shape}, expected ({n_wave}, time, y, x)")


_PER_FRAME = (
    "mjd",
    "dit_s",
    "parang_deg",
    "derotation_deg",
    "derotation_start_deg",
    "derotation_end_deg",
    "airmass",
)
_FRAMES = ("science", "weight")
_UNITS = {
    "science": "adu/s",
    "weight": "(adu/s)**-2",
    "psf": "adu/s",
    "centre_px": "px",
    "centre_err_px": "px",
    "wavelength_um": "um",
    "bandwidth_um": "um",
    "pixel_scale_mas": "mas/px",
    "mjd": "d",
    "dit_s": "s",
    "parang_deg": "deg",
    "derotation_deg": "deg",
    "derotation_start_deg": "deg",
    "derotation_end_deg": "deg",
    "airmass": "1",
}


def to_dataset(cube: Level1Cube) -> xr.Dataset:
    """Arrange a cube as a dataset with named dimensions, units and coordinates."""
    image = ("wavelength", "time", "y", "x")
    variables: dict[str, Any] = {
        "science": (image, cube.science),
        "weight": (image, cube.weight),
        "psf": (("wavelength", "psf_time", "psf_y", "psf_x"), cube.psf),
        "centre_px": (("wavelength", "time", "xy"), cube.centre_px),
        "centre_err_px": (("wavelength", "time", "xy"), cube.centre_err_px),
        "ao": (("time", "ao_quantity"), cube.ao),
        "quality": (("time", "metric"), cube.quality),
    }
    coordinates: dict[str, Any] = {
        name: (("wavelength",), getattr(cube, name))
        for name in ("wavelength_um", "bandwidth_um", "pixel_scale_mas")
    }
    coordinates |= {name: (("time",), getattr(cube, name)) for name in _PER_FRAME}
    coordinates["ao_quantity"] = ("ao_quantity", labels(AO_QUANTITIES))
    coordinates["metric"] = ("metric", labels(cube.metrics))
    coordinates["xy"] = ("xy", labels(("x", "y")))
    dataset = xr.Dataset(variables, coords=coordinates, attrs=cube.attrs)
    for name, unit in _UNITS.items():
        dataset[name].attrs["units"] = unit
    return dataset


def labels(names: Sequence[str]) -> npt.NDArray[np.object_]:
    """Make a label coordinate that is stored as variable-length text."""
    return np.array(names, dtype=object)


def write_cube(cube: Level1Cube, path: Path, compression_level: int = 1) -> None:
    """Write a cube as sharded Zarr (format 3); one call writes every shard once."""
    dataset = to_dataset(cube)
    encoding: dict[str, Any] = {
        name: image_encoding(dataset[name].shape, compression_level) for name in _FRAMES
    }
    dataset.to_zarr(path, mode="w-", zarr_format=3, consolidated=False, encoding=encoding)


def image_encoding(shape: tuple[int, ...], compression_level: int = 1) -> dict[str, Any]:
    """Chunks, shards and codec of an image cube (wavelength, time, y, x) of float32.

    Inner chunks are ``(1, min(T, 16), 128, 128)``; a shard is a whole multiple of them on
    every axis, holds one channel and at most 256 MB, and is split in time.
    """
    _, n_time, n_y, n_x = shape
    frames = min(n_time, INNER_CHUNK_FRAMES)
    side_y, side_x = (-(-n // INNER_CHUNK_PX) * INNER_CHUNK_PX for n in (n_y, n_x))
    group_bytes = frames * side_y * side_x * 4
    groups = max(1, min(-(-n_time // frames), MAX_SHARD_BYTES // group_bytes))
    return {
        "chunks": (1, frames, INNER_CHUNK_PX, INNER_CHUNK_PX),
        "shards": (1, frames * groups, side_y, side_x),
        "compressors": BloscCodec(cname="zstd", clevel=compression_level, shuffle="bitshuffle"),
    }


def read_cube(path: Path) -> Level1Cube:
    """Read a Level 1 cube into memory.

    Raises
    ------
    DataError
        If the store is absent or damaged, or a variable is missing.
    """
    return _cube_of(path, {*_UNITS, "ao", "quality"})


def open_cube(path: Path) -> Level1Cube:
    """Open a Level 1 cube whose frames stay on disk.

    `science` and `weight` are Zarr arrays: integers and slices on them read what they ask for.

    Raises
    ------
    DataError
        If the store is absent or damaged, or a variable is missing.
    """
    try:
        group = zarr.open_group(path, mode="r")
        frames: dict[str, Any] = {name: group[name] for name in _FRAMES}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} is no Level 1 cube: {error}") from error
    return _cube_of(path, {*_UNITS, "ao", "quality"} - set(_FRAMES), frames)


def _cube_of(path: Path, names: set[str], given: dict[str, Any] | None = None) -> Level1Cube:
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
            values = {name: dataset[name].to_numpy() for name in sorted(names)}
            metrics = tuple(str(name) for name in dataset["metric"].to_numpy())
            attrs = dict(dataset.attrs)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} is no Level 1 cube: {error}") from error
    return Level1Cube(**values, **(given or {}), metrics=metrics, attrs=attrs)
