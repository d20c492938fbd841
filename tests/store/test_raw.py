"""Raw files are read whole, whatever packs them, and noticed when they change."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.errors import DataError
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.store.raw import (
    checksum_holds,
    data_sum,
    plain_copy,
    read_frame,
    read_header,
    read_planes,
    read_table,
)

PLANES = np.random.default_rng(1).normal(size=(3, 5, 7)).astype(np.float32)


def write(path, planes=PLANES):
    unit = fits.PrimaryHDU(planes)
    unit.header["HIERARCH ESO DET NDIT"] = 3
    unit.writeto(path)
    return path


def test_planes_keep_every_bit_and_nan(tmp_path):
    planes = PLANES.copy()
    planes[1, 2, 3] = np.nan
    header, found = read_planes(write(tmp_path / "a.fits", planes))
    assert found.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(found, planes)
    assert header["ESO DET NDIT"] == 3


def test_a_single_image_is_a_cube_of_one_plane(tmp_path):
    assert read_planes(write(tmp_path / "a.fits", PLANES[0]))[1].shape == (1, 5, 7)


@pytest.mark.parametrize("name", ["a.fits.gz", "a.FITS.GZ", "a.fits", "-a.gz"])
def test_the_first_bytes_tell_what_is_compressed(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(write(tmp_path / "plain.fits").read_bytes()))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(read_planes(path.relative_to(tmp_path))[1], PLANES)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("kept", [0, 1000, 2880, 3000])
def test_what_is_cut_short_is_refused(tmp_path, pack, kept):
    path = tmp_path / "a.fits"
    path.write_bytes(pack(write(tmp_path / "whole.fits").read_bytes()[:kept]))
    with pytest.raises(DataError, match=r"a\.fits"):
        read_planes(path)


def test_a_damaged_gzip_file_and_an_absent_one_are_named(tmp_path):
    packed = gzip.compress(write(tmp_path / "whole.fits").read_bytes())
    (tmp_path / "bad.fits.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_planes(tmp_path / "bad.fits.gz")
    with pytest.raises(DataError, match=r"absent\.fits"):
        read_planes(tmp_path / "absent.fits")


def test_a_file_without_image_is_refused(tmp_path):
    fits.PrimaryHDU().writeto(tmp_path / "a.fits")
    with pytest.raises(DataError, match="expected an image or cube"):
        read_planes(tmp_path / "a.fits")


@pytest.mark.parametrize("card", ["HIERARCH ESO BAD = 1.2.3", "BAD     = 1.2.3", "BAD      'x'"])
def test_a_card_that_cannot_be_read_does_not_cost_the_file(tmp_path, card):
    path = write(tmp_path / "a.fits")
    whole = path.read_bytes()
    at = whole.index(b"END".ljust(80))
    end = whole[at : at + 80]
    path.write_bytes(whole[:at] + card.ljust(80).encode() + end + whole[at + 160 :])
    header, found = read_planes(path)
    np.testing.assert_array_equal(found, PLANES)
    assert header["ESO DET NDIT"] == read_header(path)["ESO DET NDIT"] == 3


def test_table_columns_come_as_native_numbers(tmp_path):
    columns = [
        fits.Column("Sec", "J", array=[1, 2]),
        fits.Column("R0", "E", array=[0.1, 0.2]),
        fits.Column("Pixels", "4E", array=np.zeros((2, 4))),
        fits.Column("Name", "3A", array=["a", "b"]),
    ]
    path = tmp_path / "sparta.fits"
    table = fits.BinTableHDU.from_columns(columns, name="AtmPerfParams")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    found = read_table(path, "AtmPerfParams")
    assert set(found) == {"Sec", "R0"}
    assert all(values.dtype == np.dtype("=f8") for values in found.values())
    np.testing.assert_allclose(found["R0"], [0.1, 0.2], rtol=1e-7)
    assert read_table(path, "VisLoopParams") is None


def test_pixels_that_changed_since_they_were_first_read_are_refused(tmp_path):
    path = write(tmp_path / "a.fits")
    ref = FrameRef("SPHER.x", str(path), path.stat().st_size, "header")
    first, again = (read_frame(ref, tmp_path)[2] for _ in range(2))
    assert first == again
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[0, 0, 0] += 1
    with pytest.raises(DataError, match="pixels changed"):
        read_frame(ref, tmp_path)


@pytest.mark.parametrize("shape", [(3, 40, 50), (7, 9)])
def test_the_checksum_is_that_of_the_standard(tmp_path, shape):
    planes = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    planes.flat[5] = np.nan
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(planes).writeto(path, checksum=True)
    header, read = read_planes(path)
    assert int(header["DATASUM"]) == data_sum(read)
    assert checksum_holds(header, read)
    read[0, 0, 0] += 1
    assert not checksum_holds(header, read)


def test_a_file_without_checksum_is_believed(tmp_path):
    header, planes = read_planes(write(tmp_path / "a.fits"))
    assert checksum_holds(header, planes)


def test_a_packed_file_is_unpacked_once(tmp_path):
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "a.fits").read_bytes()))
    ref = FrameRef("SPHER.x", str(packed), packed.stat().st_size, "0123456789")
    _, planes, _ = read_frame(ref, tmp_path / "root")
    copy = plain_copy(ref, tmp_path / "root")
    assert copy.read_bytes() == (tmp_path / "a.fits").read_bytes()
    stamp = copy.stat().st_mtime_ns
    _, again, _ = read_frame(ref, tmp_path / "root")
    np.testing.assert_array_equal(again, planes)
    assert copy.stat().st_mtime_ns == stamp
