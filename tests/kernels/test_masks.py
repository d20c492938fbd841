"""Masks of images that are turned and rescaled."""

import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.masks import turn_mask
from spheredc_hpc.kernels.rotate import rotate_quarter


@pytest.mark.parametrize("side", [20, 21])
def test_quarter_turns_are_those_of_images(side):
    mask = np.random.default_rng(0).random((side, side)) < 0.5
    turned = turn_mask(mask, 90.0 * np.arange(4), np.ones(4))
    for quarters, found in enumerate(turned):
        expected = rotate_quarter(mask.astype(np.float32), quarters)
        np.testing.assert_array_equal(found, expected > 0)


def test_a_disc_is_found_where_the_angle_takes_it():
    y, x = np.mgrid[:101, :101] - 50
    mask = np.hypot(x - 30, y) < 8
    # Counter-clockwise by 50 deg, and then on pixels of twice the size: half as far.
    for scale in (1.0, 2.0):
        (found,) = turn_mask(mask, np.array([50.0]), np.array([scale]))
        angle = np.deg2rad(50)
        distance = np.hypot(x - 30 / scale * np.cos(angle), y - 30 / scale * np.sin(angle))
        assert found[distance < 8 / scale - 1].all()
        assert not found[distance > 8 / scale + 1].any()


def test_what_comes_from_outside_is_false():
    turned = turn_mask(np.ones((11, 11), bool), np.array([45.0]), np.ones(1))[0]
    assert not turned[0, 0]
    assert turned[5, 5]


def test_shapes_must_fit():
    with pytest.raises(KernelInputError, match="square"):
        turn_mask(np.ones((4, 5), bool), np.zeros(1), np.ones(1))
    with pytest.raises(KernelInputError, match="2 angles"):
        turn_mask(np.ones((4, 4), bool), np.zeros(2), np.ones(1))


def test_some_rows_are_those_of_the_whole():
    mask = np.random.default_rng(1).random((21, 21)) < 0.5
    angles, scales = np.array([0.0, 33.0, -140.0]), np.array([1.0, 1.1, 0.9])
    whole = turn_mask(mask, angles, scales)
    np.testing.assert_array_equal(turn_mask(mask, angles, scales, slice(5, 12)), whole[:, 5:12])


@pytest.mark.parametrize("rows", [slice(0, 9, 3), slice(9, None, -1), slice(9, 3)])
def test_rows_that_are_no_range_are_refused(rows):
    with pytest.raises(KernelInputError, match=r"rows=slice\(.* of 21, a rising slice"):
        turn_mask(np.ones((21, 21), bool), np.zeros(1), np.ones(1), rows)


def test_no_rows_give_an_empty_mask():
    found = turn_mask(np.ones((21, 21), bool), np.zeros(2), np.ones(2), slice(4, 4))
    assert found.shape == (2, 0, 21)
