"""The engine against plain repetitions of what each method is defined to do."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import array_api_strict
import numpy as np
import pytest

from spheredc_hpc.kernels.combine import combine_frames
from spheredc_hpc.kernels.inject import Rotation, Stamp, add_companion
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2 import imaging
from spheredc_hpc.level2.engine import Companion, Method, Reduction
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.rows import Rows, RowTable
from spheredc_hpc.level2.sequence import Channel, Star
from spheredc_hpc.registry import ALGORITHMS

SIDE = 51
FWHM = 4.0
INNER, OUTER = 3.0, 21.0


def radius_map(side=SIDE):
    y, x = np.mgrid[:side, :side] - side // 2
    return np.hypot(x, y)


def gaussian(side, fwhm):
    return np.exp(-4 * np.log(2) * radius_map(side) ** 2 / fwhm**2)


def rotation_of(angles, smear_deg=0.0):
    angles = np.asarray(angles, float)
    return Rotation(angles, angles - smear_deg / 2, angles + smear_deg / 2)


def frames_of(seed, count, side=SIDE):
    """A bright static pattern, a few drifting ones, noise; smooth as optics makes them."""
    rng = np.random.default_rng(seed)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    low = np.fft.fft2(rng.standard_normal((7 + count, side, side))) * np.exp(-60 * k**2)
    smooth = np.fft.ifft2(low).real
    smooth /= smooth.std()
    walks = np.cumsum(rng.standard_normal((count, 6)), axis=0)
    frames = 300 * smooth[0] + 20 * np.tensordot(walks, smooth[1:7], 1) + 5 * smooth[7:]
    return (frames / (1 + radius_map(side) / 8)).astype(np.float32)


def channel_of(frames, angles, field=None, smear_deg=0.0, weight=None):
    count, side = frames.shape[:2]
    whole = np.ones((side, side), bool)
    zone = (radius_map(side) >= INNER) & (radius_map(side) <= OUTER)
    common = whole if field is None else field
    return Channel(
        frames,
        common,
        zone & common,
        rotation_of(angles, smear_deg),
        Star(Stamp.of(gaussian(21, FWHM)), FWHM, float("nan"), 0.0),
        12.25,
        INNER,
        OUTER,
        np.linspace(1, 2, count) if weight is None else weight,
        0.0,
    )


def method_of(name, combination="mean", rotation="fft", **settings):
    entry = ALGORITHMS[name]
    return Method(entry, entry.settings(**settings), combination, rotation)


@pytest.fixture(scope="module")
def channel():
    return channel_of(frames_of(1, 14), np.linspace(-10, 95, 14))


@pytest.mark.parametrize("rotation", ["fft", "interpolated"])
@pytest.mark.parametrize("combination", ["mean", "median", "weighted"])
@pytest.mark.parametrize("outer", [26.0, 31.0, 45.0])
def test_corners_hold_what_frames_saw_or_nothing(outer, combination, rotation):
    # A turned frame has nothing to show beyond its edge: no value of zero may get into an image.
    flat = channel_of(np.full((12, SIDE, SIDE), 7, np.float32), np.linspace(0, 90, 12))
    wide = replace(flat, outer_px=outer, zone=radius_map() >= INNER)
    image = Reduction(wide, method_of("noadi", combination, rotation)).image()
    seen = np.isfinite(image)
    # Next to its edge an interpolated frame is off by less than the ringing of a step, 10 %, and
    # a pixel across it has half of the value in the frame in question.
    assert np.abs(image[seen] / 7 - 1).max() < 0.2
    assert seen[(radius_map() >= INNER) & (radius_map() <= min(outer, SIDE // 2))].all()
    if outer > 26:
        # In a quarter of a turn, pixels some way into the corners are seen half of the time.
        assert seen[radius_map() > SIDE // 2 + 1].any()


# ---------------------------------------------------------------- brute force


def zone_masks(sectors):
    """Annuli of two FWHM, cut into equal sectors from the +x axis on, with their radii."""
    radius = radius_map()
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    azimuth = np.mod(np.arctan2(y, x), 2 * np.pi)
    # 18 px in annuli of 8 px: two, the second up to the edge.
    edges = [INNER, INNER + 8, OUTER]
    for low, high in pairwise(edges):
        last = high == OUTER
        ring = (radius >= low) & ((radius <= high) if last else (radius < high))
        for k in range(sectors):
            step = 2 * np.pi / sectors
            # Pixels on an edge, such as those on an axis, belong to the sector that begins there.
            inside = np.floor(azimuth / step + 1e-9).astype(int) % sectors == k
            yield ring & inside, 0.5 * (low + high)


def brute_force(channel, sectors, centre, exclusion, n_modes):
    """Residuals frame by frame and zone by zone, as the papers write them."""
    frames = channel.frames.astype(np.float64)
    angles = np.deg2rad(channel.rotation.middle_deg)
    out = np.full(frames.shape, np.nan)
    for mask, middle in zone_masks(sectors):
        rows = frames[:, mask]
        if centre == "temporal":
            rows = rows - rows.mean(axis=0)
        elif centre == "spatial":
            rows = rows - rows.mean(axis=1, keepdims=True)
        for i, row in enumerate(rows):
            moved = 2 * middle * np.abs(np.sin((angles - angles[i]) / 2))
            allowed = np.ones(len(rows), bool)
            if exclusion is not None:
                allowed = moved >= exclusion * FWHM
                allowed[i] = False
            _, _, modes = np.linalg.svd(rows[allowed], full_matrices=False)
            modes = modes[:n_modes]
            out[i, mask] = row - (row @ modes.T) @ modes
    return out


@pytest.mark.parametrize("centre", ["temporal", "spatial", "none"])
@pytest.mark.parametrize("exclusion", [None, 0.0, 0.5])
@pytest.mark.parametrize("sectors", [1, 3])
def test_residuals_equal_a_plain_loop_over_frames_and_zones(channel, centre, exclusion, sectors):
    method = method_of(
        "klip",
        n_modes=4,
        also_modes=(1, 7),
        centre=centre,
        zones={"annulus_fwhm": 2.0, "sectors": sectors},
        references={"exclusion_fwhm": exclusion},
    )
    reduction = Reduction(channel, method)
    assert reduction.counts == (4, 1, 7)
    for number, n_modes in enumerate(reduction.counts):
        expected = brute_force(channel, sectors, centre, exclusion, n_modes)
        seen = np.isfinite(expected[0])
        found = reduction.residuals(number)[:, seen]
        expected = expected[:, seen]
        # Pixels in single precision: round-off of a bright frame is 1e-5 of the residual.
        assert np.abs(found - expected).max() < 1e-4 * expected.std()


def test_modes_of_the_zone_are_applied_to_pixels_beside_it(channel):
    # The model is made of pixels between the radii; what is beside them gets the same weights.
    reduction = Reduction(channel, method_of("pca", n_modes=3))
    rows = channel.frames.reshape(14, -1).astype(np.float64)
    rows -= rows.mean(axis=0)
    vectors = np.linalg.svd(rows[:, channel.zone.ravel()], full_matrices=False)[0][:, :3]
    expected = rows - vectors @ (vectors.T @ rows)
    found = reduction.residuals().reshape(14, -1)
    assert np.abs(found - expected).max() < 1e-4 * expected.std()


def test_pixels_without_data_are_left_out():
    field = np.ones((SIDE, SIDE), bool)
    field[30:, :18] = False
    frames = frames_of(2, 8)
    frames[:, ~field] = 0
    holed = channel_of(frames, np.linspace(0, 60, 8), field)
    method = method_of("klip", n_modes=3, zones={"annulus_fwhm": 2.0, "sectors": 2})
    residuals = Reduction(holed, method).residuals()
    assert not residuals[:, ~field].any()
    other = frames.copy()
    other[:, ~field] = 1e4
    changed = Reduction(replace(holed, frames=other), method).residuals()
    np.testing.assert_array_equal(changed, residuals)


# ---------------------------------------------------------------- identities


def test_a_row_in_the_span_of_its_references_vanishes(channel):
    frames = channel.frames.copy()
    frames[5] = 0.5 * frames[1] + 0.25 * frames[9] + 0.25 * frames[12]
    method = method_of("klip", n_modes=14, centre="none", references={"exclusion_fwhm": 0.5})
    residuals = Reduction(replace(channel, frames=frames), method).residuals()
    typical = residuals[:, channel.zone].std(axis=1)
    assert typical[5] < 1e-4 * np.median(typical)


def test_all_modes_of_all_frames_leave_nothing(channel):
    residuals = Reduction(channel, method_of("pca", n_modes=14, centre="none")).residuals()
    assert np.abs(residuals).max() < 1e-5 * np.abs(channel.frames).max()


def test_of_two_copies_each_finds_itself_in_the_other(channel):
    frames = np.concatenate([channel.frames, channel.frames])
    angles = np.concatenate([np.linspace(-10, 95, 14), np.linspace(120, 225, 14)])
    method = method_of(
        "klip",
        n_modes=28,
        centre="none",
        zones={"annulus_fwhm": 2.0},
        references={"exclusion_fwhm": 0.5},
    )
    residuals = Reduction(channel_of(frames, angles), method).residuals()
    assert np.abs(residuals).max() < 1e-5 * np.abs(frames).max()


def test_no_modes_leave_what_centring_leaves(channel):
    frames = channel.frames.astype(np.float64)
    temporal = Reduction(channel, method_of("pca", n_modes=0)).residuals()
    np.testing.assert_allclose(temporal, frames - frames.mean(axis=0), atol=1e-3)
    spatial = Reduction(channel, method_of("pca", n_modes=0, centre="spatial")).residuals()
    level = frames[:, channel.zone].mean(axis=1)
    np.testing.assert_allclose(spatial, frames - level[:, None, None], atol=1e-3)


def test_a_disturbed_zone_leaves_the_others_alone(channel):
    settings = {"n_modes": 4, "zones": {"annulus_fwhm": 2.0}}
    calm = Reduction(channel, method_of("klip", **settings)).residuals()
    frames = channel.frames.copy()
    frames[3, 25, 30] += 1e4
    shaken = Reduction(replace(channel, frames=frames), method_of("klip", **settings)).residuals()
    outside = radius_map() >= INNER + 8
    np.testing.assert_array_equal(shaken[:, outside], calm[:, outside])
    assert np.abs(shaken - calm)[:, ~outside].max() > 1


# ---------------------------------------------------------------- images


def test_a_number_of_annuli_takes_the_place_of_their_width(channel):
    reduction = Reduction(channel, method_of("klip", zones={"annuli": 3}))
    widths = [zone.outer_px - zone.inner_px for zone in reduction.zones]
    assert widths == pytest.approx([(OUTER - INNER) / 3] * 3)


def test_mode_counts_of_one_pass_are_those_of_several(channel):
    zones = {"annulus_fwhm": 2.0, "sectors": 2}
    together = Reduction(channel, method_of("klip", n_modes=6, also_modes=(2, 6), zones=zones))
    images = together.by_count()
    assert list(images) == [6, 2]
    for count, image in images.items():
        alone = Reduction(channel, method_of("klip", n_modes=count, zones=zones)).images()
        np.testing.assert_allclose(image, alone, atol=1e-5)


@pytest.mark.parametrize("combination", ["mean", "weighted"])
@pytest.mark.parametrize("holed", [False, True])
def test_frames_added_one_by_one_are_the_mean_of_the_cube(channel, combination, holed):
    field = np.ones((SIDE, SIDE), bool)
    field[30:, :18] = not holed
    cut = replace(channel, common=field, zone=channel.zone & field)
    reduction = Reduction(cut, method_of("klip", combination, n_modes=4))
    found = reduction.image()
    turned, imaging = reduction.derotated(), reduction.imaging
    valid = imaging.valid(0, np.arange(14))
    assert (valid is None) == (not holed)
    expected = combine_frames(
        turned, combination, valid=valid, weights=channel.frame_weight[:, None, None]
    )
    seen = np.isfinite(found)
    assert seen.any()
    assert (seen == imaging.mask(0, None if valid is None else valid.sum(axis=0))).all()
    np.testing.assert_allclose(found[seen], expected[seen], atol=1e-4)


@pytest.mark.parametrize("combination", ["median", "trimmed"])
def test_images_made_some_rows_at_a_time_are_the_same(channel, combination, monkeypatch):
    field = np.ones((SIDE, SIDE), bool)
    field[30:, :18] = False
    cut = replace(channel, common=field, zone=channel.zone & field)
    reduction = Reduction(cut, method_of("klip", combination, n_modes=4))
    whole = reduction.image()
    monkeypatch.setattr(imaging, "_MASKED_PIXELS", 14 * SIDE)
    monkeypatch.setattr(imaging, "_BLOCK_ROWS", 5)
    np.testing.assert_array_equal(reduction.image(), whole)


@pytest.mark.parametrize("combination", ["mean", "median"])
@pytest.mark.parametrize("zones", [{"annulus_fwhm": None}, {"annulus_fwhm": 1.0, "sectors": 2}])
def test_threads_do_not_change_a_bit(channel, combination, zones):
    method = method_of("klip", combination, n_modes=4, also_modes=(2,), zones=zones)
    images = []
    for threads in (1, 2, 3):
        with worker_threads(threads):
            images.append(Reduction(channel, method).by_count())
    for other in images[1:]:
        for count, image in images[0].items():
            np.testing.assert_array_equal(image, other[count])


def test_companions_of_a_reduction_are_those_added_to_the_frames(channel):
    added = Companion(9.3, -6.1, 80.0)
    method = method_of("klip", n_modes=4)
    frames = channel.frames.copy()
    add_companion(frames, channel.star.stamp, added[:2], channel.rotation, added.contrast)
    expected = Reduction(replace(channel, frames=frames), method).image()
    found = Reduction(channel, method, [added]).image()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.nanmax(np.abs(found - Reduction(channel, method).image())) > 5


@pytest.mark.parametrize("combination", ["mean", "median"])
@pytest.mark.parametrize("centre", ["temporal", "spatial"])
def test_strict_array_library_gives_the_same_images(channel, combination, centre):
    # What runs under it runs on a graphics card: nothing is NumPy's alone.
    field = np.ones((SIDE, SIDE), bool)
    field[30:, :18] = False
    cut = replace(channel, common=field, zone=channel.zone & field)
    method = method_of(
        "klip",
        combination,
        n_modes=4,
        also_modes=(2,),
        centre=centre,
        zones={"annulus_fwhm": 2.0, "sectors": 2},
    )
    added = [Companion(9.3, -6.1, 80.0)]
    expected = Reduction(cut, method, added).by_count()
    strict = replace(cut, frames=array_api_strict.asarray(cut.frames))
    found = Reduction(strict, method, added).by_count()
    for count, image in expected.items():
        assert isinstance(found[count], type(strict.frames))
        np.testing.assert_allclose(np.asarray(found[count]), image, atol=2e-3)


@pytest.mark.parametrize(("combination", "most"), [("mean", 1.8), ("median", 2.5)])
def test_memory_is_that_of_one_cube_for_means_and_two_for_medians(combination, most):
    # The base is one cube. A mean has a third of another at a time, a median all of it;
    # blocks of pixels in double precision weigh less the larger the frames.
    frames = np.random.default_rng(7).standard_normal((96, 241, 241), dtype=np.float32)
    large = channel_of(frames, np.linspace(0, 50, 96))
    method = method_of("pca", combination, n_modes=5)
    Reduction(large, method).image()
    tracemalloc.start()
    try:
        Reduction(large, method).image()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most * frames.nbytes


# ---------------------------------------------------------------- patches

METHODS = {
    "pca": ("pca", {"n_modes": 4}),
    "klip": ("klip", {"n_modes": 4, "zones": {"annulus_fwhm": 1.0, "sectors": 2}}),
    "loci": ("loci", {}),
    "tloci": ("tloci", {}),
    "cadi": ("cadi", {}),
    "noadi": ("noadi", {}),
    "profile": ("profile", {}),
    "nmf": ("nmf", {"n_modes": 3}),
}
PLACE = np.array([8.0, -7.0])


def disc(place, radius):
    half = int(np.ceil(radius))
    y, x = (g.ravel() for g in np.mgrid[-half : half + 1, -half : half + 1])
    near = np.hypot(x, y) <= radius
    return x[near] + np.rint(place[0]), y[near] + np.rint(place[1])


def image_at(image, x, y):
    middle = image.shape[-1] // 2
    return image[..., y.astype(int) + middle, x.astype(int) + middle]


@pytest.fixture(scope="module")
def quarters():
    """Angles that are quarter turns: neither the rotation nor the samples interpolate."""
    angles = 90.0 * np.array([0, 1, 2, 3, 0, 1, 2, 3, 1, 2])
    return channel_of(frames_of(3, 10) + 400, angles, weight=np.linspace(1, 3, 10))


@pytest.mark.parametrize("combination", ["mean", "weighted", "median", "trimmed"])
@pytest.mark.parametrize("name", METHODS)
def test_a_patch_is_the_whole_reduction_of_the_changed_frames(quarters, name, combination):
    algorithm, settings = METHODS[name]
    method = method_of(algorithm, combination, **settings)
    companions = [Companion(*PLACE, 60.0), Companion(-9.4, 4.2, -30.0)]
    x, y = disc(PLACE, 5)
    patch = Patch(Reduction(quarters, method), x, y)
    for added in ([], companions[:1], companions):
        expected = image_at(Reduction(quarters, method, added).image(), x, y)
        # Pixels of 400 counts in single precision, and iterative methods stop where they do.
        np.testing.assert_allclose(patch.evaluate(added)[0], expected, atol=2e-3)


@pytest.mark.parametrize("combination", ["mean", "median"])
@pytest.mark.parametrize("rotation", ["fft", "interpolated"])
def test_a_patch_ends_where_the_data_do(quarters, rotation, combination):
    field = np.ones((SIDE, SIDE), bool)
    field[12:24, 27:39] = False
    holed = replace(quarters, common=field, zone=quarters.zone & field)
    method = method_of("klip", combination, rotation, n_modes=3, zones={"annulus_fwhm": 2.0})
    x, y = disc(PLACE, 6)
    added = [Companion(*PLACE, 60.0)]
    patch = Patch(Reduction(holed, method), x, y)
    expected = image_at(Reduction(holed, method, added).image(), x, y)
    # A pixel is blank in the image if half of the frames miss it; here, three of ten.
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(patch.evaluate(added)[0], expected, atol=2e-3)
    whole = Patch(Reduction(quarters, method), x, y).evaluate(added)[0]
    assert np.abs(whole - expected).max() > 0.1


@pytest.mark.parametrize("combination", ["mean", "median"])
@pytest.mark.parametrize("rotation", ["fft", "interpolated"])
@pytest.mark.parametrize(
    ("zones", "tolerance"),
    [
        # A source of 4 px is sampled to 7e-4 of its peak, smeared and self-subtracted or not.
        ({"annulus_fwhm": None}, 2e-3),
        # Residuals have a step at the edge of a zone, which every interpolation takes its own way.
        ({"annulus_fwhm": 1.0}, 2.5e-2),
    ],
)
def test_a_patch_follows_any_angle(channel, rotation, combination, zones, tolerance):
    smeared = replace(channel, rotation=rotation_of(np.linspace(-10, 95, 14), 6.0))
    method = method_of("klip", combination, rotation, n_modes=4, zones=zones)
    x, y = disc(PLACE, 4)
    whole = Reduction(smeared, method)
    added = [Companion(*PLACE, 100.0)]
    patch = Patch(whole, x, y)
    expected = image_at(Reduction(smeared, method, added).image(), x, y)
    change = patch.evaluate(added)[0] - patch.evaluate()[0]
    wanted = expected - image_at(whole.image(), x, y)
    assert np.abs(change - wanted).max() < tolerance * np.abs(wanted).max()


def test_frozen_coefficients_pass_the_companion_on_as_noise(quarters):
    method = method_of("klip", n_modes=4, zones={"annulus_fwhm": 1.0})
    reduction = Reduction(quarters, method)
    x, y = disc(PLACE, 4)
    patch = Patch(reduction, x, y)
    added = [Companion(*PLACE, 60.0)]
    found = patch.evaluate(added, frozen=True)[0] - patch.evaluate()[0]
    # The companion alone through the matrices of the frames without it.
    alone = np.zeros_like(quarters.frames)
    add_companion(alone, quarters.star.stamp, PLACE, quarters.rotation, 60.0)
    left = np.zeros_like(alone).reshape(10, -1)
    for number, zone in enumerate(reduction.zones):
        (block,) = reduction.operator(number)
        pixels = zone.subtraction
        left[np.ix_(block.targets, pixels)] = (
            block.matrix[0][:, :10] @ alone.reshape(10, -1)[:, pixels]
        )
    expected = np.zeros(x.size)
    half = SIDE // 2
    for frame, angle in zip(left.reshape(alone.shape), quarters.rotation.middle_deg, strict=True):
        turned = np.rot90(frame, -int(angle) // 90)
        expected += turned[(y + half).astype(int), (x + half).astype(int)] / 10
    np.testing.assert_allclose(found, expected, atol=2e-3)
    exact = patch.evaluate(added)[0] - patch.evaluate()[0]
    assert np.abs(exact - found).max() > 0.05 * np.abs(exact).max()


@pytest.fixture(scope="module")
def aligned():
    """Two channels of one grid, the second rescaled; quarter turns."""
    angles = 90.0 * np.arange(6)
    native = [channel_of(frames_of(4 + k, 6), angles) for k in range(2)]
    rotation = rotation_of(np.concatenate([angles, angles]))
    table = RowTable(
        np.repeat([0, 1], 6),
        np.tile(np.arange(6), 2),
        rotation,
        np.repeat([1.0, 0.8], 6),
        np.ones(12),
    )
    frames = np.concatenate([channel.frames for channel in native])
    return Rows(frames, native[0].common, native[0].zone, table, tuple(native), INNER, OUTER, FWHM)


def test_a_profile_counts_the_pixels_that_its_channel_covers_only(aligned):
    covered = np.stack([aligned.common, aligned.common & (np.mgrid[:SIDE, :SIDE][0] > SIDE // 3)])
    frames = aligned.frames + np.float32(1000)
    frames[6:, ~covered[1]] = 0
    rows = replace(aligned, frames=frames, covered=covered)
    method = method_of("profile")
    residuals = Reduction(rows, method).residuals()
    alone = ALGORITHMS["profile"].run(frames[6:], None, method.settings)
    np.testing.assert_array_equal(residuals[6:, covered[1]], alone[:, covered[1]])
    # A companion that falls on pixels without data does not make data of them.
    bright = Reduction(rows, method, [Companion(0.0, -15.0, 1e5)]).residuals()
    beside = covered[1] & (radius_map() > 22)
    np.testing.assert_allclose(bright[6:, beside], residuals[6:, beside], atol=0.5)


@pytest.mark.parametrize("combination", ["mean", "median"])
def test_a_patch_sees_all_channels(aligned, combination):
    method = method_of("klip", combination, n_modes=3, zones={"annulus_fwhm": 2.0})
    added = [Companion(*PLACE, np.array([50.0, 0.0])), Companion(-8.0, 3.0, np.array([0.0, 40.0]))]
    x, y = disc(PLACE, 4)
    patch = Patch(Reduction(aligned, method), x, y)
    expected = image_at(Reduction(aligned, method, added).images(), x, y)
    before = image_at(Reduction(aligned, method).images(), x, y)
    found = patch.evaluate(added)
    assert found.shape == (2, x.size)
    # The first channel is on the grid of the rows, the second one is interpolated.
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
    change, wanted = found[1] - patch.evaluate()[1], expected[1] - before[1]
    # Steps at the edges of zones: see above.
    assert np.abs(change - wanted).max() < 2.5e-2 * np.abs(wanted).max()


def test_a_companion_stands_where_each_channel_should_have_it(aligned):
    # One channel only: nothing but derotation, back on native pixels.
    method = method_of("noadi")
    empty = replace(aligned, frames=np.zeros_like(aligned.frames))
    images = Reduction(empty, method, [Companion(9.0, -5.0, np.array([1.0, 3.0]))]).images()
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    inside = np.isfinite(images[0])
    one = np.exp(-4 * np.log(2) * ((x - 9) ** 2 + (y + 5) ** 2) / FWHM**2)
    np.testing.assert_allclose(images[0][inside], one[inside], atol=1e-5)
    # The same angle for both, so the same width: a source of 3.2 px on the grid, zoomed back.
    np.testing.assert_allclose(images[1][inside], 3 * one[inside], atol=3 * 3e-3)
