"""Cubes that no algorithm can do much with: an error or a verdict with its reason, or real images.

What must never come out is a product that counts as good and holds nothing.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import synthetic_sequence

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.model.product import Status
from spheredc_hpc.registry import ALGORITHMS

IMAGING = ImagingSettings(outer_mas=230, throughput_branches=1)
# They take nothing from other frames, so a single frame and still frames will do.
ALONE = ("noadi", "profile")


@pytest.fixture(params=list(ALGORITHMS))
def algorithm(request):
    return request.param


@pytest.fixture(scope="module")
def cube():
    """Speckles; 14 frames, enough for the modes of every default."""
    return synthetic_sequence.sequence(seed=7, n_wave=1, n_time=14, side=45)


def with_frames(cube, use):
    changes = {}
    for field in fields(cube):
        value = getattr(cube, field.name)
        if not isinstance(value, np.ndarray) or field.name == "psf":
            continue
        if value.ndim and value.shape[0] == cube.mjd.size:
            changes[field.name] = value[use]
        elif value.ndim > 1 and value.shape[1] == cube.mjd.size:
            changes[field.name] = value[:, use]
    return replace(cube, **changes)


def with_pixels(cube, where, value):
    science = cube.science.copy()
    science[where] = value
    return replace(cube, science=science)


def cut_out(cube, side):
    first = cube.science.shape[-1] // 2 - side // 2
    part = slice(first, first + side)
    return replace(cube, science=cube.science[..., part, part], weight=cube.weight[..., part, part])


def outcome(cube, algorithm, imaging=IMAGING, **settings):
    """Images of a reduction, or the reason why there are none."""
    before = cube.science.copy()
    try:
        result = reduce(cube, Recipe(algorithm=algorithm, imaging=imaging, settings=settings))
    except DataError as error:
        return None, str(error)
    np.testing.assert_array_equal(cube.science, before)
    if result.status is Status.REJECTED:
        assert result.images is None
        return None, result.reasons[0]
    images = result.images
    assert images.mask.sum() > 100
    assert np.isfinite(images.image[images.mask]).all()
    for image in (images.image, *images.cube):
        assert np.nanmax(np.abs(image)) > 1e-6 * np.nanmax(np.abs(cube.science))
    assert np.isfinite(images.snr_gaussian).any()
    assert (images.image_contrast[np.isfinite(images.image_contrast)] > 0).any()
    return images, result.reasons


def test_one_frame(cube, algorithm):
    images, reason = outcome(with_frames(cube, slice(0, 1)), algorithm)
    if algorithm in ALONE:
        assert images is not None
    else:
        assert reason == "1 usable frame: angular differential imaging needs at least 2"


def test_no_rotation(cube, algorithm):
    images, reason = outcome(replace(cube, derotation_deg=np.full(14, 3.0)), algorithm)
    if algorithm in ALONE:
        assert images is not None
    else:
        assert reason.startswith("field rotation 0.00 deg")


def test_the_same_frame_again_and_again(cube, algorithm):
    images, reason = outcome(with_pixels(cube, ..., cube.science[:, :1]), algorithm)
    if algorithm in ALONE:
        assert images is not None
    else:
        assert reason.startswith("all 14 usable frames are equal")


def test_every_frame_twice(cube, algorithm):
    # Seven different frames are left: enough for every default.
    twice = with_frames(cube, np.repeat(np.arange(0, 14, 2), 2))
    angles = np.linspace(-20.0, 42.0, 14)
    images, reason = outcome(replace(twice, derotation_deg=angles), algorithm)
    assert images is not None, reason


WITH_MODES = [name for name in ALGORITHMS if "n_modes" in ALGORITHMS[name].settings.model_fields]


@pytest.mark.parametrize("algorithm", WITH_MODES)
def test_more_modes_than_frames(cube, algorithm):
    images, reason = outcome(cube, algorithm, n_modes=50)
    # Where a frame is not among its own references, all modes of these may go.
    rules = getattr(ALGORITHMS[algorithm].settings(), "references", None)
    if rules is not None and rules.exclusion_fwhm is not None:
        assert images is not None, reason
    else:
        assert reason.startswith("50 modes of 14 frames")


def test_annulus_without_data(algorithm):
    wide = synthetic_sequence.sequence(seed=7, n_wave=1, n_time=14, side=71)
    y, x = np.indices((71, 71)) - 35
    hole = (np.hypot(x, y) > 11) & (np.hypot(x, y) < 15)
    imaging = ImagingSettings(outer_mas=350, throughput_branches=1)
    images, reason = outcome(with_pixels(wide, (..., hole), np.nan), algorithm, imaging)
    assert images is not None, reason
    # The image covers the window of the zone, not the whole frame.
    y, x = np.indices(images.mask.shape) - images.mask.shape[0] // 2
    radius = np.hypot(x, y)
    assert not images.mask[(radius > 12) & (radius < 14)].any()
    assert images.mask[(radius > 17) & (radius < 27)].all()


def test_frames_of_the_size_of_a_companion(cube, algorithm):
    images, reason = outcome(cut_out(cube, 9), algorithm)
    assert images is None
    assert "9 x 9 px" in reason


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_frames_without_anything(cube, algorithm, value):
    images, reason = outcome(with_pixels(cube, ..., value), algorithm)
    assert images is None
    assert reason.startswith("no usable frame: 14 frames ")


def test_one_frame_without_anything_is_left_out(cube, algorithm):
    expected, _ = outcome(with_frames(cube, np.arange(14) != 3), algorithm)
    for value in (0.0, np.nan):
        images, reasons = outcome(with_pixels(cube, (0, 3), value), algorithm)
        assert reasons[0].startswith("1 frames ")
        assert reasons[0].endswith(": 3")
        np.testing.assert_array_equal(images.image, expected.image)
