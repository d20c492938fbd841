from __future__ import annotations

import pytest

from spheredc_hpc.ingest.classify import classify
from spheredc_hpc.ingest.headers import Extension
from spheredc_hpc.instrument.frame_classes import FRAME_CLASSES, RULES, rules_of_type

IRDIS_AXES = (2048, 1024, 4)
IFS_AXES = (2048, 2048, 4)
CAMERAS = (Extension("IMAGE", "CAM1", (1156, 1024, 2)), Extension("IMAGE", "CAM2", (1156, 1024, 2)))
TABLES = (Extension("BINTABLE", "AtmPerfParams", (44, 12)),)
DUAL, CORO, POL = "IMAGE,DUAL,CORONOGRAPHY", "IMAGE,CORONOGRAPHY", "POLARIMETRY,CORONOGRAPHY"
LSS = "SPECTRUM,CORONOGRAPHY"


def verdict(arm, category, dpr_type, technique="", axes=None, extensions=(), **extra):
    header = {
        "INSTRUME": "SPHERE",
        "ESO SEQ ARM": arm,
        "ESO DPR CATG": category,
        "ESO DPR TYPE": dpr_type,
        "ESO DPR TECH": technique,
        **{f"ESO {key.replace('_', ' ')}": value for key, value in extra.items()},
    }
    if arm == "ZIMPOL" and axes is None:
        axes, extensions = (), CAMERAS
    elif axes is None:
        axes = IFS_AXES if arm == "IFS" else IRDIS_AXES
    return classify(header, axes, extensions)


