import pytest

from spheredc_hpc.association.requirements import LEVEL1_MODES, REQUIREMENTS, ROLES
from spheredc_hpc.association.rules import key_value
from spheredc_hpc.config import AssociationSettings
from spheredc_hpc.instrument.frame_classes import FRAME_CLASSES
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.registry import CALIBRATIONS, MODES


def _with_own(needs):
    for need in needs:
        yield need
        yield from _with_own(own for _, own in need.upstream if not isinstance(own, str))


NEEDS = {
    f"{arm}-{mode}-{need.role}": (arm, mode, need)
    for (arm, mode), needs in REQUIREMENTS.items()
    for need in _with_own(needs)
}
FILTERS = {
    "IRDIS": {"mode": "DBI", "filter": "DB_H23"},
    "IFS": {"mode": "YJ", "filter": "OBS_YJ", "ifs_setup": "OBS_YJ"},
    "ZIMPOL": {"mode": "IMAGING", "filter": "Cnt820"},
}


@pytest.mark.parametrize(("arm", "mode", "need"), NEEDS.values(), ids=NEEDS)
def test_rows_name_what_exists(arm, mode, need, frame):
    if (arm, mode) in LEVEL1_MODES:
        assert need.kind in CALIBRATIONS
    assert need.window in AssociationSettings.model_fields
    flags = {need.missing_flag, need.age_flag, *(source.flag for source in need.sources)}
    assert flags - {""} <= set(FLAGS)
    assert need.consequence
    science = frame("SCIENCE", 57647.0, arm=arm, **FILTERS[arm])
    for source in need.sources:
        assert source.frame_class in FRAME_CLASSES
        for match in source.exact:
            assert match.wanted(science)
        assert all(key_value(science, key) for key in source.tolerant)


def test_roles_name_flags_that_exist():
    assert {rule.missing_flag for rule in ROLES} - {""} <= set(FLAGS)


def test_every_supported_mode_has_needs_and_a_level_1_recipe():
    assert set(LEVEL1_MODES) <= set(REQUIREMENTS)
    assert set(LEVEL1_MODES.values()) <= set(MODES)
