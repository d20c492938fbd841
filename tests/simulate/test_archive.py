"""Archives of headers: the scan finds what went in, and rows need no files."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections import Counter
from dataclasses import replace

import archive_rows
import pytest
from astropy.io import fits

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.ingest.headers import HeaderError, read_file_header
from spheredc_hpc.ingest.scan import scan
from spheredc_hpc.simulate.archive import Archive, ArchiveSettings, load_archive_settings
from spheredc_hpc.simulate.archive.defects import CALIBRATION_DEFECTS, SEQUENCE_DEFECTS, spoil
from spheredc_hpc.simulate.archive.packing import compress_with_zeros, gzip_with_zeros
from spheredc_hpc.simulate.streams import stream

SMALL = {"length": 0.1, "gzip_share": 0.06, "compress_share": 0.02, "first_night": "2015-09-28"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two nights on disk, and what went in by path."""
    folder = tmp_path_factory.mktemp("archive")
    files = list(Archive(ArchiveSettings(nights=2, defects=0.8, seed=8, **SMALL)).files())
    truth = dict(zip(map(str, archive_rows.write(files, folder)), files, strict=True))
    return folder, truth, scan([folder])


def test_every_file_is_classified_as_it_was_made(written):
    _, truth, found = written
    assert len(found.frames) > 150
    for frame in found.frames:
        file = truth[frame.path]
        assert (frame.archive_id, frame.frame_class) == (file.archive_id, file.frame_class), file
        assert frame.arm == ("" if file.is_telemetry else file.setup.arm)
        if not file.is_telemetry and file.frame_class not in ("UNKNOWN", "IGNORED"):
            assert (frame.mode, file.setup.nd) == (file.setup.mode, frame.nd or "OPEN")


def test_rows_made_directly_equal_those_of_the_scan(written):
    folder, truth, found = written
    frames = [
        replace(f, notes=tuple(n for n in f.notes if "equal cop" not in n)) for f in found.frames
    ]
    direct = {p: archive_rows.frame_of(f, folder, written=True) for p, f in truth.items()}
    assert len({frame.arm for frame in frames}) == 4
    assert {frame.path: frame for frame in frames} == {f.path: direct[f.path] for f in frames}
    assert any(truth[f.path].packed == ".gz" for f in frames)
    assert any(truth[f.path].packed == ".Z" for f in frames)


def test_a_file_has_the_cards_and_the_size_of_a_real_one(written):
    _, truth, _ = written
    path = next(p for p, f in truth.items() if f.kind == "OBJECT" and not f.packed and not f.damage)
    with fits.open(path) as units:
        units.verify("exception")
        image = units[0] if len(units) == 1 else units[1]
        assert image.data.shape[0] == truth[path].n_planes
        assert 900 <= len(units[0].header) <= 1060


def test_a_night_is_the_same_alone_and_in_order():
    archive = Archive(ArchiveSettings(nights=4, **SMALL))
    assert list(archive.files()) == [file for n in range(4) for file in archive.night(n)]
    assert archive.night(3) == Archive(archive.settings).night(3)
    with pytest.raises(ConfigError, match="night 4"):
        archive.night(4)


def test_numbers_follow_the_sizes_of_the_archive():
    archive = Archive(ArchiveSettings(nights=1100, seed=3, defects=0.0, telemetry=False))
    files = [file for n in range(0, 1100, 100) for file in archive.night(n)]
    counts = Counter(
        "calibration" if not f.on_sky else f.setup.mode if f.setup.arm == "IRDIS" else f.setup.arm
        for f in files
    )
    nights = 11
    # Estimates of the archive, files a night, good to a factor of two.
    for name, mean in {"DBI": 70, "DPI": 60, "IFS": 49, "ZIMPOL": 44, "calibration": 100}.items():
        assert mean / 2 <= counts[name] / nights <= mean * 2, (name, counts)
    assert 250 <= len(files) / nights <= 400
    years = int(archive.dates[-1][:4]) - int(archive.dates[0][:4])
    assert 9 <= years <= 11
    assert list(archive.dates) == sorted(set(archive.dates))


@pytest.mark.parametrize("name", SEQUENCE_DEFECTS)
def test_every_defect_changes_its_files(name):
    whole = Archive(ArchiveSettings(nights=1, defects=0.0, **SMALL)).night(0)
    sky = [file for file in whole if file.on_sky or file.is_telemetry]
    assert SEQUENCE_DEFECTS[name](sky) != sky


def test_a_share_of_the_sequences_is_spoilt():
    rng = stream(1, "test")
    drawn = Counter(spoil(rng, 0.5, [])[1] for _ in range(2000))
    assert drawn[""] == pytest.approx(1000, abs=100)
    assert set(drawn) == {"", *SEQUENCE_DEFECTS, *CALIBRATION_DEFECTS}


@pytest.mark.parametrize("n_zeros", [0, 1, 2880, 2_000_003, 20_000_000])
def test_packed_zeros_unpack(n_zeros):
    head = b"".join(b"KEY%05d= %20d".ljust(40) % (i, i * 7919) for i in range(500))
    assert gzip.decompress(gzip_with_zeros(head, n_zeros)) == head + bytes(n_zeros)
    packed = compress_with_zeros(head, n_zeros)
    program = shutil.which("gzip")
    done = subprocess.run(  # noqa: S603 - fixed program, no shell
        [program, "-dc"], input=packed, capture_output=True, check=True
    )
    assert done.stdout == head + bytes(n_zeros)
    assert len(packed) < 60_000


def test_damaged_files_are_damaged(tmp_path):
    file = Archive(ArchiveSettings(nights=1, defects=0.0, **SMALL)).night(0)[5]
    for damage, words in (("short", "bytes of the"), ("no-end", "no END card")):
        path = archive_rows.write([replace(file, damage=damage, packed="")], tmp_path)[0]
        with pytest.raises(HeaderError, match=words):
            read_file_header(path)


def test_settings_come_from_a_file(tmp_path):
    path = tmp_path / "archive.yaml"
    path.write_text("nights: 3\nsequences: {dpi: 0}\n")
    settings = load_archive_settings(path, seed=5, nights=None)
    assert (settings.nights, settings.sequences.dpi, settings.seed) == (3, 0, 5)
    path.write_text("first_night: 2016-02-03")
    assert load_archive_settings(path).first_night == "2016-02-03"
    path.write_text("night: 3\n")
    with pytest.raises(ConfigError, match="night"):
        load_archive_settings(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("first_night: '2014-13-45'", "first_night"),
        ("first_night: '1800-01-01'", "1900 to 2100"),
        ("{nights: 3000, nights_per_year: 0.2}", "3000 nights from 2014-12-05"),
    ],
)
def test_nights_out_of_the_calendar_are_refused(tmp_path, text, words):
    path = tmp_path / "archive.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_archive_settings(path)
