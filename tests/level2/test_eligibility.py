from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from spheredc_hpc.kernels.inject import Rotation
from spheredc_hpc.level2.eligibility import Core, ReferenceSettings, allowed_rows, displacement_px

FWHM = 4.8


def table(angles, scale=None, time=None, channel=None):
    angles = np.asarray(angles, float)
    time = np.arange(angles.size) if time is None else np.asarray(time)
    return SimpleNamespace(
        rotation=Rotation(angles, angles, angles),
        scale=np.ones(angles.size) if scale is None else np.asarray(scale, float),
        time=time,
        channel=np.zeros(angles.size, int) if channel is None else np.asarray(channel),
        flux=np.ones(angles.size),
        targets=np.flatnonzero(time >= 0),
    )


def spectral_table():
    """Six exposures of five channels and two frames of a library."""
    wave = np.array([0.96, 1.02, 1.1, 1.2, 1.33])
    angles = np.r_[np.repeat(np.linspace(-20, 31, 6), 5), 0.0, 0.0]
    scale = np.r_[np.tile(wave[0] / wave, 6), 1.0, 0.9]
    time = np.r_[np.repeat(np.arange(6), 5), -1, -1]
    return table(angles, scale, time, np.r_[np.tile(np.arange(5), 6), 0, 0])


def at(radius):
    return SimpleNamespace(radius_px=radius)


def some_gram(n, seed=3):
    rows = np.random.default_rng(seed).standard_normal((n, 50))
    return rows @ rows.T


def gaussian_core(fwhm):
    offset = np.arange(-int(8 * fwhm), int(8 * fwhm) + 1)
    square = offset[:, None] ** 2 + offset[None, :] ** 2
    return Core.of_image(np.exp(-4 * np.log(2) * square / fwhm**2), fwhm)


def allowed(rows, radius=20.0, gram=None, core=None, **given):
    gram = some_gram(rows.time.size) if gram is None else gram
    core = gaussian_core(FWHM) if core is None else core
    return allowed_rows(rows, at(radius), gram, core, ReferenceSettings(**given))


def test_motion_is_the_distance_between_two_places_on_the_aligned_grid():
    rows = spectral_table()
    place = rows.scale * np.exp(-1j * np.deg2rad(rows.rotation.middle_deg))
    wanted = 23.0 * np.abs(place[None, :] - place[:, None]) / rows.scale[:, None]
    found = displacement_px(rows, 23.0)
    np.testing.assert_allclose(found[:, :30], wanted[:30, :30], atol=1e-12)
    assert np.isinf(found[:, 30:]).all()
    np.testing.assert_array_equal(found[np.arange(30), np.arange(30)], 0)


def test_motion_across_the_full_circle_is_short():
    rows = table([359.5, 0.5, -719.0])
    np.testing.assert_allclose(
        displacement_px(rows, 100.0)[0], 200 * np.sin(np.deg2rad([0, 0.5, 0.75])), atol=1e-12
    )


def test_motion_agrees_with_pyklip():
    # estimate_movement of pyKLIP 2.10.1 at a radius of 17.5 px.
    angles, wave = [-20.0, -11, 0, 13, 47, 200], np.array([0.96, 1.0, 1.07, 1.15, 1.24, 1.33])
    wanted = {
        0: [0.0, 2.780154, 6.031377, 9.531426, 17.450691, 28.36334],
        3: [11.417854, 8.233289, 4.310914, 0.0, 9.936174, 32.571035],
    }
    found = displacement_px(table(angles, 0.96 / wave), 17.5)
    for target, row in wanted.items():
        np.testing.assert_allclose(found[target], row, atol=1e-6)


# Number of references of each frame and the sum of their indices by VIP 2.1.1
# (_compute_pa_thresh with half an FWHM of 4.8 px, _find_indices_adi).
# fmt: off
BY_VIP = {
    16.5: (
        [33, 33, 32, 31, 30, 29, 28, 27, 28, 27, 26, 24, 20, 18, 17, 17, 16, 16, 16, 16, 16, 15, 16,
         16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 19, 21, 27, 30, 32, 34],
        [792, 792, 784, 775, 765, 754, 742, 729, 716, 687, 655, 599, 484, 406, 352, 328, 295, 270,
         270, 245, 245, 209, 220, 220, 220, 220, 220, 195, 195, 195, 170, 170, 145, 160, 136, 171,
         210, 351, 435, 496, 561],
    ),
    6.5: (
        [21, 19, 15, 12, 10, 8, 7, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3,
         4, 4, 5, 5, 6, 7, 7, 8, 9, 10, 11, 12],
        [630, 589, 495, 414, 355, 292, 259, 190, 154, 117, 79, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
         1, 1, 1, 3, 3, 3, 6, 6, 10, 10, 15, 21, 21, 28, 36, 45, 55, 66],
    ),
}
# fmt: on


