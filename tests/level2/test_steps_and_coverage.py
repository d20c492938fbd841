"""Cliques, steps and coverage of rows, against the plain algorithms on plain subsets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.level2.base import ArrayBase
from spheredc_hpc.level2.coverage import split_by_coverage
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.regions import ZoneSettings, plan_zones
from spheredc_hpc.level2.rows import LIBRARY, Rows, RowTable
from spheredc_hpc.level2.sequence import Channel, Star
from spheredc_hpc.registry import ALGORITHMS

SIDE, N_CHANNEL, N_TIME = 31, 3, 6
METHODS = [
    ("pca", {"n_modes": 1}),
    ("pca", {"n_modes": 1, "centre": "spatial"}),
    ("pca", {"n_modes": 1, "zones": {"annuli": 3}}),
    ("cadi", {}),
]


def method(name, **settings):
    entry = ALGORITHMS[name]
    return Method(entry, entry.settings(**settings), "mean")


def make_rows(n_library=0, **changes):
    """Rows that share a pattern, each with its own brightness and noise; no rescaling."""
    rng = np.random.default_rng(4)
    count = N_CHANNEL * N_TIME + n_library
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    zone = (np.hypot(x, y) >= 3) & (np.hypot(x, y) <= 12)
    shared = rng.standard_normal((2, SIDE, SIDE))
    weights = rng.normal((6.0, 0.0), 1.0, (count, 2))
    noise = 0.1 * rng.standard_normal((count, SIDE, SIDE))
    frames = (np.tensordot(weights, shared, 1) + noise).astype(np.float32)
    channel = np.append(np.repeat(np.arange(N_CHANNEL), N_TIME), np.zeros(n_library, int))
    time = np.append(np.tile(np.arange(N_TIME), N_CHANNEL), np.full(n_library, LIBRARY))
    angle = np.where(time >= 0, 12.0 * time, 0.0)
    offset = np.arange(15) - 7
    psf = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / 4.0)
    star = Star(Stamp.of(psf), 3.3, 1.0, 0.0)
    rotation = Rotation(angle, angle - 1, angle + 1)
    common = np.ones((SIDE, SIDE), bool)
    native = Channel(
        frames[:N_TIME],
        common,
        zone,
        rotation.of(np.arange(N_TIME)),
        star,
        *(12.0, 3.0, 12.0),
        np.ones(N_TIME),
        0.0,
    )
    table = RowTable(channel, time, rotation, np.ones(count), np.ones(count))
    return Rows(frames, common, zone, table, (native,) * N_CHANNEL, 3.0, 12.0, 3.3, **changes)


def by_time():
    return tuple(np.arange(N_CHANNEL) * N_TIME + t for t in range(N_TIME))


def by_channel():
    return tuple(np.arange(N_TIME) + k * N_TIME for k in range(N_CHANNEL))


def plain(name, settings, frames, groups, references=None):
    """Run the algorithm itself on each group of frames, annulus by annulus."""
    entry = ALGORITHMS[name]
    typed = entry.settings(**settings)
    rows = make_rows()
    zoned = getattr(typed, "zones", ZoneSettings())
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    out = np.zeros_like(flat)
    for zone in plan_zones(rows.zone, 3.0, 12.0, 3.3, zoned):
        for group in groups:
            pixels = np.ix_(group, zone.subtraction)
            other = None if references is None else flat[np.ix_(references, zone.subtraction)]
            out[pixels] = entry.run(flat[pixels], other, typed)
    return out.reshape(frames.shape)


def in_zone(frames):
    return np.asarray(frames)[:, make_rows().zone]


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_rows_of_other_cliques_are_not_seen(name, settings):
    rows = make_rows(cliques=by_time())
    found = Reduction(rows, method(name, **settings)).residuals()
    expected = plain(name, settings, rows.frames, by_time())
    # float32 pixels of about 6: their round-off is 4e-7 times that, sums of some more.
    np.testing.assert_allclose(in_zone(found), in_zone(expected), atol=2e-5)


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_two_steps_equal_two_passes(name, settings):
    rows = make_rows(cliques=by_time(), then=by_channel())
    found = Reduction(rows, method(name, **settings)).residuals()
    once = plain(name, settings, rows.frames, by_time())
    np.testing.assert_allclose(
        in_zone(found), in_zone(plain(name, settings, once, by_channel())), atol=2e-5
    )


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_library_rows_serve_and_targets_do_not(name, settings):
    rows = make_rows(n_library=9, own=False)
    found = Reduction(rows, method(name, **settings)).residuals()
    library = np.arange(N_CHANNEL * N_TIME, N_CHANNEL * N_TIME + 9)
    targets = np.arange(N_CHANNEL * N_TIME)
    expected = plain(name, settings, rows.frames, [targets], library)[targets]
    assert found.shape[0] == targets.size
    np.testing.assert_allclose(in_zone(found), in_zone(expected), atol=2e-5)


@pytest.mark.parametrize(("name", "settings"), METHODS)
def test_what_is_added_to_one_target_changes_no_other(name, settings):
    rows = make_rows(n_library=9, own=False)
    lit = rows.frames.copy()
    lit[4, 22, 15] += 3.0
    one = Reduction(rows, method(name, **settings)).residuals()
    other = Reduction(replace(rows, frames=lit), method(name, **settings)).residuals()
    rest = np.arange(len(one)) != 4
    np.testing.assert_allclose(other[rest], one[rest], atol=2e-5)
    assert np.abs(other[4] - one[4]).max() > 1


def test_two_steps_follow_a_change_of_the_gram_matrix():
    rows = make_rows(cliques=by_time(), then=by_channel())
    reduction = Reduction(rows, method("pca", n_modes=1, zones={"annuli": 3}))
    lit = rows.frames.copy()
    lit[4, 20, 15] += 3.0
    brighter = Reduction(replace(rows, frames=lit), reduction.method)
    change = [b - a for a, b in zip(reduction.sums(1), brighter.sums(1), strict=True)]
    for ours, theirs in zip(reduction.operator(1, change), brighter.operator(1), strict=True):
        # Both bases are the same rows less their own mean: the maps differ by that mean only.
        np.testing.assert_allclose(ours.matrix[..., :-2], theirs.matrix[..., :-2], atol=1e-4)


def test_a_channel_takes_no_part_where_it_has_no_data():
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    radius = np.hypot(x, y)
    covered = np.stack([radius <= 13, radius <= 13, radius <= 7.5])
    settings = {"n_modes": 1, "zones": {"annuli": 3}}
    rows = make_rows(cliques=by_time(), covered=covered, least_channels=2)
    found = Reduction(rows, method("pca", **settings)).residuals()
    inside, beyond = rows.zone & (radius < 7), rows.zone & (radius > 9.1)
    expected = plain("pca", settings, rows.frames, by_time())
    # Within the inner two annuli all channels serve wherever the third has data.
    ring = rows.zone & (radius < 6)
    np.testing.assert_allclose(found[:, ring], expected[:, ring], atol=2e-5)
    assert found[:, inside].any()
    pairs = [group[:2] for group in by_time()]
    expected = plain("pca", settings, rows.frames, pairs)
    two = rows.table.channel < 2
    np.testing.assert_allclose(found[two][:, beyond], expected[two][:, beyond], atol=2e-5)
    assert not found[~two][:, beyond].any()


def test_parts_of_zones_share_no_pixel_and_lose_none_that_enough_channels_see():
    side = 101
    y, x = np.mgrid[:side, :side] - side // 2
    radius = np.hypot(x, y)
    scales = np.linspace(1.0, 0.6, 13)
    covered = np.stack(
        [(np.maximum(abs(x), abs(y)) <= 48 * s) & (radius >= 7 * s - 2) for s in scales]
    )
    mask = (radius >= 7 * 0.6) & (radius <= 45)
    for settings in (ZoneSettings(), ZoneSettings(annulus_fwhm=2.0, sectors=3)):
        zones = plan_zones(mask, 4.2, 45.0, 3.5, settings, np.ones_like(mask))
        for least in (1, 2):
            parts = split_by_coverage(zones, covered, least)
            pixels = np.concatenate([part.zone.subtraction for part in parts])
            assert pixels.size == np.unique(pixels).size
            expected = covered.sum(axis=0) >= least
            seen = np.zeros(side * side, bool)
            seen[pixels] = True
            np.testing.assert_array_equal(seen.reshape(side, side)[mask], expected[mask])
            for part in parts:
                for k in part.channels:
                    assert covered[k].ravel()[part.zone.subtraction].all()
                    assert covered[k].ravel()[part.zone.optimisation].all()
        # Rows that stay out although they have data: a tenth at most.
        used = sum(part.zone.subtraction.size * part.channels.size for part in parts)
        assert used > 0.9 * covered[:, mask].sum()


@pytest.mark.parametrize("scales", [np.ones(9), np.linspace(1.0, 0.6, 13), np.array([1.0, 0.955])])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"annulus_fwhm": 2.0},
        {"annulus_fwhm": 1.0, "optimisation_fwhm": 2.0},
        {"annulus_fwhm": 1.5, "optimisation_area": 300.0},
    ],
)
def test_holes_in_single_channels_cost_no_pixel(scales, settings):
    side = 101
    y, x = np.mgrid[:side, :side] - side // 2
    radius = np.hypot(x, y)
    covered = np.stack([(radius <= 48 * s) & (radius >= 7 * s - 2) for s in scales])
    rng = np.random.default_rng(2)
    for k, s in enumerate(scales):
        angle, r = rng.uniform(0, 2 * np.pi), rng.uniform(10, 26) * s
        covered[k] &= np.hypot(x - r * np.cos(angle), y - r * np.sin(angle)) > 3
    mask = (radius >= 7 * scales.min()) & (radius <= 45) & covered.any(axis=0)
    zones = plan_zones(mask, 4.2, 45.0, 3.5, ZoneSettings(**settings), covered.any(axis=0))
    for least in (1, 2):
        parts = split_by_coverage(zones, covered, least)
        pixels = np.concatenate([part.zone.subtraction for part in parts])
        assert pixels.size == np.unique(pixels).size
        seen = np.zeros(side * side, bool)
        seen[pixels] = True
        expected = covered.sum(axis=0) >= least
        np.testing.assert_array_equal(seen.reshape(side, side)[mask], expected[mask])
        for part in parts:
            assert seen[part.zone.optimisation].all()
            flat = covered[part.channels].reshape(part.channels.size, -1)
            assert flat[:, part.zone.subtraction].all()
            assert flat[:, part.zone.optimisation].all()
            assert part.channels.size >= least


def test_many_holes_cut_zones_into_few_parts():
    side, rng = 121, np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] - side // 2
    scales = 0.957 / np.linspace(0.957, 1.329, 20)
    # Bad lenslets: in the same native places of every channel, streaks when speckles are aligned.
    bad = rng.uniform(-50, 50, (40, 2))
    covered = np.stack(
        [
            (np.hypot(x, y) <= 58 * s)
            & np.all([np.hypot(x - s * a, y - s * b) > 2.5 for a, b in bad], axis=0)
            for s in scales
        ]
    )
    mask = (np.hypot(x, y) >= 5) & (np.hypot(x, y) <= 45) & covered.any(axis=0)
    settings = ZoneSettings(annuli=6, sectors=4)
    zones = plan_zones(mask, 5.0, 45.0, 4.0, settings, covered.any(axis=0))
    parts = split_by_coverage(zones, covered, 2)
    assert len(parts) < 6 * len(zones)
    used = sum(part.zone.subtraction.size * part.channels.size for part in parts)
    assert used > 0.75 * covered[:, mask].sum()


def test_pixels_that_the_base_does_not_hold_are_not_given():
    rows = make_rows()
    base = Reduction(rows, method("pca", n_modes=1)).base
    beyond = np.flatnonzero(base.place < 0)
    assert beyond.size == 0
    small = ArrayBase(rows.frames, np.arange(5, 20), centred=True)
    with pytest.raises(KernelInputError, match="1 of 2 pixels"):
        small.columns(np.array([4, 5]))


@pytest.mark.parametrize("centre", ["temporal", "none"])
def test_parts_that_the_model_would_span_get_no_residual(centre):
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    radius = np.hypot(x, y)
    covered = np.stack([radius <= 13, radius <= 13, radius <= 7.5])
    rows = make_rows(cliques=by_time(), covered=covered, least_channels=2)
    found = Reduction(rows, method("pca", n_modes=1, centre=centre)).residuals()
    two = (radius > 8) & (radius < 11)
    # Two rows less their mean are one mode; without a mean one of two is left.
    assert found[:, two].any() == (centre == "none")
    level = np.abs(found[:, (radius > 4) & (radius < 7)]).mean()
    assert level > 1e-3
    if centre == "none":
        served = found[rows.table.channel < 2][:, two]
        assert np.abs(served).mean() > 1e-3


def test_zones_that_no_channels_share_are_an_error():
    x = np.mgrid[:SIDE, :SIDE][1] - SIDE // 2
    covered = np.stack([x < -5, abs(x) <= 4, x > 5])
    rows = make_rows(cliques=by_time(), covered=covered, least_channels=2)
    with pytest.raises(DataError, match="no zone is left"):
        Reduction(rows, method("pca", n_modes=1))
