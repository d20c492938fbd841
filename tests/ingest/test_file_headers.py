from __future__ import annotations

import gzip
import os
import shutil
import subprocess

import pytest

from spheredc_hpc.ingest import headers
from spheredc_hpc.ingest.headers import BLOCK, HeaderError, read_file_header
from spheredc_hpc.store.raw import plain_header

AXES = (2048, 1024, 4)


def problem_of(path):
    with pytest.raises(HeaderError) as caught:
        read_file_header(path)
    assert str(path) in str(caught.value)
    return caught.value.problem


@pytest.fixture
def camera_file(tmp_path, raw):
    """ZIMPOL-like file: no data in the primary unit, two image extensions."""
    axes = (1156, 1024, 2)
    parts = [raw.header(raw.cards, ())]
    for name in ("CAM1", "CAM2"):
        parts += [raw.header({"EXTNAME": name}, axes, primary=False), bytes(raw.data_bytes(axes))]
    path = tmp_path / "z.fits"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("name", ["plain", "gzip", "compress"])
def test_each_kind_of_file_gives_the_same_header(make_file, raw, name):
    path = make_file()
    expected = read_file_header(path)
    data = path.read_bytes()[: 60 * BLOCK]
    if name != "plain":
        packed = gzip.compress(data) if name == "gzip" else raw.compress(data)
        path = path.with_suffix(".fits.gz" if name == "gzip" else ".fits.Z")
        path.write_bytes(packed)
    found = read_file_header(path)
    assert found.values == expected.values
    assert found.axes == AXES
    assert found.compressed is (name != "plain")
    assert found.size_bytes == path.stat().st_size


def test_the_contents_decide_how_a_file_is_packed_not_its_name(make_file):
    path = make_file()
    packed = path.with_name("b.fits")
    packed.write_bytes(gzip.compress(path.read_bytes()[: 60 * BLOCK]))
    assert read_file_header(packed).compressed


def test_real_headers_are_those_of_astropy(real_file, real_name):
    from astropy.io import fits

    path = real_file(real_name)
    assert read_file_header(path).values == plain_header(fits.getheader(path))


def test_pixels_of_a_packed_file_are_not_unpacked(tmp_path, raw, monkeypatch):
    # Behind the header lies what can be no gzip stream: reading on would fail.
    stream = gzip.compress(raw.header(raw.cards, AXES) + os.urandom(80 * BLOCK))
    path = tmp_path / "a.fits.gz"
    path.write_bytes(stream[: len(stream) // 2])
    assert read_file_header(path).axes == AXES


def test_headers_longer_than_the_first_read_are_read_to_their_end(make_file):
    many = {f"ESO TEST KEY{number}": number for number in range(3000)}
    values = read_file_header(make_file("a.fits", many)).values
    assert values["ESO TEST KEY2999"] == 2999


def test_extensions_are_listed(camera_file):
    found = read_file_header(camera_file)
    assert found.axes == ()
    assert [(ext.kind, ext.name, ext.axes) for ext in found.extensions] == [
        ("IMAGE", "CAM1", (1156, 1024, 2)),
        ("IMAGE", "CAM2", (1156, 1024, 2)),
    ]


def test_of_a_packed_file_the_first_extension_is_listed(camera_file):
    packed = camera_file.with_suffix(".gz")
    packed.write_bytes(gzip.compress(camera_file.read_bytes(), 1))
    assert [ext.name for ext in read_file_header(packed).extensions] == ["CAM1"]


@pytest.mark.parametrize("missing", [1, BLOCK, 30 * BLOCK, 4 * 2048 * 1024])
def test_a_file_shorter_than_announced_is_truncated(make_file, missing):
    path = make_file()
    os.truncate(path, path.stat().st_size - missing)
    assert problem_of(path) == "truncated"


def test_a_file_that_ends_in_its_header_is_truncated(make_file):
    path = make_file()
    os.truncate(path, 400)
    assert problem_of(path) == "truncated"


def test_a_file_that_ends_in_its_last_extension_is_truncated(camera_file):
    os.truncate(camera_file, camera_file.stat().st_size - BLOCK)
    assert problem_of(camera_file) == "truncated"


def test_bytes_behind_the_last_unit_are_noted(make_file):
    path = make_file()
    os.truncate(path, path.stat().st_size + 100)
    assert read_file_header(path).notes == ("100 bytes follow the last unit",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"a text", "not-fits"),
        (b"SIMPLE", "not-fits"),
        (os.urandom(9000).replace(b"\x1f", b"x"), "not-fits"),
        (b"\x1f\x8b\x08 no gzip", "corrupt"),
        (b"\x1f\x9d no compress", "corrupt"),
        (gzip.compress(b"a text", mtime=0), "not-fits"),
        (gzip.compress(b"", mtime=0), "corrupt"),
    ],
)
def test_what_is_no_fits_file_says_so(tmp_path, content, problem):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    assert problem_of(path) == problem


@pytest.mark.parametrize(
    ("card", "bad"),
    [
        (b"BITPIX  =                  -32", b"BITPIX  =                  -31"),
        (b"NAXIS1  =                 2048", b"NAXIS1  =                  -48"),
        (b"NAXIS2  =                 1024", b"NAXIS2  =                  1.5"),
        (b"NAXIS   =                    3", b"NAXIS   =                    T"),
        (b"NAXIS   =                    3", b"NAXOS   =                    3"),
    ],
)
def test_impossible_axes_are_corrupt(make_file, card, bad):
    path = make_file()
    data = path.read_bytes()
    assert data.count(card) == 1
    path.write_bytes(data.replace(card, bad))
    assert problem_of(path) == "corrupt"


def test_a_missing_file_and_a_pipe_are_unreadable(tmp_path):
    assert problem_of(tmp_path / "absent.fits") == "unreadable"
    os.mkfifo(tmp_path / "pipe.fits")
    assert problem_of(tmp_path / "pipe.fits") == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_unreadable(make_file):
    path = make_file()
    path.chmod(0)
    assert problem_of(path) == "unreadable"


def test_without_gzip_a_compressed_file_names_the_program(tmp_path, raw, monkeypatch):
    path = tmp_path / "a.fits.Z"
    path.write_bytes(raw.compress(raw.header(raw.cards, AXES)))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(HeaderError, match="the program gzip is needed"):
        read_file_header(path)


def test_no_unpacking_process_is_left_behind(tmp_path, raw, monkeypatch):
    started = []

    def remember(*args, **kwargs):
        started.append(subprocess_popen(*args, **kwargs))
        return started[-1]

    subprocess_popen = subprocess.Popen
    monkeypatch.setattr(headers.subprocess, "Popen", remember)
    path = tmp_path / "a.fits.Z"
    path.write_bytes(raw.compress(raw.header(raw.cards, AXES) + bytes(200 * BLOCK)))
    read_file_header(path)
    assert [process.poll() is not None for process in started] == [True]
