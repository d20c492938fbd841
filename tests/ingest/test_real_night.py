"""The public frames of one night: what the archive says of them, what belongs together, angles."""

from __future__ import annotations

import csv
import io
import json
import os

import numpy as np
import pytest

from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.ingest.classify import classify
from spheredc_hpc.ingest.frames import archive_id_of_name, raw_frame
from spheredc_hpc.ingest.headers import read_file_header
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.frame_classes import UNKNOWN
from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.level1.parts.angles import (
    apparent_place,
    parallactic_angle_deg,
    sequence_angles,
)
from spheredc_hpc.level1.parts.timing import frame_times

DAY_S = 86400.0
MANDATORY = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND", "COMMENT")
NIGHT = (
    *("2020-03-08T07-05-15.511", "2020-03-08T07-12-03.720", "2020-03-08T07-20-53.733"),
    *("2020-03-08T07-48-21.618", "2020-03-08T16-53-05.173"),
)
# Column of the archive's form, column of ours.
SAME_TEXT = {
    **{"DP.ID": "archive_id", "DPR CATG": "category", "DPR TYPE": "dpr_type"},
    **{"DPR TECH": "technique", "Program ID": "programme", "OB ID": "obs_id"},
    **{"TPL START": "template_start", "SEQ ARM": "arm", "INS COMB ICOR": "coronagraph"},
    **{"DET READ CURNAME": "readmode", "INS4 DROT2 MODE": "derotator_mode"},
    **{"INS1 OPTI1 NAME": "lyot_stop", "OB CONTAINER ID": "container_id"},
}
# The published values, to 4 decimals: mid-DIT angles, first and last.
MIDDLES = {
    "2020-03-08T07-05-15.511": (147.4868, 144.5023),
    "2020-03-08T07-20-53.733": (139.6200, 136.4131),
    "2020-03-08T07-48-21.618": (129.9224, 129.3368),
}


@pytest.fixture(scope="module")
def files(real_data, tmp_path_factory, raw):
    """Headers of the night, read from files of their size."""
    found = {}
    for name in NIGHT:
        path = real_data / "sphere-ifs-raw-headers" / f"SPHER.{name}.hdr.json"
        cards = {key: value for key, value, _ in reversed(json.loads(path.read_text()))}
        cards = {key: value for key, value in cards.items() if key not in MANDATORY}
        axes = (2048, 2048, cards["ESO DET NDIT"])
        written = tmp_path_factory.mktemp(name) / f"SPHER.{name.replace('-', '_')}.fits"
        header = raw.header(cards, axes)
        written.write_bytes(header)
        os.truncate(written, len(header) + raw.data_bytes(axes))
        found[name] = read_file_header(written)
    return found


@pytest.fixture(scope="module")
def frames(files):
    return {name: raw_frame(file) for name, file in files.items()}


def test_columns_equal_those_of_the_archive(frames, real_data):
    text = (real_data / "sphere-ifs-raw-headers" / "archive_rows.csv").read_text()
    ours = {frame.archive_id: frame for frame in frames.values()}
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["DP.ID"] for row in rows} == set(ours)
    for row in rows:
        frame = ours[row["DP.ID"]]
        for theirs, name in SAME_TEXT.items():
            assert getattr(frame, name) == row[theirs].strip(), (theirs, row["DP.ID"])
        assert frame.dit_s == pytest.approx(float(row["DET SEQ1 DIT"]), abs=0.005)
        assert (frame.ndit, frame.n_planes) == (int(row["DET NDIT"]),) * 2
        if row["OBS TARG NAME"].strip():
            assert frame.target == row["OBS TARG NAME"]
        if frame.frame_class != "WAVE":
            assert frame.ra_deg == float(row["RA"])
            assert frame.dec_deg == float(row["DEC"])


def test_the_night_is_one_observation_and_a_calibration(frames):
    (group,) = group_frames(frames.values()).groups
    roles = {role: [f.archive_id[17:] for f in found] for role, found in group.frames.items()}
    assert roles == {
        "OBJECT": ["07:12:03.720", "07:20:53.733"],
        "CENTER": ["07:05:15.511"],
        "FLUX": ["07:48:21.618"],
    }
    key = group.observation.key
    assert (key.night, key.block, key.arm, key.mode) == ("2020-03-07", "2485392", "IFS", "YJ")
    assert (key.filter, key.derotator_mode, key.coronagraph) == ("OBS_YJ", "ELEV", "N_ALC_YJH_S")
    wave = frames["2020-03-08T16-53-05.173"]
    assert (wave.frame_class, wave.night) == ("WAVE", "2020-03-08")


@pytest.mark.parametrize("name", NIGHT[:4])
def test_angles_are_those_of_the_telescope_to_a_hundredth_of_a_degree(files, name):
    header = files[name].values
    ra, dec, flags = apparent_place(header, 58916.3)
    assert flags == ()
    start = mjd_from_iso(str(header["DATE-OBS"]))
    end = mjd_from_iso(str(header["ESO DET FRAM UTC"]))
    # The telescope writes the first angle 1 to 2 s before the exposure starts.
    early = start - np.array([2.0, 1.0]) / DAY_S
    before, after = parallactic_angle_deg(early, ra, dec)
    at_start = float(header["ESO TEL PARANG START"])
    assert after - 0.01 < at_start < before + 0.01
    assert float(header["ESO TEL PARANG END"]) == pytest.approx(
        parallactic_angle_deg(np.array([end]), ra, dec)[0], abs=0.01
    )


@pytest.mark.parametrize("name", MIDDLES)
def test_middles_of_integrations_have_the_published_angles(files, name):
    header = files[name].values
    constants = default_constants()
    times = frame_times(header, int(header["NAXIS3"]), constants, "IFS")
    assert times.flags == ()
    found = sequence_angles([(header, times)], "IFS", constants).parang_deg
    np.testing.assert_allclose(found[[0, -1]], MIDDLES[name], atol=0.002)


def test_rows_of_other_instruments_are_unknown_by_name(real_data):
    text = (real_data / "eso-archive-samples" / "main_sgra_query.tbl").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    rows = [row for row in rows if row["MJD-OBS"]]
    assert len(rows) == 50
    for row in rows:
        header = {
            "INSTRUME": row["Instrument"],
            "ESO DPR CATG": row["Category"],
            "ESO DPR TYPE": row["Type"],
            "ESO DPR TECH": row["Mode"],
        }
        verdict = classify(header)
        assert verdict.frame_class == UNKNOWN
        assert verdict.reason == f"INSTRUME = {row['Instrument']}; expected SPHERE"
        assert archive_id_of_name(row["Dataset ID"]) == ""
