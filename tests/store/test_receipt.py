"""Products appear whole, are verified byte by byte, and survive what kills their writer."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.model.product import InputRef, Status
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.sweep import sweep


def draft(**changes):
    values = {
        "kind": "level2",
        "id": "observations/o/level2/r",
        "inputs": (InputRef("level1", "observations/o/level1", "abc"),),
        "settings": {"n_modes": 5},
        "settings_digest": "d1",
    }
    return receipts.Draft(**{**values, **changes})


@pytest.fixture
def product(tmp_path):
    target = tmp_path / "observations" / "o" / "level2" / "r"
    with receipts.writing(target, draft()) as writer:
        (writer.path / "sub").mkdir()
        (writer.path / "sub" / "a.bin").write_bytes(bytes(range(256)))
        (writer.path / "b.txt").write_text("text")
        writer.quality["rotation_deg"] = 61.5
    return target


def test_a_sound_product_verifies_and_names_its_inputs(product):
    receipt = receipts.read(product)
    assert receipts.verify(product) == []
    assert receipt.status is Status.OK
    assert receipt.inputs[0].id == "observations/o/level1"
    assert [output.path for output in receipt.outputs] == ["b.txt", "sub/a.bin"]


def test_one_flipped_byte_in_any_file_is_found(product):
    for path in sorted(p for p in product.rglob("*") if p.is_file()):
        original = path.read_bytes()
        for position in (0, len(original) // 2, len(original) - 1):
            damaged = bytearray(original)
            damaged[position] ^= 1
            path.write_bytes(damaged)
            assert receipts.verify(product), f"{path.name} byte {position}"
        path.write_bytes(original)
    assert receipts.verify(product) == []


def test_missing_and_surplus_files_are_found(product):
    (product / "extra").write_text("x")
    assert any("not in the receipt" in line for line in receipts.verify(product))
    (product / "extra").unlink()
    (product / "b.txt").unlink()
    assert any("missing" in line for line in receipts.verify(product))


def test_an_error_inside_leaves_nothing_and_keeps_the_old_version(product):
    before = receipts.digest(product)

    def fail_half_way():
        with receipts.writing(product, draft()) as writer:
            (writer.path / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert receipts.digest(product) == before
    assert receipts.verify(product) == []
    assert [p.name for p in product.parent.iterdir()] == ["r"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ResourceError),
        (FileNotFoundError(errno.ENOENT, "No such file", "upstream"), FileNotFoundError),
    ],
)
def test_only_a_lack_of_room_is_a_lack_of_resources(product, error, kind):
    with pytest.raises(kind), receipts.writing(product, draft()):
        raise error


def test_equal_inputs_give_equal_receipts(product, tmp_path):
    again = tmp_path / "other" / "observations" / "o" / "level2" / "r"
    with receipts.writing(again, draft()) as writer:
        (writer.path / "sub").mkdir()
        (writer.path / "sub" / "a.bin").write_bytes(bytes(range(256)))
        (writer.path / "b.txt").write_text("text")
        writer.quality["rotation_deg"] = 61.5
    assert (again / "receipt.json").read_bytes() == (product / "receipt.json").read_bytes()


def test_currency_follows_inputs_settings_and_content(product):
    assert receipts.is_current(product, draft())
    assert not receipts.is_current(product, draft(settings_digest="d2"))
    other = (InputRef("level1", "observations/o/level1", "changed"),)
    assert not receipts.is_current(product, draft(inputs=other))
    (product / "b.txt").write_text("tex!")
    assert not receipts.is_current(product, draft())


def test_an_unwritable_place_is_a_resource_error(tmp_path):
    if os.geteuid() == 0:
        place = tmp_path / "file"
        place.write_text("a file where a folder should be")
    else:
        place = tmp_path / "locked"
        place.mkdir()
        place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with (
        pytest.raises(ResourceError, match="cannot write"),
        receipts.writing(place / "x", draft()),
    ):
        pass


def test_a_file_system_without_locks_takes_products(tmp_path, monkeypatch):
    def refuse(*_args):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    target = tmp_path / "observations" / "o" / "level2" / "r"
    with receipts.writing(target, draft()) as writer:
        (writer.path / "a").write_text("a")
    assert receipts.verify(target) == []


def test_an_unknown_flag_is_refused(product):
    with pytest.raises(KeyError), receipts.writing(product, draft()) as writer:
        writer.flag("NO_SUCH_FLAG", "because")


def test_a_receipt_with_a_changed_value_is_refused(product):
    path = product / "receipt.json"
    values = json.loads(path.read_text())
    values["status"] = "rejected"
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="digest"):
        receipts.read(product)


DEAD_PID = 2**22 + 1  # above the largest process id of Linux


def test_scratch_of_a_dead_writer_is_swept_and_of_a_live_one_kept(product):
    root = product.parents[3]
    dead = product.parent / f".r.{DEAD_PID}-0123abcd.part"
    live = product.parent / f".r.{os.getpid()}-0123abcd.part"
    dead.mkdir()
    live.mkdir()
    sweep(root)
    assert not dead.exists()
    assert live.exists()
    assert receipts.verify(product) == []


def test_a_version_set_aside_comes_back_if_its_successor_never_came(product):
    root = product.parents[3]
    product.rename(product.parent / f".r.{DEAD_PID}-0123abcd.old")
    sweep(root)
    assert receipts.verify(product) == []


def test_two_writers_of_one_product_leave_one_sound_version(tmp_path):
    target = tmp_path / "observations" / "o" / "level2" / "r"

    def write(number):
        for _ in range(10):
            with receipts.writing(target, draft()) as writer:
                (writer.path / "number.txt").write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert receipts.verify(target) == []
    assert [p.name for p in target.parent.iterdir()] == ["r"]


def test_a_configured_umask_reaches_every_file(tmp_path):
    target = tmp_path / "observations" / "o" / "level2" / "r"
    with receipts.writing(target, draft(), umask="027") as writer:
        (writer.path / "sub").mkdir()
        (writer.path / "sub" / "a").write_text("x")
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert stat.S_IMODE((target / "sub").stat().st_mode) == 0o750
    for path in (target / "sub" / "a", target / "receipt.json", target / "run.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_unknown_group_is_a_setting_that_is_wrong(tmp_path):
    target = tmp_path / "observations" / "o" / "level2" / "r"

    def write():
        with receipts.writing(target, draft(), group="no-such-group"):
            pass

    with pytest.raises(ConfigError, match="no-such-group"):
        write()
    assert not target.exists()