@pytest.mark.parametrize("radius", sorted(BY_VIP))
def test_the_tangent_rule_gives_the_references_of_vip(radius):
    angles = np.cumsum(np.r_[0, 0.8 + 0.6 * np.sin(np.arange(40) / 5)]) - 31.0
    found = allowed(
        table(angles), radius, exclusion_fwhm=0.5, exclusion_measure="tangent", min_references=0
    )
    number, total = BY_VIP[radius]
    np.testing.assert_array_equal(found.allowed.sum(axis=1), number)
    np.testing.assert_array_equal(found.allowed @ np.arange(41), total)


def test_the_tangent_rule_is_the_stricter_one_for_large_angles():
    rows = table(np.linspace(0, 120, 30))
    chord, tangent = (displacement_px(rows, 10.0, name) for name in ("chord", "tangent"))
    assert (tangent >= chord).all()
    half = np.deg2rad(120) / 2
    np.testing.assert_allclose(
        (chord[0, -1], tangent[0, -1]), (20 * np.sin(half), 20 * np.tan(half))
    )


def test_without_a_rule_every_row_serves_the_target_too():
    found = allowed(spectral_table())
    assert found.allowed.shape == (30, 32)
    assert found.allowed.all()
    assert found.short == 0


def test_exclusion_zero_leaves_out_the_target_alone():
    found = allowed(spectral_table(), exclusion_fwhm=0).allowed
    np.testing.assert_array_equal(found, ~np.eye(30, 32, dtype=bool))


def test_rows_of_the_library_are_always_allowed():
    found = allowed(
        spectral_table(), radius=1.0, exclusion_fwhm=3.0, self_subtraction=0.01, min_references=0
    ).allowed
    assert found[:, 30:].all()
    assert not found[:, :30].any()


def test_the_most_correlated_of_the_allowed_rows_are_kept():
    rows = table(np.linspace(0, 60, 25))
    gram = some_gram(25)
    found = allowed(rows, gram=gram, exclusion_fwhm=1.0, max_references=6).allowed
    distance = displacement_px(rows, 20.0)
    correlation = gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    for i in range(25):
        may = [j for j in range(25) if distance[i, j] >= FWHM]
        best = sorted(may, key=lambda j: -correlation[i, j])[:6]
        np.testing.assert_array_equal(np.flatnonzero(found[i]), np.sort(best))


