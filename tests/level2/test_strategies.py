"""Strategies on simulated multi-wavelength sequences with known companions."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import synthetic_ifs

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.spectra import relative_contrast
from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.level2.alignment import aligned_rows, speckle_scales
from spheredc_hpc.level2.engine import Companion, Method, Reduction
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.references import References
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.level2.spectrum import companion_spectrum
from spheredc_hpc.level2.throughput import Injection, measure_throughput
from spheredc_hpc.model.product import Status
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES
from spheredc_hpc.store.images import SOURCE_COLUMNS

WAVES = synthetic_ifs.wavelengths(5)
METHANE = np.array([0.0, 0.0, 0.0, 1.0, 0.0])
FLAT = np.ones(5)
IMAGING = ImagingSettings(inner_mas=100, outer_mas=380, throughput_branches=2)
# For what is not about sources: no peak is worth a fit.
UNSEARCHED = IMAGING.model_copy(update={"detection_snr": 1e3, "throughput_branches": 1})
KLIP = {"n_modes": 3, "zones": {"annulus_fwhm": 2.0}}
# Separation [mas], position angle [deg], mean contrast, spectrum.
COMPANIONS = ((200.0, 50.0, 4e-5, FLAT), (320.0, 210.0, 1e-5, METHANE))
STRATEGY_NAMES = ("sdi", "asdi", "asdi-two-step")
SEARCHED = ("sdi", "asdi-two-step")


def simulated(companions=(), **changes):
    settings = {"seed": 3, "wavelength_um": WAVES, "n_time": 6, "side": 121, "noise": 1e-6}
    listed = [(s, a, c * 5 / f.sum() * f) for s, a, c, f in companions]
    return synthetic_ifs.sequence(companions=listed, **(settings | changes))


def recipe(strategy, algorithm="klip", imaging=IMAGING, **settings):
    chosen = settings or (KLIP if algorithm == "klip" else {})
    return Recipe(algorithm=algorithm, strategy=strategy, imaging=imaging, settings=chosen)


@pytest.fixture(scope="module")
def empty():
    return simulated()


@pytest.fixture(scope="module")
def cube():
    return simulated(COMPANIONS)


@pytest.fixture(scope="module")
def results(cube):
    return {name: reduce(cube, recipe(name)) for name in SEARCHED}


def images_of(cube, strategy, algorithm="klip", library=None, **settings):
    """Final images of all channels and nothing else."""
    chosen = recipe(strategy, algorithm, **settings)
    entry = ALGORITHMS[algorithm]
    method = Method(entry, chosen.settings, "mean")
    rows = STRATEGIES[strategy].run(prepare(cube, chosen.imaging, library))
    return np.concatenate([Reduction(one, method).images() for one in rows])


def place(separation_mas, angle_deg):
    radius, angle = separation_mas / synthetic_ifs.SCALE_MAS, np.deg2rad(angle_deg)
    return -radius * np.sin(angle), radius * np.cos(angle)


# ------------------------------------------------------------------ alignment


def test_speckles_of_all_channels_coincide_when_aligned(empty):
    channels = prepare(empty, IMAGING).channels
    rows = aligned_rows(channels)
    frames = rows.frames.reshape(5, 6, *rows.frames.shape[1:])
    shared = rows.covered.all(axis=0) & rows.zone

    def likeness(one, other):
        return np.corrcoef(one[shared], other[shared])[0, 1]

    # The second order of the aberrations does not scale: a few per cent of the first.
    assert likeness(frames[0, 2], frames[4, 2]) > 0.97
    assert likeness(channels[0].frames[2], channels[4].frames[2]) < 0.5
    np.testing.assert_allclose(speckle_scales(channels), WAVES[0] / WAVES, rtol=1e-12)


def test_rows_are_equally_bright_and_images_have_the_unit_of_the_cube():
    empty = simulated(noise=0.0)
    rows = aligned_rows(prepare(empty, IMAGING).channels)
    shared = rows.covered.all(axis=0) & rows.zone
    means = rows.frames[:, shared].reshape(5, 6, -1).mean(axis=1)
    level = np.sqrt((means**2).mean(axis=1))
    np.testing.assert_allclose(level, level[0], rtol=1e-3)
    # Rotated and stacked, aligned and back or not: equal but for one more interpolation, away
    # from the edge of what is covered.
    there_and_back = images_of(empty, "asdi", "noadi")
    native = images_of(empty, "adi", "noadi")
    y, x = np.mgrid[: native.shape[1], : native.shape[1]] - native.shape[1] // 2
    inside = (np.hypot(x, y) > 26) & (np.hypot(x, y) < 38)
    for one, other in zip(there_and_back, native, strict=True):
        assert (one - other)[inside].std() < 0.01 * other[inside].std()


def test_pixels_without_enough_channels_are_not_called_valid(empty):
    wide = ImagingSettings(inner_mas=60, outer_mas=450)
    rows = STRATEGIES["sdi"].run(prepare(empty, wide))[0]
    entry = ALGORITHMS["klip"]
    reduction = Reduction(rows, Method(entry, entry.settings(**KLIP), "mean"))
    residuals = reduction.residuals().reshape(5, 6, rows.side, rows.side)
    seen = reduction.imaging.seen
    assert not residuals[:, :, ~seen.any(axis=0)].any()
    for k in range(5):
        assert np.all(residuals[k][:, seen[k]] != 0)
        assert not residuals[k][:, ~seen[k]].any()
    # The shortest wavelength reaches further out than any reference.
    alone = rows.covered[0] & ~rows.covered[1:].any(axis=0)
    assert alone.any()
    assert not seen[0][alone].any()


@pytest.mark.parametrize("scales", [np.linspace(7.46, 7.9, 5), np.linspace(7.9, 7.46, 5)])
@pytest.mark.parametrize("strategy", ["adi", "sdi"])
def test_channels_of_different_pixel_scales_are_stacked_in_register(strategy, scales):
    # A companion on the middle of a pixel of the images, as the star is on its own.
    x, y = -30.0, 14.0
    separation, angle = np.hypot(x, y) * scales[0], np.rad2deg(np.arctan2(-x, y))
    companions = [(separation, angle, 1e-2, FLAT)]
    cube = simulated(companions, scale_mas=scales, n_time=3, smear_deg=0.0, noise=0.0)
    images = images_of(cube, strategy, "noadi")
    stars = [c.star for c in prepare(cube, IMAGING).channels]
    middle = images.shape[-1] // 2
    for k, (image, star) in enumerate(zip(images, stars, strict=True)):
        width = star.fwhm_px * scales[k] / scales[0]
        flux = aperture_sum(image, middle + x, middle + y, width / 2)
        # The halo under the companion is a thousandth of it.
        assert flux / star.flux == pytest.approx(1e-2, rel=0.01)
        for dx, dy in ((0.5, 0.0), (0.0, 0.5)):
            moved = aperture_sum(image, middle + x + dx, middle + y + dy, width / 2)
            back = aperture_sum(image, middle + x - dx, middle + y - dy, width / 2)
            # A tenth of a pixel between the two would be 5 %.
            assert moved == pytest.approx(back, rel=0.01)


# ------------------------------------------------------------------ companions


@pytest.mark.parametrize("strategy", SEARCHED)
def test_flat_and_methane_companions_are_found_where_they_are(results, strategy):
    images = results[strategy].images
    assert len(images.sources) == len(COMPANIONS)
    for separation, angle, contrast, spectrum in COMPANIONS:
        column = images.sources[:, SOURCE_COLUMNS.index("separation_mas")]
        at = int(np.argmin(np.abs(column - separation)))
        named = dict(zip(SOURCE_COLUMNS, images.sources[at], strict=True))
        assert named["snr"] > 10
        offset = np.hypot(
            named["separation_mas"] - separation,
            np.deg2rad(named["position_angle_deg"] - angle) * separation,
        )
        error = np.hypot(named["x_err_px"], named["y_err_px"])
        assert offset / synthetic_ifs.SCALE_MAS < max(0.2, 3 * error)
        truth = contrast * 5 / spectrum.sum() * spectrum
        found, sigma = images.source_contrast[at], images.source_contrast_err[at]
        assert np.all(np.abs(found - truth) < np.maximum(0.1 * truth, 4 * sigma))


@pytest.mark.parametrize(
    ("strategy", "spectrum"), [("sdi", METHANE), ("asdi", FLAT), ("asdi-two-step", METHANE)]
)
def test_throughput_is_that_of_simulated_companions(empty, strategy, spectrum):
    # Companions put in by the simulator, which shares no code with the injections: what
    # arrives on average over five position angles. Azimuths differ from each other by 5 %.
    separation, contrast = 250.0, 2e-6
    prepared = prepare(empty, IMAGING)
    rows = STRATEGIES[strategy].run(prepared)[0]
    entry = ALGORITHMS["klip"]
    reduction = Reduction(rows, Method(entry, entry.settings(**KLIP), "mean"))
    before = reduction.images()
    injection = Injection(branches=5, spectrum=spectrum)
    ours = measure_throughput(reduction, before, injection)
    ours = ours.at(np.array([separation / synthetic_ifs.SCALE_MAS]))[:, 0]
    arrived = []
    for angle in np.arange(5) * 72.0 + 17.0:
        with_it = simulated([(separation, angle, contrast * spectrum.mean(), spectrum)])
        change = images_of(with_it, strategy) - before
        x, y = place(separation, angle)
        middle = change.shape[-1] // 2
        arrived.append(
            [
                aperture_sum(image, middle + x, middle + y, channel.star.fwhm_px / 2)
                / (contrast * channel.star.flux)
                for image, channel in zip(change, prepared.channels, strict=True)
            ]
        )
    truth = np.mean(arrived, axis=0)
    lit = spectrum > 0
    np.testing.assert_allclose(ours[lit], truth[lit], rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["sdi", "asdi"])
@pytest.mark.parametrize("name", ["star", "t-type"])
def test_throughput_near_and_far_is_that_of_exact_injection(strategy, name):
    imaging = ImagingSettings(inner_mas=100, outer_mas=880, companion_spectrum=name)
    waves = synthetic_ifs.wavelengths(9)
    wide = synthetic_ifs.sequence(
        seed=2, wavelength_um=waves, n_time=10, side=255, rotation_deg=45.0, noise=1e-6
    )
    prepared = prepare(wide, imaging)
    spectrum = companion_spectrum(name, prepared.channels).contrast
    rows = STRATEGIES[strategy].run(prepared)[0]
    entry = ALGORITHMS["klip"]
    reduction = Reduction(rows, Method(entry, entry.settings(**KLIP), "mean"))
    images = reduction.images()
    asked = Injection(branches=3, spectrum=spectrum)
    exact = measure_throughput(reduction, images, replace(asked, how="injection"))
    ours = measure_throughput(reduction, images, asked)
    radii = np.array([200.0, 800.0]) / synthetic_ifs.SCALE_MAS
    lit = spectrum > 0.3 * spectrum.max()
    np.testing.assert_allclose(ours.at(radii)[lit], exact.at(radii)[lit], rtol=0.05)


@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_responses_are_those_of_companions_in_single_channels(empty, strategy):
    rows = STRATEGIES[strategy].run(prepare(empty, IMAGING))[0]
    entry = ALGORITHMS["klip"]
    reduction = Reduction(rows, Method(entry, entry.settings(**KLIP), "mean"))
    x, y = place(250.0, 100.0)
    points = np.round(x) + np.array([0.0, 1.0, -4.0]), np.round(y) + np.array([0.0, 1.0, 3.0])
    patch = Patch(reduction, *points)
    held = patch.held()
    found = patch.responses(held, x, y)
    np.testing.assert_allclose(
        patch.through(held, [Companion(x, y, 1.0)]), found.sum(axis=0), atol=1e-5 * found.max()
    )
    before = patch.evaluate(frozen=True)
    for k in range(5):
        lit = Companion(x, y, 1e-4 * np.eye(5)[k])
        expected = (patch.evaluate([lit], frozen=True) - before) / 1e-4
        # Single precision of frames with speckles of 1e-5 beside a companion of 1e-4.
        np.testing.assert_allclose(found[k], expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("strategy", SEARCHED)
def test_the_stack_is_consistent_with_its_channels(cube, results, strategy):
    images = results[strategy].images
    np.testing.assert_allclose(
        images.image[images.mask], images.cube.mean(axis=0)[images.mask], rtol=1e-4, atol=1e-3
    )
    weights = stack_fluxes(cube, images)
    expected = (weights[:, None] / weights.sum() * images.throughput).sum(axis=0)
    np.testing.assert_allclose(images.image_throughput, expected, rtol=2e-3)
    assert images.attrs["image_star_flux"] == pytest.approx(weights.mean(), rel=5e-3)
    for name in ("throughput_t_type", "contrast_t_type", "image_contrast_t_type"):
        assert getattr(images, name).shape == getattr(images, name.replace("_t_type", "")).shape
    assert images.attrs["companion_spectrum"] == "star"
    assert results[strategy].quality["companion_spectrum"] == "star"


@pytest.mark.parametrize("name", ["star", "t-type"])
@pytest.mark.parametrize("last_um", [1.329, 1.66])
def test_flux_of_the_stack_is_that_of_its_aperture(name, last_um):
    # No noise and no subtraction: what arrives is what was put in. The PSF of the last channel
    # is up to 1.7 times as wide as that of the first.
    waves = np.linspace(0.957, last_um, 5)
    light = np.ones(5) if name == "star" else relative_contrast(name, waves, np.gradient(waves))
    light = 1e-4 * light / light.mean()
    shape = {"seed": 2, "wavelength_um": waves, "n_time": 5, "side": 101, "noise": 0}
    shape |= {"rotation_deg": 40.0, "smear_deg": 0.0, "dtype": np.float64}
    imaging = UNSEARCHED.model_copy(update={"outer_mas": 330, "companion_spectrum": name})
    recipes = Recipe(algorithm="noadi", strategy="none", imaging=imaging)
    without, lit = (
        reduce(replace(cube, science=cube.science.astype(np.float32)), recipes).images
        for cube in (
            synthetic_ifs.sequence(**shape),
            synthetic_ifs.sequence(**shape, companions=[(230.0, 50.0, light)]),
        )
    )
    middle, radius = lit.image.shape[0] // 2, lit.fwhm_px.mean() / 2
    x, y = place(230.0, 50.0)
    found = aperture_sum(lit.image - without.image, middle + x, middle + y, radius)
    star = stack_fluxes(synthetic_ifs.sequence(**shape), lit)
    assert found / np.mean(light * star) == pytest.approx(1.0, abs=0.01)
    at = int(np.argmin(np.abs(without.separation_mas - 230.0)))
    assert without.image_throughput[at] == pytest.approx(1.0, abs=0.02)


def stack_fluxes(cube, images):
    """What the star has in the aperture of the stack, that of the mean width."""
    middle, radius = cube.psf.shape[-1] // 2, images.fwhm_px.mean() / 2
    return np.array([aperture_sum(psf[0], middle, middle, radius) for psf in cube.psf])


@pytest.mark.parametrize("name", ["star", "t-type"])
def test_a_companion_at_the_limit_has_five_sigma_in_the_stack(name):
    noisy = simulated(noise=6e-6)
    imaging = UNSEARCHED.model_copy(update={"companion_spectrum": name})
    limits = reduce(noisy, recipe("sdi", imaging=imaging)).images
    separation = 300.0
    at = int(np.argmin(np.abs(limits.separation_mas - separation)))
    contrast = limits.image_contrast[0, at]
    spectrum = companion_spectrum(name, prepare(noisy, imaging).channels).contrast
    middle, width = limits.image.shape[0] // 2, limits.fwhm_px.mean()

    def flux(image, x, y):
        return aperture_sum(image, middle + x, middle + y, width / 2)

    arrived = []
    for angle in (20.0, 140.0, 260.0):
        lit = simulated([(separation, angle, contrast, spectrum)], noise=6e-6)
        change = images_of(lit, "sdi").mean(axis=0) - limits.image
        arrived.append(flux(change, *place(separation, angle)))
    y, x = np.mgrid[: limits.image.shape[0], : limits.image.shape[0]] - middle
    ring = np.abs(np.hypot(x, y) - separation / synthetic_ifs.SCALE_MAS) < 4
    noise = np.std([flux(limits.image, *xy) for xy in zip(x[ring], y[ring], strict=True)])
    # Noise from some 30 independent apertures is known to 13 %.
    assert np.mean(arrived) / noise == pytest.approx(5.0, rel=0.2)


def test_weights_keep_a_bad_channel_out_of_the_stack(empty):
    science = empty.science.copy()
    rng = np.random.default_rng(8)
    science[2] += 30 * science[2].std(axis=(0, 1)).mean() * rng.standard_normal(science[2].shape)
    bad = replace(empty, science=science.astype(np.float32))
    found = {
        way: reduce(
            bad, recipe("adi", imaging=UNSEARCHED.model_copy(update={"channels": way}))
        ).images
        for way in ("mean", "weighted")
    }
    ratio = found["weighted"].image_contrast / found["mean"].image_contrast
    assert np.nanmedian(ratio) < 0.2
    np.testing.assert_array_equal(found["weighted"].cube, found["mean"].cube)


def test_two_channels_are_reduced_by_the_same_code():
    # IRDIS in H2 and H3, with the pixel scales of its two fields.
    bands = np.array([1.593, 1.667])
    companions = [(600.0, 200.0, np.array([4e-5, 0.0]))]
    cube = synthetic_ifs.sequence(
        seed=4, n_time=6, side=171, wavelength_um=bands, scale_mas=np.array([12.255, 12.250]),
        companions=companions, noise=1e-6, smear_deg=0.5,
    )  # fmt: skip
    imaging = ImagingSettings(inner_mas=200, outer_mas=980, throughput_branches=1)
    images = reduce(cube, recipe("sdi", imaging=imaging)).images
    (found,) = images.sources
    named = dict(zip(SOURCE_COLUMNS, found, strict=True))
    assert named["separation_mas"] == pytest.approx(600.0, abs=0.2 * 12.25)
    limit = np.maximum([4e-6, 0.0], 4 * images.source_contrast_err[0])
    assert np.all(np.abs(images.source_contrast[0] - companions[0][2]) < limit)
    # Without light in one channel, the other one is not subtracted from itself.
    at = np.argmin(np.abs(images.separation_mas - 600.0))
    assert images.throughput_t_type[0, at] > images.throughput[0, at]


# ------------------------------------------------------------------ several mode counts


def test_several_mode_counts_equal_single_runs(empty):
    imaging = UNSEARCHED.model_copy(update={"keep_residuals": True})
    many = reduce(empty, recipe("asdi", imaging=imaging, **KLIP, also_modes=(1, 6))).images
    np.testing.assert_array_equal(many.modes, [3, 1, 6])
    np.testing.assert_array_equal(many.cube_by_modes[0], many.cube)
    assert many.snr_by_modes.shape == many.cube_by_modes.shape
    one = images_of(empty, "asdi", n_modes=6, zones=KLIP["zones"])
    good = np.isfinite(one)
    # Both are float32 products of coefficients that differ in round-off.
    np.testing.assert_allclose(many.cube_by_modes[2][good], one[good], atol=2e-4)
    assert many.residuals.shape == (5, 6, *one.shape[1:])
    stacked = many.residuals.mean(axis=1)
    np.testing.assert_allclose(stacked[:, many.mask], many.cube[:, many.mask], atol=2e-4)


def test_one_and_two_threads_give_equal_arrays(cube, results):
    two = reduce(cube, recipe("sdi"), threads=2).images
    for field in fields(two):
        value = getattr(two, field.name)
        if isinstance(value, np.ndarray):
            expected = getattr(results["sdi"].images, field.name)
            np.testing.assert_array_equal(value, expected, err_msg=field.name)


# ------------------------------------------------------------------ reference stars


def references(**changes):
    """Another star behind the same optics: other noise, no companion, half as bright."""
    other = simulated(n_time=12, drift=0.35, **changes)
    return References.of_cube(replace(other, science=other.science * np.float32(0.5)), "other")


@pytest.mark.parametrize(
    ("algorithm", "rotation_deg"), [("pca", 40.0), ("klip", 0.0), ("cadi", 0.0)]
)
def test_reference_stars_leave_companions_whole(algorithm, rotation_deg):
    library = references()
    settings = {} if algorithm == "cadi" else {"n_modes": 3}
    still = simulated(rotation_deg=rotation_deg)
    lit = simulated([(260.0, 80.0, 3e-5, FLAT)], rotation_deg=rotation_deg)
    before = images_of(still, "rdi", algorithm, library, **settings)
    result = reduce(lit, recipe("rdi", algorithm, **settings), references=library)
    assert result.status is Status.OK, result.reasons
    images = result.images
    x, y = place(260.0, 80.0)
    middle = images.image.shape[0] // 2
    for k in range(5):
        change = images.cube[k] - before[k]
        flux = aperture_sum(change, middle + x, middle + y, images.fwhm_px[k] / 2)
        # Smearing over 0.8 deg takes 0.5 %; three modes fit little of a point source.
        assert flux / (3e-5 * images.star_flux[k]) > (0.98 if algorithm == "cadi" else 0.9)
    assert len(images.sources) == 1
    limit = np.maximum(3e-6, 4 * images.source_contrast_err[0])
    assert np.all(np.abs(images.source_contrast[0] - 3e-5) < limit)
    if rotation_deg == 0:
        rejected = reduce(lit, recipe("adi", algorithm))
        assert rejected.status is Status.REJECTED
        assert "field rotation 0.00 deg" in rejected.reasons[0]


def test_own_frames_and_references_serve_together(cube):
    both = reduce(
        cube, recipe("ardi", "pca", UNSEARCHED, n_modes=3), references=references()
    ).images
    own = reduce(cube, recipe("adi", "pca", UNSEARCHED, n_modes=3)).images
    # More frames without the companion in the same place: less of it is subtracted.
    near = both.separation_mas < 200
    assert (both.image_throughput[near] > own.image_throughput[near]).all()


def test_bad_references_are_left_out_and_gaps_closed(cube):
    library = references()
    frames = library.frames.copy()
    frames[:, 3] = np.nan
    frames[0, 5, 55:60, 70] = np.nan
    frames[2, 7] = 5.0
    chosen = recipe("rdi", "pca", UNSEARCHED)
    result = reduce(cube, chosen, references=replace(library, frames=frames))
    assert any(
        "2 references with too few valid pixels or one value in all: other:3, other:7" in r
        for r in result.reasons
    )
    assert np.isfinite(result.images.cube[:, result.images.mask]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: replace(r, frames=r.frames[:, :, :-2]), r"shape \(5, 119, 121\)"),
        (lambda r: replace(r, frames=r.frames[:, :0], labels=()), "at least one reference"),
        (lambda r: replace(r, labels=r.labels[1:]), "11 labels for 12 references"),
        (lambda r: replace(r, pixel_scale_mas=r.pixel_scale_mas * 1.1), "pixel_scale_mas 8.2060"),
        (lambda r: replace(r, wavelength_um=r.wavelength_um[::-1]), "channel 0: wavelength_um"),
        (lambda r: replace(r, wavelength_um=r.wavelength_um[1:]), "wavelength_um has shape"),
        (lambda r: replace(r, frames=np.full_like(r.frames, np.nan)), "none of 12 references"),
    ],
)
def test_references_that_do_not_fit_are_refused(empty, change, message):
    with pytest.raises(DataError, match=message):
        reduce(empty, recipe("rdi", "pca"), references=change(references()))


# ------------------------------------------------------------------ what cannot be done


def one_channel(cube, k=0):
    changes = {
        field.name: getattr(cube, field.name)[k : k + 1]
        for field in fields(cube)
        if isinstance(getattr(cube, field.name), np.ndarray)
        and getattr(cube, field.name).shape[0] == WAVES.size
    }
    return replace(cube, **changes)


def test_without_its_psf_a_channel_still_takes_part_in_the_throughput_of_the_others(empty):
    psf = empty.psf.copy()
    psf[1] = np.nan
    whole, lame = (
        reduce(cube, recipe("sdi", "klip", UNSEARCHED, n_modes=1)).images.throughput[0]
        for cube in (empty, replace(empty, psf=psf))
    )
    seen = np.isfinite(whole)
    assert whole[seen].min() < 0.9
    # Its flux is told by its halo and its shape is a Gaussian: near enough.
    np.testing.assert_allclose(lame[seen], whole[seen], rtol=0.1)


@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_one_channel_is_rejected_with_its_reason(empty, strategy):
    result = reduce(one_channel(empty), recipe(strategy))
    assert result.status is Status.REJECTED
    assert f"strategy {strategy} needs at least 2 channels, the cube has 1" in result.reasons[0]


def test_wavelengths_that_are_not_known_or_too_alike_are_rejected(empty):
    unknown = replace(empty, wavelength_um=np.full(5, np.nan))
    assert "needs the wavelength" in reduce(unknown, recipe("sdi")).reasons[0]
    alike = replace(empty, wavelength_um=np.linspace(1.0, 1.01, 5))
    assert "less than one FWHM" in reduce(alike, recipe("asdi")).reasons[0]


def test_without_a_mean_as_many_modes_as_channels_less_one_leave_something(empty):
    result = reduce(empty, recipe("sdi", "pca", n_modes=4, centre="none"))
    assert result.status is not Status.REJECTED
    assert np.nanstd(result.images.cube) > 0


def test_strategies_that_lack_what_they_need_are_rejected(empty):
    assert "needs references" in reduce(empty, recipe("rdi", "pca")).reasons[0]
    assert "other than none" in reduce(empty, recipe("none", "pca")).reasons[0]
    many = reduce(empty, recipe("sdi", "pca", n_modes=4))
    assert "4 modes of 5 channels leave nothing" in many.reasons[0]
    every = reduce(empty, recipe("sdi", "pca", n_modes=5, centre="none"))
    assert "5 modes of 5 channels leave nothing" in every.reasons[0]
    also = reduce(empty, recipe("sdi", "pca", n_modes=1, also_modes=[4]))
    assert "4 modes of 5 channels leave nothing" in also.reasons[0]
    sparse = reduce(empty, recipe("rdi", "llsg"), references=references())
    assert "llsg splits frames by what they share" in sparse.reasons[0]
    short = reduce(empty, recipe("rdi", "pca", n_modes=20), references=references())
    assert "20 modes of 12 references" in short.reasons[0]
