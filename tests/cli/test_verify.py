"""`spheredc verify` finds whatever happened to any file of any product."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import toy_plan
from foreign_files import write_sequence

from spheredc_hpc import cli
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.steps.import_cube import ForeignFiles, import_cube, import_settings
from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    settings = import_settings({"pixel_scale_mas": 12.25, "wavelength_um": (1.6,), "name": "one"})
    files = ForeignFiles(**write_sequence(folder / "in"))
    import_cube(folder / "root", files, settings, Config())
    source = folder / "root" / "observations" / "one" / "level1" / "receipt.json"
    target = level2_receipt(source, "cadi-adi", Config())
    reduce_level2(source, target, "cadi-adi", Config(), Means())
    return folder / "root"


@pytest.fixture
def root(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "root")


def verified(root, capsys):
    code = cli.run(["verify", str(root), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_sound_root_is_found_sound(root, capsys):
    code, answer = verified(root, capsys)
    assert (code, answer["checked"], answer["damaged"]) == (0, 2, {})


def test_one_flipped_byte_is_found_in_every_file(root, capsys):
    rng = np.random.default_rng(11)
    files = [path for path in sorted((root / "observations").rglob("*")) if path.is_file()]
    assert len(files) > 60
    missed = []
    for path in files:
        before = path.read_bytes()
        after = bytearray(before)
        after[int(rng.integers(len(before)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(after)
        code, _ = verified(root, capsys)
        missed += [str(path)] if code != DataError.exit_code else []
        path.write_bytes(before)
    assert missed == []
    assert verified(root, capsys)[0] == 0


def test_a_missing_and_a_surplus_file_are_found(root, capsys):
    product = next((root / "observations").glob("*/level2/*"))
    (product / "preview.png").unlink()
    (product / "notes.txt").write_text("mine")
    code, answer = verified(root, capsys)
    (lines,) = answer["damaged"].values()
    assert code == DataError.exit_code
    assert [line.rpartition(": ")[2] for line in lines] == ["missing", "not in the receipt"]


def test_one_product_can_be_verified_alone(root, capsys):
    product = next((root / "observations").glob("*/level2/*"))
    (product / "preview.png").unlink()
    assert verified(product, capsys)[0] == DataError.exit_code
    assert verified(root / "observations" / "one" / "level1", capsys)[0] == 0


def test_a_folder_that_is_no_result_root_is_refused(tmp_path, capsys):
    code = cli.run(["verify", str(tmp_path)])
    err = capsys.readouterr().err
    assert code == ConfigError.exit_code
    assert f"{tmp_path} is no result root: expected a product with receipt.json" in err


def test_a_product_whose_receipt_was_removed_is_found(root, capsys):
    product = root / "observations" / "one" / "level1"
    (product / "receipt.json").unlink()
    code, answer = verified(root, capsys)
    assert (code, answer["checked"]) == (DataError.exit_code, 2)
    (line,) = answer["damaged"][str(product)]
    assert line.startswith(f"{product / 'receipt.json'}: missing")
    assert verified(product, capsys)[0] == DataError.exit_code


def test_a_root_whose_plan_has_given_no_product_is_a_root(tmp_path, capsys):
    toy_plan.write_plan(tmp_path)
    assert verified(tmp_path, capsys) == (0, {"schema_version": 1, "checked": 0, "damaged": {}})