IRDIS = [
    ("SCIENCE", "OBJECT", DUAL, "DB_H23", "DBI", "SCIENCE"),
    ("SCIENCE", "OBJECT", CORO, "BB_H", "CBI", "SCIENCE"),
    ("SCIENCE", "OBJECT", "IMAGE", "NB_BrG", "CBI", "SCIENCE"),
    ("SCIENCE", "OBJECT", "IMAGE,SAM", "DB_H23", "SAM", "SCIENCE"),
    ("CALIB", "OBJECT", DUAL, "DB_K12", "DBI", "SCIENCE"),
    ("SCIENCE", "OBJECT", POL, "DP_0_BB_H", "DPI", "SCIENCE_POL"),
    ("SCIENCE", "OBJECT", "DUAL,POLARIMETRY", "DP_0_BB_H", "DPI", "SCIENCE_POL"),
    ("SCIENCE", "OBJECT", LSS, "S_LR", "LSS", "SCIENCE_LSS"),
    ("SCIENCE", "OBJECT,CENTER", DUAL, "DB_H23", "DBI", "CENTER"),
    ("SCIENCE", "OBJECT,CENTRE", DUAL, "DB_H23", "DBI", "CENTER"),
    ("SCIENCE", "OBJECT,FLUX", DUAL, "DB_H23", "DBI", "FLUX"),
    ("SCIENCE", "SKY", DUAL, "DB_K12", "DBI", "SKY"),
    ("CALIB", "STD", "IMAGE", "BB_H", "CBI", "STANDARD"),
    ("CALIB", "STD,FLUX", "IMAGE", "BB_H", "CBI", "STANDARD"),
    ("CALIB", "OBJECT,ASTROMETRY", DUAL, "DB_H23", "DBI", "STANDARD"),
    ("CALIB", "ASTROMETRY", DUAL, "DB_H23", "DBI", "STANDARD"),
    ("CALIB", "DARK", "IMAGE", "DB_H23", "DBI", "DARK"),
    ("CALIB", "DARK,BACKGROUND", "IMAGE", "DB_H23", "DBI", "BACKGROUND"),
    ("CALIB", "FLAT,LAMP", "IMAGE", "DB_H23", "DBI", "FLAT"),
    ("CALIB", "FLAT,LAMP", "POLARIMETRY", "DP_0_BB_H", "DPI", "FLAT"),
    ("CALIB", "FLAT,LAMP", "IMAGE", "W_YJH", "CBI", "FLAT"),
    ("CALIB", "FLAT,LAMP", "SPECTRUM", "S_MR", "LSS", "FLAT"),
    ("CALIB", "LAMP,DISTORT", "IMAGE", "BB_H", "CBI", "DISTORTION"),
    ("CALIB", "FLAT,LAMP,RONGAIN", "IMAGE", "BB_H", "CBI", "GAIN"),
    ("CALIB", "LAMP,WAVE", "SPECTRUM", "S_MR", "LSS", "WAVE"),
    ("CALIB", "LAMP,WAVE", LSS, "S_MR", "LSS", "IGNORED"),
    ("CALIB", "FLAT,LAMP", LSS, "S_MR", "LSS", "IGNORED"),
    ("CALIB", "LAMP,WAVE", "IMAGE", "BB_H", "CBI", "UNKNOWN"),
]
IFS = [
    ("SCIENCE", "OBJECT", "OBS_YJ", "YJ", "SCIENCE"),
    ("SCIENCE", "OBJECT", "OBS_H", "YH", "SCIENCE"),
    ("SCIENCE", "OBJECT,CENTER", "OBS_H", "YH", "CENTER"),
    ("SCIENCE", "OBJECT,FLUX", "OBS_YJ", "YJ", "FLUX"),
    ("SCIENCE", "SKY", "OBS_YJ", "YJ", "SKY"),
    ("CALIB", "WAVE,LAMP", "OBS_YJ", "YJ", "WAVE"),
    ("CALIB", "SPECPOS,LAMP", "OBS_H", "YH", "SPECPOS"),
    ("CALIB", "FLAT,LAMP", "OBS_YJ", "YJ", "IFU_FLAT"),
    ("CALIB", "FLAT,LAMP", "OBS_H", "YH", "IFU_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_BB_2_YJ", "YJ", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_BB_2_YJH", "YH", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_NB1_1_YJ", "YJ", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_NB2_1_YJH", "YH", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_NB3_1_YJ", "YJ", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_NB4_2_YJH", "YH", "DET_FLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_NB9_1_YJ", "YJ", "UNKNOWN"),
    ("CALIB", "FLAT,LAMP,RONGAIN", "CAL_BB_2_YJ", "YJ", "GAIN"),
    ("CALIB", "DARK", "OBS_YJ", "YJ", "DARK"),
    ("CALIB", "DARK,BACKGROUND", "OBS_YJ", "YJ", "BACKGROUND"),
    ("CALIB", "LAMP,DISTORT", "OBS_YJ", "YJ", "DISTORTION"),
]
ZIMPOL = [
    ("SCIENCE", "OBJECT", "POLARIMETRY", "IMAGE", "FastPolarimetry", "POLARIMETRY", "SCIENCE_POL"),
    ("SCIENCE", "OBJECT", CORO, "IMAGE", "StandardImaging", "IMAGING", "SCIENCE"),
    ("SCIENCE", "OBJECT,CENTER", CORO, "", "StandardImaging", "IMAGING", "CENTER"),
    ("SCIENCE", "OBJECT,FLUX", CORO, "", "StandardImaging", "IMAGING", "FLUX"),
    ("SCIENCE", "SKY", CORO, "", "StandardImaging", "IMAGING", "SKY"),
    ("CALIB", "STD,FLUX", "IMAGE", "", "StandardImaging", "IMAGING", "STANDARD"),
    ("CALIB", "BIAS", "IMAGE", "", "StandardImaging", "IMAGING", "BIAS"),
    ("CALIB", "DARK", "IMAGE", "", "SlowPolarimetry", "POLARIMETRY", "DARK"),
    ("CALIB", "FLAT,LAMP", "IMAGE", "", "StandardImaging", "IMAGING", "FLAT"),
    ("CALIB", "FLAT,POL,LAMP", "POLARIMETRY", "", "FastPolarimetry", "POLARIMETRY", "MODEM"),
]


@pytest.mark.parametrize(("category", "dpr_type", "tech", "filter_", "mode", "name"), IRDIS)
def test_irdis_frames(category, dpr_type, tech, filter_, mode, name):
    found = verdict("IRDIS", category, dpr_type, tech, INS_COMB_IFLT=filter_)
    assert (found.arm, found.mode, found.frame_class) == ("IRDIS", mode, name)
    assert bool(found.reason) == (name in ("UNKNOWN", "IGNORED"))


@pytest.mark.parametrize(("category", "dpr_type", "setup", "mode", "name"), IFS)
def test_ifs_frames(category, dpr_type, setup, mode, name):
    found = verdict("IFS", category, dpr_type, "IFU", INS2_COMB_IFS=setup)
    assert (found.arm, found.mode, found.frame_class) == ("IFS", mode, name)
    assert bool(found.reason) == (name in ("UNKNOWN", "IGNORED"))


@pytest.mark.parametrize(("category", "dpr_type", "tech", "_", "read", "mode", "name"), ZIMPOL)
def test_zimpol_frames(category, dpr_type, tech, _, read, mode, name):
    found = verdict("ZIMPOL", category, dpr_type, tech, DET_READ_CURNAME=read)
    assert (found.arm, found.mode, found.frame_class) == ("ZIMPOL", mode, name)


@pytest.mark.parametrize("arm", ["IRDIS", "IFS", "ZIMPOL", "SPARTA", ""])
def test_telemetry_of_any_arm_is_sparta(arm):
    found = verdict(arm, "SCIENCE", "OBJECT,AO", axes=(), extensions=TABLES)
    assert found.frame_class == "SPARTA"
    assert found.arm == (arm if arm in ("IRDIS", "IFS", "ZIMPOL") else "")


def test_every_row_of_the_table_decides_a_case():
    cases = [("IRDIS", c[0], c[1], c[2], c[4], {"ESO INS COMB IFLT": c[3]}) for c in IRDIS]
    cases += [("IFS", c[0], c[1], "IFU", c[3], {"ESO INS2 COMB IFS": c[2]}) for c in IFS]
    cases += [("ZIMPOL", c[0], c[1], c[2], c[5], {}) for c in ZIMPOL]
    cases += [("", "SCIENCE", "OBJECT,AO", "", "", {})]
    deciding = set()
    for arm, category, dpr_type, technique, mode, header in cases:
        fitting = (
            rule
            for rule in rules_of_type(dpr_type)
            if rule.fits(header, arm, mode, category, technique)
        )
        deciding.add(next(fitting, None))
    assert set(RULES) <= deciding


def test_every_class_is_met():
    names = {case[-1] for case in (*IRDIS, *IFS, *ZIMPOL)} | {"SPARTA"}
    assert names == set(FRAME_CLASSES)


def test_every_word_of_a_type_list_is_known_in_either_spelling():
    assert rules_of_type(" object, centre ") == rules_of_type("OBJECT,CENTER")


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"ESO DPR CATG": "ACQUISITION"}, "IGNORED", "acquisition"),
        ({"ESO OBS PROG ID": "Maintenance"}, "IGNORED", "maintenance"),
        ({"ESO DPR TYPE": ""}, "UNKNOWN", "no DPR TYPE"),
        ({"ESO DPR TYPE": "LAMP,SURPRISE"}, "UNKNOWN", "LAMP,SURPRISE is not in the table"),
        ({"ESO DPR CATG": "TEST"}, "UNKNOWN", "CATG = TEST"),
        ({"INSTRUME": "NAOS+CONICA"}, "UNKNOWN", "INSTRUME = NAOS"),
    ],
)
def test_what_is_left_out_has_a_reason(changes, name, reason):
    header = {
        "INSTRUME": "SPHERE",
        "ESO SEQ ARM": "IRDIS",
        "ESO DPR CATG": "SCIENCE",
        "ESO DPR TYPE": "OBJECT",
        "ESO DPR TECH": DUAL,
        "ESO INS COMB IFLT": "DB_H23",
    }
    found = classify({**header, **changes}, IRDIS_AXES)
    assert found.frame_class == name
    assert reason in found.reason


