from __future__ import annotations

import gzip
import os
import shutil

import pytest

from spheredc_hpc.ingest import scan as scan_module
from spheredc_hpc.ingest.files import list_files
from spheredc_hpc.ingest.scan import scan


def second(number):
    """Cards that make another file of the same night."""
    stamp = f"2016-09-16T01:00:{number:02d}.000"
    return {"DATE-OBS": stamp, "ESO DET FRAM UTC": None, "ARCFILE": f"SPHER.{stamp}.fits"}


def test_frames_come_in_order_of_time_whatever_their_names(make_file, tmp_path):
    for name, number in (("c.fits", 1), ("a.fits", 3), ("sub/deep/b.fits", 2)):
        make_file(name, second(number))
    frames = scan([tmp_path]).frames
    assert [frame.archive_id[-6:] for frame in frames] == ["01.000", "02.000", "03.000"]
    assert all(os.path.isabs(frame.path) for frame in frames)  # noqa: PTH117 - text of a path


def test_a_bad_file_is_listed_and_stops_nothing(make_file, tmp_path):
    make_file("good.fits")
    os.truncate(make_file("truncated.fits", second(1)), 100_000)
    (tmp_path / "empty.fits").touch()
    (tmp_path / "text.fits").write_text("no FITS")
    (tmp_path / "bad.fits.gz").write_bytes(b"\x1f\x8b\x08nothing")
    (tmp_path / "dangling.fits").symlink_to(tmp_path / "absent")
    result = scan([tmp_path])
    assert [frame.archive_id for frame in result.frames] == ["SPHER.2016-09-16T00:10:07.123"]
    assert [(os.path.basename(e.path), e.problem) for e in result.errors] == [  # noqa: PTH119
        ("bad.fits.gz", "corrupt"),
        ("dangling.fits", "missing"),
        ("empty.fits", "empty"),
        ("text.fits", "not-fits"),
        ("truncated.fits", "truncated"),
    ]
    assert all(error.path in error.reason for error in result.errors)


def test_missing_and_empty_folders_are_no_exceptions(tmp_path):
    (tmp_path / "empty").mkdir()
    result = scan([tmp_path / "empty", tmp_path / "absent"])
    assert result.frames == ()
    assert [error.problem for error in result.errors] == ["missing"]


def test_files_of_other_names_are_noted_once(make_file, tmp_path):
    make_file()
    for name in ("truth.json", "README"):
        (tmp_path / name).touch()
    (tmp_path / ".hidden.fits").touch()
    result = scan([tmp_path])
    assert result.errors == ()
    assert result.notes == ("2 files are not named like FITS files: README, truth.json",)


def test_a_file_given_by_name_is_read_whatever_its_name(make_file):
    path = make_file()
    other = path.rename(path.with_name("frame"))
    assert len(scan([other]).frames) == 1


@pytest.mark.parametrize("suffix", [".fits", ".FITS", ".fit", ".fits.gz", ".fits.Z"])
def test_suffixes_that_count(tmp_path, suffix):
    (tmp_path / f"a{suffix}").touch()
    assert len(list_files([tmp_path]).files) == 1


def test_loops_and_repeated_paths_give_each_file_once(make_file, tmp_path):
    make_file("night/a.fits")
    (tmp_path / "night" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "night")
    (tmp_path / "night" / "link.fits").symlink_to(tmp_path / "night" / "a.fits")
    result = scan([tmp_path, tmp_path / "night", tmp_path / "night" / "a.fits"])
    assert len(result.frames) == 1
    assert result.notes == ()


def test_equal_copies_count_once_and_are_noted(make_file, tmp_path):
    path = make_file()
    shutil.copy(path, tmp_path / "copy.fits")
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress(path.read_bytes()[:200_000]))
    result = scan([tmp_path])
    assert [frame.path for frame in result.frames] == [str(path)]
    assert "2 equal copies" in result.frames[0].notes
    assert "copy.fits" in result.notes[0]
    assert "packed.fits.gz" in result.notes[0]


@pytest.mark.parametrize("change", [{"DATASUM": "999"}, {"ESO DET NDIT": 5}])
def test_different_files_of_one_archive_id_are_all_errors(make_file, tmp_path, change):
    make_file("a.fits")
    make_file("b.fits", change)
    make_file("c.fits", second(1))
    result = scan([tmp_path])
    assert len(result.frames) == 1
    assert [error.problem for error in result.errors] == ["conflict", "conflict"]
    assert {error.archive_id for error in result.errors} == {"SPHER.2016-09-16T00:10:07.123"}
    assert all("a.fits" in e.reason and "b.fits" in e.reason for e in result.errors)


def test_without_checksums_the_bytes_decide_whether_copies_are_equal(make_file, tmp_path):
    first = make_file("a.fits", {"DATASUM": None})
    other = shutil.copy(first, tmp_path / "b.fits")
    assert len(scan([tmp_path]).frames) == 1
    with other.open("r+b") as file:
        file.seek(-5000, os.SEEK_END)
        file.write(b"x")
    assert [error.problem for error in scan([tmp_path]).errors] == ["conflict", "conflict"]


def test_the_sink_gets_each_frame_with_its_whole_header_in_order(make_file, tmp_path):
    for number in range(3):
        make_file(f"{number}.fits", second(number))
    shutil.copy(tmp_path / "0.fits", tmp_path / "copy.fits")
    got, counts = [], []
    scan(
        [tmp_path],
        sink=lambda frame, header: got.append((frame.archive_id, header["ARCFILE"])),
        progress=lambda done, total: counts.append((done, total)),
    )
    assert len(got) == 3
    assert all(f"{archive_id}.fits" == arcfile for archive_id, arcfile in got)
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_result_does_not_depend_on_the_number_of_workers(make_file, tmp_path, monkeypatch):
    monkeypatch.setattr(scan_module, "FEW_FILES", 0)
    monkeypatch.setattr(scan_module, "BATCH", 2)
    for number in range(9):
        make_file(f"{number}.fits", second(number), axes=(2048, 1024))
    (tmp_path / "bad.fits").write_text("no FITS")
    headers = {}
    for workers in (1, 2):
        seen = headers[workers] = []
        result = scan([tmp_path], workers=workers, sink=lambda f, h, seen=seen: seen.append((f, h)))
        headers[workers].append(result)
    assert headers[1] == headers[2]
    assert scan([tmp_path], workers=2) == result
