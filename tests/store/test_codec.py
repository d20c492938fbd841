import pytest

from spheredc_hpc.store import codec
from spheredc_hpc.store.codec import write_many


def test_many_files_are_written_whole_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(codec, "FILES_OF_A_BATCH", 8)
    files = [(f"{i}\n".encode(), tmp_path / f"{i % 3}" / f"{i}") for i in range(20)]
    assert write_many(files) == len(files)
    assert all(path.read_bytes() == data for data, path in files)
    before = {path: path.stat().st_mtime_ns for _, path in files}
    files[9] = b"new", files[9][1]
    assert write_many(files) == 1
    assert {p for p, t in before.items() if p.stat().st_mtime_ns != t} == {files[9][1]}


@pytest.mark.parametrize("broken", ["flush", "folder"])
def test_files_that_cannot_be_written_leave_no_parts(tmp_path, monkeypatch, broken):
    paths = [tmp_path / name for name in "abc"]
    paths[0].write_bytes(b"old")
    if broken == "folder":
        paths[1].mkdir()
    else:

        def full(_):
            raise OSError("no space left")

        monkeypatch.setattr(codec.os, "fsync", full)
    with pytest.raises(OSError, match=r"no space|directory"):
        write_many((b"new", path) for path in paths)
    assert list(tmp_path.glob(".*")) == []
    assert paths[0].read_bytes() == (b"old" if broken == "flush" else b"new")