@pytest.mark.parametrize(
    ("header", "axes", "extensions", "arm"),
    [
        ({"ESO DET ID": "IFS"}, IRDIS_AXES, (), "IFS"),
        ({"ESO DET DEV1 ID": "ZIMPOL"}, (), CAMERAS, "ZIMPOL"),
        ({}, IRDIS_AXES, (), "IRDIS"),
        ({}, IFS_AXES[:2], (), "IFS"),
        ({}, (), CAMERAS, "ZIMPOL"),
        ({}, (512, 512), (), ""),
        ({"ESO SEQ ARM": "SOMETHING"}, IFS_AXES, (), "IFS"),
    ],
)
def test_without_seq_arm_the_detector_and_then_the_shape_decide(header, axes, extensions, arm):
    found = classify({"ESO DPR TYPE": "DARK", **header}, axes, extensions)
    assert found.arm == arm
    if arm:
        assert found.notes[0].startswith("arm from")
    else:
        assert found.reason.startswith("no arm")


@pytest.mark.parametrize(
    ("arm", "axes", "extensions", "reason"),
    [
        ("IRDIS", (2048, 2048, 4), (), "2048 x 2048 x 4 in the primary unit; IRDIS planes are"),
        ("IFS", (2048, 1024), (), "IFS planes are 2048 x 2048"),
        ("IRDIS", (), (), "no data in the primary unit"),
        ("IRDIS", (2048, 1024, 0), (), "no planes"),
        ("ZIMPOL", (), (), "no image extension"),
    ],
)
def test_data_that_do_not_fit_the_detector_are_unknown(arm, axes, extensions, reason):
    found = verdict(arm, "CALIB", "DARK", axes=axes, extensions=extensions)
    assert found.frame_class == "UNKNOWN"
    assert reason in found.reason


def test_single_images_are_accepted():
    found = verdict("IRDIS", "CALIB", "DARK", axes=(2048, 1024), INS_COMB_IFLT="BB_H")
    assert found.frame_class == "DARK"


@pytest.mark.parametrize("wheel", ["GRI_MRS", "PRI_LRS"])
def test_a_disperser_in_the_lyot_wheel_means_spectroscopy(wheel):
    found = verdict("IRDIS", "SCIENCE", "OBJECT", "IMAGE", INS1_OPTI1_NAME=wheel)
    assert (found.mode, found.frame_class) == ("LSS", "SCIENCE_LSS")


def test_the_prism_tells_the_ifs_mode_where_the_setup_does_not():
    found = verdict("IFS", "SCIENCE", "OBJECT", "IFU", INS2_OPTI2_NAME="PRI_YJH")
    assert found.mode == "YH"
