"""What a product holds besides its images: consistency of maps, dates, verdicts."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic_sequence

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.false_alarms import SearchArea, false_alarm_of_maximum
from spheredc_hpc.level2.forward import Fit
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.references import References
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.scene import SceneMaker
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.level2.sources import Source
from spheredc_hpc.level2.stack import Curves, corrected_image, stack_weights
from spheredc_hpc.level2.table import source_rows
from spheredc_hpc.level2.transmission import Transmission
from spheredc_hpc.model.product import Status
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES

IMAGING = ImagingSettings(outer_mas=520, throughput_branches=1, throughput="frozen")


@pytest.fixture(scope="module")
def cube():
    return synthetic_sequence.sequence(
        seed=3, n_wave=2, n_time=40, side=101, companions=[(400.0, 70.0, (3e-4, 3e-4))]
    )


def recipe(combination="mean", **settings):
    imaging = IMAGING.model_copy(update={"combination": combination, "keep_residuals": True})
    return Recipe(algorithm="klip", imaging=imaging, settings=settings or {"n_modes": 5})


def test_maps_of_several_mode_counts_leave_sources_out_of_the_noise(cube):
    images = reduce(cube, recipe(n_modes=5, also_modes=[2])).images
    assert images.modes.tolist() == [5, 2]
    np.testing.assert_array_equal(images.cube_by_modes[0], images.cube)
    np.testing.assert_array_equal(images.snr_by_modes[0], images.snr_gaussian)
    alone = reduce(cube, recipe(n_modes=2)).images
    np.testing.assert_array_equal(images.cube_by_modes[1], alone.cube)
    # Those sources were found with other modes: their places differ a little.
    seen = np.isfinite(images.snr_by_modes[1]) & np.isfinite(alone.snr_gaussian)
    difference = np.abs(images.snr_by_modes[1] - alone.snr_gaussian)[seen]
    assert np.median(difference) < 0.05
    assert images.snr_by_modes[1].max(where=seen, initial=0) > 5


@pytest.mark.parametrize("combination", ["mean", "weighted", "median", "trimmed"])
def test_scratch_files_change_no_bit(cube, combination, tmp_path, monkeypatch):
    monkeypatch.setattr(buffers, "LEAST_BYTES", 1)
    whole = reduce(cube, recipe(combination)).images
    with buffers.scratch_arrays(tmp_path):
        pieces = reduce(cube, recipe(combination)).images
    for name in ("image", "cube", "snr", "contrast", "throughput", "sources", "residuals"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name), err_msg=name)


@pytest.mark.parametrize(
    ("algorithm", "strategy"),
    [
        ("cadi", "adi"),
        ("profile", "adi"),
        ("pca", "asdi"),
        ("cadi", "sdi"),
        ("profile", "asdi"),
        ("pca", "ardi"),
    ],
)
def test_scratch_files_change_no_bit_of_any_strategy(
    cube, algorithm, strategy, tmp_path, monkeypatch
):
    monkeypatch.setattr(buffers, "LEAST_BYTES", 1)
    library = References.of_cube(cube, "other") if strategy == "ardi" else None
    prepared = prepare(cube, IMAGING, library)
    entry = ALGORITHMS[algorithm]
    method = Method(entry, entry.settings(**({"n_modes": 3} if algorithm == "pca" else {})), "mean")
    whole = [Reduction(rows, method).images() for rows in STRATEGIES[strategy].run(prepared)]
    with buffers.scratch_arrays(tmp_path):
        rows = STRATEGIES[strategy].run(prepare(cube, IMAGING, library))
        assert all(isinstance(one.frames, np.memmap) for one in rows)
        pieces = [Reduction(one, method).images() for one in rows]
    for one, other in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_residuals_say_which_exposures_they_are(cube):
    science = cube.science.copy()
    science[:, [4, 17]] = np.nan
    images = reduce(replace(cube, science=science), recipe()).images
    assert images.residuals.shape[1] == 38
    np.testing.assert_array_equal(images.residual_mjd, np.delete(cube.mjd, [4, 17]))


@pytest.mark.parametrize("channels", ["mean", "weighted"])
@pytest.mark.parametrize("varied", [False, True])
def test_a_channel_that_holds_nothing_takes_no_part(cube, channels, varied):
    science = cube.science.copy()
    # Frames of one pattern: but for round-off, nothing is left of them.
    level = 1 + 0.01 * np.arange(science.shape[1]) * varied
    science[1] = science[1, :1] * level[:, None, None].astype(np.float32)
    chosen = Recipe(
        algorithm="pca",
        imaging=IMAGING.model_copy(update={"channels": channels}),
        settings={"n_modes": 3},
    )
    result = reduce(replace(cube, science=science), chosen)
    images = result.images
    assert result.status is Status.FLAGGED
    assert "LIMITS_MISSING" in result.flags
    assert np.isnan(images.contrast[:, 1]).all()
    assert np.isnan(images.cube[1]).all()
    (alone,) = images.source_contrast
    assert abs(alone[0] / 3e-4 - 1) < 0.1
    assert np.isnan(alone[1])
    # The stack is the other channel, and so are its limits.
    np.testing.assert_allclose(images.image, images.cube[0], rtol=1e-6)
    seen = np.isfinite(images.contrast[:, 0])
    assert seen.any()
    # In an aperture of the mean width of all channels.
    np.testing.assert_allclose(images.image_contrast[seen], images.contrast[:, 0][seen], rtol=0.08)
    assert images.attrs["image_star_flux"] == pytest.approx(images.star_flux[0], rel=0.3)


def test_contrast_of_a_source_behind_the_mask_is_not_told(cube):
    method = Method(ALGORITHMS["noadi"], ALGORITHMS["noadi"].settings(), "mean")
    rows = [Rows.of_channel(channel) for channel in prepare(cube, IMAGING).channels]
    scene = SceneMaker(rows, method).scene()
    coronagraph = Transmission("N_ALC_YJH_S", "IRDIS")
    # The mask lets a tenth through at 72 mas.
    sources = [source_at(separation / scene.pixel_scale_mas) for separation in (65.0, 400.0)]
    found = source_rows(coronagraph, scene, sources)
    assert np.isnan(found.contrast[0]).all()
    assert np.isnan(found.contrast_err[0]).all()
    passed = coronagraph.at([400.0])[0]
    np.testing.assert_allclose(found.contrast[1], 1e-4 / passed)


def source_at(radius_px):
    nothing = np.zeros((4, 0))
    fit = Fit(radius_px, 0.0, np.full(2, 1e-4), nothing, nothing[:2], True, True)
    return Source(fit, 1e-4 * np.eye(4), np.array([9.0, 6.0, 7.0]))


def test_a_scale_that_is_no_number_is_an_error_of_the_data(cube):
    with pytest.raises(DataError, match="pixel scale"):
        reduce(replace(cube, pixel_scale_mas=np.array([12.25, np.nan])), recipe())


def test_thresholds_beyond_all_floats_are_never_reached_by_noise():
    area = SearchArea(4.0, 100.0, 4.0, 3.0)
    with np.errstate(invalid="raise", divide="raise", over="raise"):
        assert false_alarm_of_maximum(1e3, area) < 1e-100


def test_the_corrected_image_refers_to_the_aperture_of_the_mean_width():
    widths, contrast = np.array([3.0, 5.0]), 1e-3
    stars = [1e6 * synthetic_sequence.gaussian((81, 81), 40, 40, width) for width in widths]
    place = [synthetic_sequence.gaussian((81, 81), 60, 40, width) for width in widths]
    images = [(contrast * 1e6 * spot).astype(np.float32) for spot in place]
    radius = np.arange(1.0, 41.0)

    def flux(image, x, diameter):
        return aperture_sum(image, x, 40, diameter / 2)

    curves = [
        Curves(
            radius, np.full(40, noise), np.full(40, 20.0), np.ones(40),
            flux(star, 40, width), 1.0, flux(star, 40, 4.0),
        )
        for star, width, noise in zip(stars, widths, (1.0, 3.0), strict=True)
    ]  # fmt: skip
    corrected = corrected_image(images, curves)
    expected = contrast * np.mean([flux(star, 40, 4.0) for star in stars])
    assert flux(corrected, 60, 4.0) == pytest.approx(expected, rel=1e-4)


def test_a_channel_without_noise_of_its_own_has_no_weight():
    noise = np.array([[1.0, 1.0], [2.0, np.nan], [np.nan, np.nan]])
    found = stack_weights(noise, np.ones(3))
    np.testing.assert_allclose(found, [[0.8, 0.8], [0.2, 0.2], [0, 0]])
    np.testing.assert_allclose(stack_weights(np.full((2, 3), np.nan), np.ones(2)), 0.5)
