"""Input that cannot be reduced, wholly or in part: its own message, status and exit code."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc import cli
from spheredc_hpc.store.inventory import products

CALIBRATION_TYPES = ("FLAT,LAMP", "DARK", "DARK,BACKGROUND")


def statuses(root):
    return {
        found.receipt.kind: (str(found.receipt.status), found.receipt.flags)
        for found in products(root)
    }


def test_an_empty_folder(tmp_path, reduce):
    (tmp_path / "raw").mkdir()
    code, _, err = reduce(tmp_path / "raw", tmp_path / "root")
    assert code == 3
    assert "no FITS files found under" in err


def test_a_folder_that_is_not_there(tmp_path, reduce):
    code, _, err = reduce(tmp_path / "absent", tmp_path / "root")
    assert code == 2
    assert "absent does not exist" in err


def test_a_folder_without_science(tmp_path, reduce, link_night):
    code, _, err = reduce(link_night(tmp_path / "raw", only=CALIBRATION_TYPES), tmp_path / "root")
    assert code == 3
    assert "no science frames in" in err
    assert "IRDIS FLAT" in err


def test_a_root_that_cannot_be_written(tmp_path, reduce, small_night):
    (tmp_path / "file").write_text("")
    code, _, err = reduce(small_night, tmp_path / "file" / "root")
    assert code == 4
    assert "cannot write the result root" in err


def test_an_unknown_key_in_the_configuration(tmp_path, reduce, small_night):
    (tmp_path / "bad.yaml").write_text("level2: {pca-adi: {algorithm: pca, modes: 3}}\n")
    code, _, err = reduce(small_night, tmp_path / "root", config=tmp_path / "bad.yaml")
    assert code == 2
    assert "modes: unknown key" in err
    assert not (tmp_path / "root").exists()


def test_an_unfit_name_of_a_plan_leaves_no_file(tmp_path, reduce, small_night):
    code, _, err = reduce(small_night, tmp_path / "root", "--plan", "../../outside")
    assert code == 2
    assert "plan name '../../outside'" in err
    assert not (tmp_path / "outside").exists()
    assert list((tmp_path / "root" / "plan").glob("*/")) == []


def test_another_run_at_work_in_the_root(tmp_path, reduce, small_night):
    from spheredc_hpc.campaign.owner import owning

    with owning(tmp_path / "root"):
        code, _, err = reduce(small_night, tmp_path / "root")
    assert code == 5
    assert f"process {os.getpid()} on" in err


def test_frames_of_an_arm_that_cannot_be_reduced_yet(tmp_path, reduce, small_night):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in sorted(small_night.glob("SPHER.*.fits")):
        header = fits.getheader(path)
        if header.get("ESO DPR TYPE") == "OBJECT":
            header["ESO SEQ ARM"] = header["ESO DET ID"] = header["ESO DET NAME"] = "IFS"
            header["ESO DPR TECH"] = "IFU"
            header["ESO INS2 COMB IFS"] = "OBS_YJ"
            fits.writeto(raw / path.name, np.zeros((1, 2048, 2048), np.int16), header)
    code, out, _ = reduce(raw, tmp_path / "root")
    assert code == 0
    assert "1 rejected" in out
    assert "IFS" in out.partition("rejected  ")[2]


@pytest.mark.night
def test_a_missing_flat_is_flagged(tmp_path, reduce, link_night):
    code, out, _ = reduce(link_night(tmp_path / "raw", without=("FLAT,LAMP",)), tmp_path / "root")
    assert code == 0
    assert "FLAT_MISSING" in statuses(tmp_path / "root")["level1"][1]
    assert statuses(tmp_path / "root")["level2"][0] == "flagged"
    assert "0 failed" in out


@pytest.mark.night
def test_a_missing_center_is_flagged_and_the_centre_comes_from_the_halo(
    tmp_path, reduce, link_night
):
    code, out, _ = reduce(
        link_night(tmp_path / "raw", without=("OBJECT,CENTER",)), tmp_path / "root"
    )
    assert code == 0
    status, flags = statuses(tmp_path / "root")["level1"]
    assert status == "flagged"
    assert "CENTER_ASSUMED" in flags
    assert "0 failed" in out


def science_files(raw):
    return [
        path
        for path in sorted(raw.glob("*.fits"))
        if fits.getheader(path).get("ESO DPR TYPE") == "OBJECT"
    ]


@pytest.mark.night
def test_a_truncated_file_is_listed_and_stops_nothing(tmp_path, reduce, link_night, capsys):
    raw = link_night(tmp_path / "raw")
    victim = science_files(raw)[0]
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content[: len(content) // 2])
    code, out, err = reduce(raw, tmp_path / "root")
    assert code == 0
    assert victim.name in err
    assert "1 unreadable" in out
    assert "0 failed" in out
    assert statuses(tmp_path / "root")["level1"][0] in ("ok", "flagged")
    cli.run(["scan", str(raw), "--root", str(tmp_path / "root"), "--json"])
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert victim.name in error["path"]
    assert error["reason"]


@pytest.mark.night
def test_frames_of_nan_are_left_out_and_flagged(tmp_path, reduce, link_night):
    raw = link_night(tmp_path / "raw")
    victim = science_files(raw)[0]
    source = victim.resolve()
    victim.unlink()
    shutil.copy(source, victim)
    with fits.open(victim, mode="update") as hdus:
        hdus[0].data[0] = np.nan
    code, out, _ = reduce(raw, tmp_path / "root")
    assert code == 0
    assert "0 failed" in out
    status, flags = statuses(tmp_path / "root")["level1"]
    assert (status, "FRAMES_REJECTED" in flags) == ("flagged", True)
