"""Blind search beside bright sources that are subtracted strongly."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic_ifs
import synthetic_sequence

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.level2 import search
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.model.product import Status
from spheredc_hpc.store.images import SOURCE_COLUMNS

COMPANIONS = ((160.0, 0.0, 2e-5), (230.0, 101.0, 1e-5), (310.0, 202.0, 6e-6), (400.0, 303.0, 4e-6))


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "turn"), [("klip", 240.0), ("tloci", 120.0)])
def test_sources_are_found_once_in_two_steps_and_their_lobes_are_not(algorithm, turn):
    listed = [(s, (a + turn) % 360, c) for s, a, c in COMPANIONS]
    cube = synthetic_ifs.sequence(
        seed=1000,
        wavelength_um=synthetic_ifs.wavelengths(13),
        n_time=16,
        side=147,
        rotation_deg=50.0,
        companions=listed,
    )
    imaging = ImagingSettings(outer_mas=470, throughput_branches=1, throughput="frozen")
    recipe = Recipe(algorithm=algorithm, strategy="asdi-two-step", imaging=imaging)
    images = reduce(cube, recipe).images
    rows = [dict(zip(SOURCE_COLUMNS, row, strict=True)) for row in images.sources]
    assert len(rows) == len(listed)
    middle, scale = images.image.shape[0] // 2, images.pixel_scale_mas[0]
    for separation, angle, contrast in listed:
        x = middle - separation / scale * np.sin(np.deg2rad(angle))
        y = middle + separation / scale * np.cos(np.deg2rad(angle))
        (found,) = [i for i, r in enumerate(rows) if np.hypot(r["x_px"] - x, r["y_px"] - y) < 0.2]
        np.testing.assert_allclose(images.source_contrast[found], contrast, rtol=0.1)


IMAGING = ImagingSettings(outer_mas=600, throughput_branches=1, throughput="frozen")


@pytest.fixture(scope="module")
def empty():
    return synthetic_sequence.sequence(seed=3, n_wave=2, n_time=16, side=115)


def with_light(cube, *companions, brighter=1.0):
    """The cube with companions; the second channel has a halo that is so much brighter."""
    shape = {"seed": 3, "n_wave": 2, "n_time": 16, "side": 115}
    lit = synthetic_sequence.sequence(**shape, companions=list(companions)).science
    science = cube.science * np.array([1.0, brighter])[:, None, None, None]
    return replace(cube, science=(science + lit - cube.science).astype(np.float32))


def column(images, name):
    return images.sources[:, SOURCE_COLUMNS.index(name)]


def peak_at(images, values, separation_mas, angle_deg):
    middle, r = images.image.shape[0] // 2, separation_mas / synthetic_sequence.SCALE_MAS
    turn = np.deg2rad(angle_deg)
    x, y = round(middle - r * np.sin(turn)), round(middle + r * np.cos(turn))
    return np.nanmax(values[..., y - 1 : y + 2, x - 1 : x + 2])


def test_a_source_of_one_channel_keeps_its_place_and_its_snr(empty):
    # Of S/N 6 in its own channel, of no significance in the mean with the noisier one.
    cube = with_light(empty, (400.0, 70.0, (1.6e-5, 0.0)), brighter=3.0)
    recipe = Recipe(algorithm="pca", settings={"n_modes": 5}, imaging=IMAGING)
    images = reduce(cube, recipe).images
    assert peak_at(images, images.image_snr, 400, 70) < 4
    assert len(images.sources) == 1
    # The map is of whole pixels; the source is measured at its place.
    expected = peak_at(images, images.snr_gaussian[0], 400, 70)
    assert 5.5 < expected < 7
    assert column(images, "snr")[0] == pytest.approx(expected, abs=0.3)


def test_weights_of_channels_are_those_without_the_sources(empty):
    # A bright methane companion makes its channel look noisy on the ring that both share.
    cube = with_light(empty, (400.0, 70.0, (1e-3, 0.0)), (400.0, 250.0, (4.5e-5, 4.5e-5)))
    imaging = IMAGING.model_copy(update={"channels": "weighted"})
    recipe = Recipe(algorithm="klip", settings={"n_modes": 3}, imaging=imaging)
    images = reduce(cube, recipe).images
    assert sorted(np.rint(column(images, "position_angle_deg"))) == [70, 250]


def test_a_search_that_ends_early_says_so(empty, monkeypatch):
    listed = [(300.0 + 100 * k, 100.0 * k, (4e-4, 4e-4)) for k in range(3)]
    recipe = Recipe(algorithm="klip", settings={"n_modes": 3}, imaging=IMAGING)
    whole = reduce(with_light(empty, *listed), recipe)
    assert len(whole.images.sources) == 3
    assert "SOURCES_LEFT" not in whole.flags
    monkeypatch.setattr(search, "_BATCH", 1)
    monkeypatch.setattr(search, "_MAX_SOURCES", 2)
    short = reduce(with_light(empty, *listed), recipe)
    assert len(short.images.sources) == 2
    assert short.status is Status.FLAGGED
    assert "SOURCES_LEFT" in short.flags
    assert any("ended after 2 sources" in reason for reason in short.reasons)


@pytest.mark.slow
def test_a_crowded_field_is_taken_apart():
    rng = np.random.default_rng(0)
    listed = []
    while len(listed) < 26:
        separation, angle = rng.uniform(300, 950), rng.uniform(0, 360)
        place = separation * np.exp(1j * np.deg2rad(angle))
        if all(abs(place - s * np.exp(1j * np.deg2rad(a))) > 130 for s, a, _ in listed):
            listed.append((separation, angle, (4e-4,)))
    cube = synthetic_sequence.sequence(
        seed=3, n_wave=1, n_time=12, side=181, companions=listed, fwhm=(4.0,)
    )
    imaging = IMAGING.model_copy(update={"outer_mas": 1000})
    images = reduce(cube, Recipe(algorithm="klip", settings={"n_modes": 3}, imaging=imaging)).images
    assert len(images.sources) == len(listed)
    for separation, angle, _ in listed:
        gap = np.hypot(
            column(images, "separation_mas") - separation,
            np.deg2rad((column(images, "position_angle_deg") - angle + 180) % 360 - 180)
            * separation,
        )
        assert gap.min() < 0.5 * synthetic_sequence.SCALE_MAS
