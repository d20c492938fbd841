"""Classical ADI, profile, non-negative factors and sparse parts, against known truth."""

import numpy as np
import pytest
import synthetic_sequence
from pydantic import ValidationError

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.kernels.lowrank import sparse_part
from spheredc_hpc.kernels.nmf import subtract_nonnegative
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.store.images import SOURCE_COLUMNS

SEPARATION_MAS, ANGLE_DEG, CONTRAST = 320.0, 70.0, 1.5e-4
IMAGING = ImagingSettings(outer_mas=450, throughput_branches=1)


def recipe(algorithm, **settings):
    return Recipe(algorithm=algorithm, imaging=IMAGING, settings=settings)


@pytest.fixture(scope="module")
def cube():
    companion = (SEPARATION_MAS, ANGLE_DEG, (CONTRAST,))
    return synthetic_sequence.sequence(seed=3, n_wave=1, n_time=24, side=91, companions=[companion])


@pytest.fixture(scope="module")
def results(cube):
    return {name: reduce(cube, recipe(name)) for name in ("noadi", "profile", "nmf", "llsg")}


@pytest.fixture(scope="module")
def channel(cube):
    return prepare(cube, IMAGING).channels[0]


def near(image, reach=2):
    """Pixels of an image about the true place of the companion."""
    middle = image.shape[0] // 2
    radius, angle = SEPARATION_MAS / synthetic_sequence.SCALE_MAS, np.deg2rad(ANGLE_DEG)
    x, y = round(middle - radius * np.sin(angle)), round(middle + radius * np.cos(angle))
    return image[y - reach : y + reach + 1, x - reach : x + reach + 1]


def rows_of(channel, reduction, number):
    pixels = reduction.zones[number].subtraction
    return channel.frames.reshape(len(channel.frames), -1)[:, pixels], pixels


@pytest.mark.parametrize("algorithm", ["nmf", "llsg"])
def test_companion_stands_out_more_than_without_subtraction(results, algorithm):
    without = near(results["noadi"].images.image_snr).max()
    assert near(results[algorithm].images.image_snr).max() > 3 * without


@pytest.mark.parametrize("algorithm", ["nmf", "llsg"])
def test_companion_is_the_only_source_and_has_its_true_place_and_flux(results, algorithm):
    images = results[algorithm].images
    assert len(images.sources) == 1
    found = dict(zip(SOURCE_COLUMNS, images.sources[0], strict=True))
    assert found["snr"] > 10
    # Stated errors, that of the flux of about a tenth; three and a half of them.
    for name, truth in (("separation", SEPARATION_MAS), ("position_angle", ANGLE_DEG)):
        unit = "mas" if name == "separation" else "deg"
        limit = 3.5 * found[f"{name}_err_{unit}"]
        assert abs(found[f"{name}_{unit}"] - truth) < limit
    error = images.source_contrast_err[0, 0]
    assert error < 0.2 * CONTRAST
    assert abs(images.source_contrast[0, 0] - CONTRAST) < 3.5 * error


def test_profile_takes_the_round_halo_and_leaves_the_companion(results):
    bare, left = results["noadi"].images, results["profile"].images
    middle = bare.image.shape[0] // 2
    y, x = np.indices(bare.image.shape) - middle
    radius = np.hypot(x, y)
    for inner in range(10, 34, 4):
        ring = (radius >= inner) & (radius < inner + 4)
        spread = np.nanstd(left.image[ring])
        # Medians of the frames' rings, so what is left of the mean is a part of the scatter.
        assert abs(np.nanmean(left.image[ring])) < 0.3 * spread
        assert np.nanmean(bare.image[ring]) > spread
    # The loss: the companion's share of its ring, and smearing of 0.5 px.
    assert np.nanmedian(left.throughput) > 0.95
    # Rings are compared with themselves in the S/N map, so only a wide area tells.
    wide = (radius > 20) & (radius < 34)

    def height(image):
        return (near(image).max() - np.nanmean(image[wide])) / np.nanstd(image[wide])

    assert height(left.image) > height(bare.image)
    assert near(left.image_snr).max() == pytest.approx(near(bare.image_snr).max(), rel=0.05)


def test_zones_of_a_reduction_are_decomposed_one_by_one(channel):
    entry = ALGORITHMS["llsg"]
    settings = entry.settings(n_modes=3, threshold=0.8, iterations=4)
    reduction = Reduction(channel, Method(entry, settings, "mean"))
    assert len(reduction.zones) >= 8
    left = reduction.residuals().reshape(len(channel.frames), -1)
    for number in range(len(reduction.zones)):
        rows, pixels = rows_of(channel, reduction, number)
        expected = sparse_part(rows, None, 3, threshold=0.8, iterations=4)
        np.testing.assert_allclose(left[:, pixels], expected, atol=1e-3 * rows.std())


def test_non_negative_modes_are_those_of_the_zone(channel):
    entry = ALGORITHMS["nmf"]
    reduction = Reduction(channel, Method(entry, entry.settings(n_modes=4), "mean"))
    rows, pixels = rows_of(channel, reduction, 0)
    left = reduction.residuals().reshape(len(rows), -1)[:, pixels]
    expected = subtract_nonnegative(rows.astype(np.float64), None, 4)
    np.testing.assert_allclose(left, expected, atol=1e-3 * expected.std())


def test_profile_of_a_zone_without_places_is_one_ring():
    rows = np.random.default_rng(5).standard_normal((4, 31))
    run, settings = ALGORITHMS["profile"].run, ALGORITHMS["profile"].settings
    expected = {"mean": rows.mean(axis=1), "median": np.median(rows, axis=1)}
    for statistic, level in expected.items():
        found = run(rows, None, settings(statistic=statistic))
        np.testing.assert_allclose(found, rows - level[:, None], atol=1e-12)


def test_pixels_without_data_leave_the_profile_alone():
    frames = np.full((3, 41, 41), 2.0, np.float32)
    frames[:, :, 30:] = 0
    run, settings = ALGORITHMS["profile"].run, ALGORITHMS["profile"].settings
    left = run(frames, None, settings(statistic="mean"))
    np.testing.assert_allclose(left[:, :, :30], 0, atol=1e-6)
    np.testing.assert_array_equal(run(0 * frames, None, settings()), 0)


@pytest.mark.parametrize("count", [6, 7])
def test_classical_adi_takes_the_median_of_the_references(count):
    rng = np.random.default_rng(count)
    frames, library = rng.standard_normal((2, count, 50)).astype(np.float32)
    cadi = ALGORITHMS["cadi"]
    for given in (None, library):
        source = frames if given is None else given
        expected = frames - np.median(source, axis=0)
        np.testing.assert_allclose(cadi.run(frames, given, cadi.settings()), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("nmf", {"n_modes": 0}),
        ("nmf", {"tolerance": 1.0}),
        ("nmf", {"negative": "drop"}),
        ("llsg", {"n_modes": -1}),
        ("llsg", {"threshold": -0.1}),
        ("llsg", {"iterations": 0}),
        ("profile", {"width_px": 0.1}),
        ("profile", {"statistic": "mode"}),
    ],
)
def test_settings_out_of_bounds_are_refused(algorithm, settings):
    with pytest.raises(ValidationError):
        recipe(algorithm, **settings)
