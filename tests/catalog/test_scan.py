import gzip
import os
import shutil

import pytest

from spheredc_hpc.catalog import scan as scanning
from spheredc_hpc.catalog.models import RawFrame, RawHeader, RawProblem
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.ingest.headers import read_file_header

MIDNIGHT = 57647.0


@pytest.fixture
def reads(monkeypatch):
    """Paths that a scan reads."""
    seen = []
    real = scanning.read_files

    def spy(files, **options):
        seen.extend(path.name for path in files)
        return real(files, **options)

    monkeypatch.setattr(scanning, "read_files", spy)
    return seen


def test_every_frame_is_catalogued_with_its_whole_header(raw, root, config):
    summary = scan([raw], root, config)
    assert summary.classes == {
        "IRDIS BACKGROUND": 2,
        "IRDIS CENTER": 1,
        "IRDIS FLAT": 5,
        "IRDIS FLUX": 1,
        "IRDIS SCIENCE": 4,
    }
    assert (summary.n_files, summary.n_read, summary.errors) == (13, 13, ())
    row = RawFrame.objects.get(archive_id="SPHER.2016-09-16T00:00:00.000")
    assert (row.arm, row.mode, row.night) == ("IRDIS", "DBI", "2016-09-15")
    assert (
        RawHeader.objects.get(raw_frame=row).cards
        == read_file_header(raw / "SPHER.2016-09-16T00:00:00.000.fits").values
    )


def test_records_come_back_as_they_went_in(raw, root, config):
    from spheredc_hpc.ingest.scan import scan as read

    scan([raw], root, config)
    assert set(RawFrame.records()) == set(read([raw]).frames)


def test_an_unchanged_file_is_not_read_again(raw, root, config, reads):
    scan([raw], root, config)
    reads.clear()
    summary = scan([raw], root, config)
    assert (summary.n_read, summary.n_unchanged, reads) == (0, 13, [])


@pytest.mark.parametrize("what", ["time", "size", "table"])
def test_a_file_is_read_again_when_it_or_the_tables_change(
    raw, root, config, reads, what, monkeypatch
):
    scan([raw], root, config)
    reads.clear()
    path = raw / "SPHER.2016-09-16T00:00:00.000.fits"
    status = path.stat()
    if what == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif what == "size":
        os.truncate(path, status.st_size + 2880)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        monkeypatch.setattr(scanning, "RULES", scanning.RULES[:-1])
    scan([raw], root, config)
    assert len(reads) == (13 if what == "table" else 1)


def test_vanished_files_are_marked_and_come_back(raw, root, config, tmp_path):
    scan([raw], root, config)
    path = raw / "SPHER.2016-09-16T00:00:00.000.fits"
    shutil.move(path, tmp_path / path.name)
    assert scan([raw], root, config).n_vanished == 1
    assert not RawFrame.objects.get(path=str(path)).present
    shutil.move(tmp_path / path.name, path)
    assert scan([raw], root, config).n_vanished == 0
    assert RawFrame.objects.get(path=str(path)).present


def test_folders_that_are_not_scanned_are_left_alone(raw, root, config, raw_file, tmp_path):
    raw_file(tmp_path / "raw2", "DARK", MIDNIGHT)
    scan([raw], root, config)
    scan([tmp_path / "raw2"], root, config)
    assert RawFrame.objects.filter(present=True).count() == 14


def test_files_that_cannot_be_read_are_listed_and_stop_nothing(raw, root, config, raw_file):
    (raw / "letter.fits").write_text("Dear reader")
    (raw / "empty.fits").touch()
    (raw / "packed.fits.gz").write_bytes(gzip.compress(b"SIMPLE  =")[:12])
    cut = raw_file(raw, "SCIENCE", MIDNIGHT + 0.02)
    os.truncate(cut, 50_000)
    summary = scan([raw], root, config)
    assert {note.path.rsplit("/")[-1]: note.problem for note in summary.errors} == {
        "letter.fits": "not-fits",
        "empty.fits": "empty",
        "packed.fits.gz": "corrupt",
        cut.name: "truncated",
    }
    assert summary.n_frames == 13