def test_of_equally_correlated_rows_the_first_are_kept():
    rows = table(np.linspace(0, 60, 12))
    found = allowed(rows, gram=np.ones((12, 12)), exclusion_fwhm=0, max_references=4).allowed
    np.testing.assert_array_equal(np.flatnonzero(found[2]), [0, 1, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(found[9]), [0, 1, 2, 3])


def test_a_large_limit_of_references_takes_all():
    rows = table(np.linspace(0, 60, 12))
    wanted = allowed(rows, exclusion_fwhm=0.5).allowed
    for number in (11, 12, 500):
        found = allowed(rows, exclusion_fwhm=0.5, max_references=number).allowed
        np.testing.assert_array_equal(found, wanted)


def test_a_target_short_of_references_gets_those_that_moved_farthest():
    rows = table([0.0, 1.0, 2.0, 3.0, 4.0])
    found = allowed(rows, exclusion_fwhm=1.0, min_references=2)
    assert found.short == 5
    np.testing.assert_array_equal(np.flatnonzero(found.allowed[0]), [3, 4])
    np.testing.assert_array_equal(np.flatnonzero(found.allowed[1]), [3, 4])
    np.testing.assert_array_equal(np.flatnonzero(found.allowed[2]), [0, 4])
    none = allowed(rows, exclusion_fwhm=1.0, min_references=0)
    assert none.short == 5
    assert not none.allowed.any()


def test_a_target_with_all_the_references_there_are_is_not_short():
    rows = table([0.0, 60.0])
    assert allowed(rows, exclusion_fwhm=0.5, min_references=5).short == 0
    assert allowed(rows, exclusion_fwhm=50.0, min_references=5).short == 2


def test_the_overlap_of_a_gaussian_is_that_of_its_integral():
    # Flux of a displaced Gaussian in a disc: the non-central chi-square distribution.
    fwhm = 12.0
    core, sigma = gaussian_core(fwhm), fwhm / np.sqrt(8 * np.log(2))
    distance = np.linspace(0, 2.5 * fwhm, 40)
    inside = stats.ncx2.cdf((fwhm / 2 / sigma) ** 2, 2, np.maximum(distance / sigma, 1e-9) ** 2)
    # Pixels and linear interpolation of the table, at 12 px a width: 1e-3.
    np.testing.assert_allclose(core.share(distance), inside / inside[0], atol=1.5e-3)
    assert core.share(1e6) == 0


def test_the_overlap_of_a_psf_with_rings_never_rises():
    side = 141
    y, x = np.mgrid[:side, :side] - side // 2
    v = 3.2328 * np.hypot(x, y) / FWHM + 1e-9
    core = Core.of_image((2 * special.j1(v) / v) ** 2, FWHM)
    assert core.overlap[0] == 1
    assert (np.diff(core.overlap) <= 0).all()
    # The first bright ring of an Airy pattern, 1.6 FWHM out, puts more into the aperture than a
    # Gaussian of the same width, whose overlap is below 1 % there.
    assert 0.01 < core.share(1.6 * FWHM) < 0.03


def test_references_take_no_more_than_the_limit_of_self_subtraction():
    rows = table(np.linspace(0, 50, 40))
    core = gaussian_core(FWHM)
    found = allowed(rows, 30.0, core=core, self_subtraction=0.2).allowed
    expected = core.share(displacement_px(rows, 30.0))
    np.testing.assert_array_equal(found, expected <= 0.2)
    assert 0.1 < expected[found].max() <= 0.2


def test_a_reference_in_which_the_companion_is_dark_takes_nothing():
    rows = spectral_table()
    core = gaussian_core(FWHM)
    methane = Core(FWHM, core.step_px, core.overlap, np.array([1.0, 1.0, 0.5, 0.1, 0.0]))
    rule = {"self_subtraction": 0.15, "min_references": 0}
    star = allowed(rows, 5.0, **rule).allowed[:, :30]
    found = allowed(rows, 5.0, core=methane, **rule).allowed[:, :30]
    bright, dim = rows.channel[:30] == 0, rows.channel[:30] == 4
    assert not star[np.ix_(bright, dim)].all()
    assert found[np.ix_(bright, dim)].all()
    near = displacement_px(rows, 5.0)[:, :30] < 6
    assert not (found & near)[np.ix_(dim, bright)].any()
    # Between channels of equal contrast the spectrum changes nothing.
    np.testing.assert_array_equal(found[np.ix_(bright, bright)], star[np.ix_(bright, bright)])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-180, 180), min_size=2, max_size=14),
    st.floats(1, 60),
    st.none() | st.floats(0, 3),
    st.none() | st.floats(0.01, 1),
    st.none() | st.integers(1, 6),
    st.integers(0, 5),
)
def test_what_is_allowed_keeps_every_rule(angles, radius, exclusion, limit, most, least):
    rows = table(angles)
    core = gaussian_core(FWHM)
    found = allowed(
        rows,
        radius,
        core=core,
        exclusion_fwhm=exclusion,
        self_subtraction=limit,
        max_references=most,
        min_references=least,
    )
    distance = displacement_px(rows, radius)
    count = found.allowed.sum(axis=1)
    if most is not None:
        assert (count <= most).all()
    if exclusion is None and limit is None:
        return
    good = np.ones(distance.shape, bool)
    np.fill_diagonal(good, False)
    assert not found.allowed.diagonal().any()
    if exclusion is not None:
        good &= distance >= exclusion * FWHM
    if limit is not None:
        good &= core.share(distance) <= limit
    left = good.sum(axis=1)
    short = (left < min(least, good.shape[1] - 1)) | (left == 0)
    assert found.short == short.sum()
    assert not (found.allowed & ~good)[~short].any()
    wanted = min(least, len(angles) - 1, most or len(angles))
    assert (count[short] >= wanted).all()
