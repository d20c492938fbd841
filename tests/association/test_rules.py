import pytest

from spheredc_hpc.association.rules import LEVEL1_MODES, REQUIREMENTS, ROLES, key_value
from spheredc_hpc.config import AssociationSettings
from spheredc_hpc.instrument.frame_classes import FRAME_CLASSES
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.registry import CALIBRATIONS, MODES

NEEDS = [need for needs in REQUIREMENTS.values() for need in needs]


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.role)
def test_rows_name_what_exists(need, frame):
    assert need.kind in CALIBRATIONS
    assert need.window in AssociationSettings.model_fields
    flags = {need.missing_flag, need.age_flag, *(source.flag for source in need.sources)}
    assert flags - {""} <= set(FLAGS)
    science = frame("SCIENCE", 57647.0)
    for source in need.sources:
        assert source.frame_class in FRAME_CLASSES
        for match in source.exact:
            assert match.wanted(science)
        assert all(key_value(science, key) for key in source.tolerant)


def test_roles_name_flags_that_exist():
    assert {rule.missing_flag for rule in ROLES} - {""} <= set(FLAGS)


def test_every_supported_mode_has_needs_and_a_level_1_recipe():
    assert set(LEVEL1_MODES) == set(REQUIREMENTS)
    assert set(LEVEL1_MODES.values()) <= set(MODES)