def test_a_bad_file_is_not_read_again_until_it_is_mended(raw, root, config, raw_file, reads):
    cut = raw_file(raw, "SCIENCE", MIDNIGHT + 0.02)
    size = cut.stat().st_size
    os.truncate(cut, 50_000)
    scan([raw], root, config)
    reads.clear()
    assert len(scan([raw], root, config).errors) == 1
    assert not reads
    os.truncate(cut, size)
    summary = scan([raw], root, config)
    assert (summary.errors, reads) == ((), [cut.name])
    os.truncate(cut, 40_000)
    assert len(scan([raw], root, config).errors) == 1
    assert not RawFrame.objects.filter(path=str(cut)).exists()
    cut.unlink()
    assert not scan([raw], root, config).errors
    assert not RawProblem.objects.exists()


def test_unknown_frames_are_kept_with_their_reason(raw, root, config, raw_file):
    raw_file(raw, "DARK", MIDNIGHT + 0.3, DPR_TYPE="NONSENSE")
    (note,) = scan([raw], root, config).unknown
    assert note.archive_id == "SPHER.2016-09-16T07:12:00.000"
    assert note.reason == "DPR TYPE = NONSENSE is not in the table of classes"


def test_odd_header_values_stop_nothing(root, config, raw_file, tmp_path):
    path = raw_file(tmp_path / "raw", "DARK", MIDNIGHT, DET_NDIT=10**25, INS4_TEMP=1e300, OBS_ID=-1)
    path.write_bytes(path.read_bytes().replace(b"1E+300", b"1E+999"))
    assert scan([path], root, config).n_frames == 1


def test_letters_of_another_case_are_another_folder(root, config, raw_file, tmp_path):
    raw_file(tmp_path / "raw", "DARK", MIDNIGHT)
    raw_file(tmp_path / "RAW", "DARK", MIDNIGHT + 0.1)
    scan([tmp_path / "raw", tmp_path / "RAW"], root, config)
    assert scan([tmp_path / "raw"], root, config).n_vanished == 0
    assert scan([tmp_path / "raw"], root, config).n_frames == 1


def test_products_of_the_root_are_no_raw_files(raw, config, raw_file):
    scan([raw], raw / "out", config)
    raw_file(raw / "out" / "calibrations" / "flat" / "1", "DARK", MIDNIGHT + 0.4)
    assert scan([raw], raw / "out", config).n_files == 13


def test_many_files_may_be_named_one_by_one(raw, root, config, raw_file):
    files = [raw_file(raw, "DARK", MIDNIGHT + i / 1e4) for i in range(1, 601)]
    assert scan(files, root, config).n_frames == 600
    assert scan(files, root, config).n_unchanged == 600


def test_names_that_are_no_text_and_dead_links_are_said(raw, root, config):
    odd = raw / os.fsdecode(b"\xff.fits")
    (raw / "SPHER.2016-09-16T00:00:00.000.fits").rename(odd)
    (raw / "link.fits").symlink_to(raw / "nowhere")
    summary = scan([raw], root, config)
    assert summary.n_frames == 12
    assert [(note.path.rsplit("/")[-1], note.problem) for note in summary.errors] == [
        ("\\udcff.fits", "unreadable"),
        ("link.fits", "missing"),
    ]


def test_a_folder_without_fits_files_is_said(tmp_path, root, config):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no FITS files found under .*/raw") as error:
        scan([tmp_path / "raw"], root, config)
    assert error.value.exit_code == 3
    assert not root.exists()


def test_a_raw_path_that_is_not_there_is_said(tmp_path, root, config):
    with pytest.raises(ConfigError, match=r"raw path .*/nowhere does not exist") as error:
        scan([tmp_path / "nowhere"], root, config)
    assert error.value.exit_code == 2
    with pytest.raises(ConfigError, match="no raw files or folders given"):
        scan([], root, config)


def test_a_root_that_cannot_be_written_is_said(raw, tmp_path, config):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match=r"result root .* cannot be written") as error:
        scan([raw], tmp_path / "file" / "root", config)
    assert error.value.exit_code == 4


def test_a_damaged_catalogue_is_said(raw, root, config):
    root.mkdir()
    (root / "catalogue.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(ResourceError, match=r"catalogue\.sqlite: file is not a database"):
        scan([raw], root, config)


def test_progress_is_told(raw, root, config):
    told = []
    scan([raw], root, config, progress=lambda done, total: told.append((done, total)))
    assert told == [(13, 13)]
