from __future__ import annotations

import numpy as np
import pytest

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.detectors import detector, dither_offset_px, split_fields


def test_fields_are_the_left_and_right_half_of_the_plane():
    plane = np.arange(1024 * 2048, dtype=np.float32).reshape(1024, 2048)
    fields = split_fields(plane)
    for field, columns in zip(fields, detector("IRDIS").fields, strict=True):
        np.testing.assert_array_equal(field, plane[:, columns])


def test_a_cube_is_split_plane_by_plane_without_a_copy():
    cube = np.zeros((3, 1024, 2048), np.float32)
    fields = split_fields(cube)
    assert fields.shape == (3, 2, 1024, 1024)
    assert np.shares_memory(fields, cube)


def test_other_shapes_cannot_be_split():
    with pytest.raises(KernelInputError, match=r"\(2048, 2048\); expected \(1024, 2048\)"):
        split_fields(np.zeros((2048, 2048), np.float32))


@pytest.mark.parametrize("arm", ["IRDIS", "IFS", "ZIMPOL"])
def test_windows_lie_in_the_fields(arm):
    found = detector(arm)
    mask = found.illuminated_mask()
    assert mask.shape == (len(found.fields), *found.field_shape)
    assert mask.any(axis=(1, 2)).all()
    assert found.field_shape[1] == found.fields[0].stop - found.fields[0].start


def test_about_890_by_1000_pixels_of_an_irdis_field_get_light():
    assert detector("IRDIS").illuminated_mask()[0].sum() == 891 * 998


def test_zimpol_noise_follows_the_read_mode():
    assert detector("ZIMPOL", readmode="SlowPolarimetry").gain_e_per_adu == 1.5
    assert detector("ZIMPOL", readmode="FastPolarimetry").gain_e_per_adu == 10.5


def test_unknown_arm_is_an_error():
    with pytest.raises(DataError, match="'NACO'; expected IRDIS, IFS, ZIMPOL"):
        detector("NACO")


def test_the_whole_dither_grid_is_whole_pixels():
    steps = [dither_offset_px(18.0 * step, -18.0 * step) for step in range(4)]
    assert steps == [(step, -step) for step in range(4)]
