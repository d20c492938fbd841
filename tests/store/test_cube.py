"""The Level 1 cube survives the disk and refuses shapes that do not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import zarr

from spheredc_hpc.errors import DataError
from spheredc_hpc.store.cube import (
    AO_QUANTITIES,
    MAX_SHARD_BYTES,
    Level1Cube,
    image_encoding,
    read_cube,
    write_cube,
)


def make_cube(n_wave=2, n_time=5, size=150, seed=1):
    rng = np.random.default_rng(seed)
    per_frame = {
        name: rng.normal(size=n_time)
        for name in (
            "mjd",
            "dit_s",
            "parang_deg",
            "derotation_deg",
            "derotation_start_deg",
            "derotation_end_deg",
            "airmass",
        )
    }
    return Level1Cube(
        science=rng.normal(size=(n_wave, n_time, size, size)).astype(np.float32),
        weight=rng.uniform(size=(n_wave, n_time, size, size)).astype(np.float32),
        psf=rng.normal(size=(n_wave, 2, 33, 33)).astype(np.float32),
        centre_px=rng.normal(size=(n_wave, n_time, 2)),
        centre_err_px=rng.normal(size=(n_wave, n_time, 2)),
        ao=rng.normal(size=(n_time, len(AO_QUANTITIES))),
        quality=rng.normal(size=(n_time, 1)),
        metrics=("flux",),
        wavelength_um=np.array([1.593, 1.667])[:n_wave],
        bandwidth_um=np.array([0.052, 0.054])[:n_wave],
        pixel_scale_mas=np.array([12.255, 12.250])[:n_wave],
        attrs={"target": "TW Hya", "flags": ["NO_SPARTA"]},
        **per_frame,
    )


def test_a_cube_survives_the_disk_bit_for_bit(tmp_path):
    cube = make_cube()
    write_cube(cube, tmp_path / "cube.zarr")
    again = read_cube(tmp_path / "cube.zarr")
    for field in dataclasses.fields(Level1Cube):
        expected, found = getattr(cube, field.name), getattr(again, field.name)
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected, err_msg=field.name)
        else:
            assert found == expected


def test_the_store_is_sharded_as_designed(tmp_path):
    write_cube(make_cube(), tmp_path / "cube.zarr")
    science = zarr.open_group(tmp_path / "cube.zarr", mode="r")["science"]
    assert science.chunks == (1, 5, 128, 128)
    assert science.shards == (1, 5, 256, 256)
    assert science.metadata.dimension_names == ("wavelength", "time", "y", "x")


@pytest.mark.parametrize("shape", [(2, 48, 800, 800), (39, 64, 290, 290), (1, 500, 1024, 1024)])
def test_shards_are_whole_multiples_of_chunks_and_bounded(shape):
    encoding = image_encoding(shape)
    chunks, shards = encoding["chunks"], encoding["shards"]
    assert all(s % c == 0 for s, c in zip(shards, chunks, strict=True))
    assert np.prod(shards) * 4 <= MAX_SHARD_BYTES
    assert shards[2] >= shape[2]


def test_shapes_that_do_not_fit_are_named():
    cube = make_cube()
    with pytest.raises(DataError, match=r"mjd has shape \(4,\), expected \(5,\)"):
        dataclasses.replace(cube, mjd=cube.mjd[:4])


def test_a_damaged_shard_is_named(tmp_path):
    write_cube(make_cube(), tmp_path / "cube.zarr")
    for shard in (tmp_path / "cube.zarr" / "science").rglob("c/*/*/*/*"):
        content = bytearray(shard.read_bytes())
        content[4:64] = bytes(60)
        shard.write_bytes(content)
    with pytest.raises(DataError, match=r"cube\.zarr is no Level 1 cube"):
        read_cube(tmp_path / "cube.zarr")


def test_a_folder_without_a_cube_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.zarr is no Level 1 cube"):
        read_cube(tmp_path / "nothing.zarr")
