import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.level1.parts.centre_check import checked_centre
from spheredc_hpc.level1.parts.centres import (
    CentreMeasurement,
    CentreModel,
    DriftSettings,
    shared_error,
    solve_waffle,
)
from spheredc_hpc.level1.parts.fallback import Look, solve_star
from spheredc_hpc.level1.parts.halo import HaloSettings, halo_centre, star_centre
from spheredc_hpc.level1.parts.opposite_spots import opposite_spots
from spheredc_hpc.level1.parts.spots import (
    Pattern,
    SpotCentre,
    SpotSettings,
    best_three,
    measure_spots,
    square_departures,
)

SQUEEZE = 1.0062
STAR = (118.37, 121.81)
DIAGONAL = np.array([45.0, 135.0, 225.0, 315.0])


@pytest.fixture
def rng():
    return np.random.default_rng(20180319)


def spots_image(rng, star=STAR, radius=46.0, peak=300.0, noise=2.0, angles=DIAGONAL, wide=1.6):
    """Four elongated spots on a steep halo, drawn by hand on a squeezed grid."""
    rows, columns = np.indices((250, 240), dtype=float)
    x, y = columns - star[0], (rows - star[1]) * SQUEEZE
    image = 4e4 / (30 + np.hypot(x, y) ** 2) + rng.normal(scale=noise, size=rows.shape)
    for angle in np.radians(angles):
        along = x * np.cos(angle) + y * np.sin(angle) - radius
        across = -x * np.sin(angle) + y * np.cos(angle)
        image += peak * np.exp(-0.5 * ((along / wide) ** 2 + (across / 1.4) ** 2))
    return image.astype(np.float32)


def pattern(guess, radius=46.0, angles=DIAGONAL):
    return Pattern(guess, radius, angles, (1.0, SQUEEZE), 3.4)


ALL_GOOD = np.ones((250, 240), bool)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (-20.0, 17.0), (12.4, -23.0)])
@pytest.mark.parametrize("turn", [0.0, 45.0])
def test_the_star_is_found_anywhere_in_the_search_box(rng, offset, turn):
    image = spots_image(rng, angles=DIAGONAL + turn)
    guess = (STAR[0] + offset[0], STAR[1] + offset[1])
    found = measure_spots(image, ALL_GOOD, pattern(guess, angles=DIAGONAL + turn), SpotSettings())
    assert found.usable
    np.testing.assert_allclose(found.xy, STAR, atol=0.05)


def test_stated_errors_are_those_of_repeated_noise(rng):
    pulls = []
    for _ in range(15):
        image = spots_image(rng, peak=60.0, noise=4.0)
        found = measure_spots(image, ALL_GOOD, pattern(STAR), SpotSettings())
        pulls.append((found.xy - STAR) / np.sqrt(np.diag(found.covariance)))
    # 30 pulls: their rms is good to 13 %; the running median leaves some correlated noise.
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_radially_long_spots_leave_the_crossing_alone(rng):
    image = spots_image(rng, wide=5.0, peak=200.0)
    found = measure_spots(image, ALL_GOOD, pattern(STAR), SpotSettings())
    np.testing.assert_allclose(found.xy, STAR, atol=0.05)


def test_a_dead_pixel_in_a_spot_does_no_harm(rng):
    image = spots_image(rng)
    x, y = STAR[0] + 46 / np.sqrt(2), STAR[1] + 46 / np.sqrt(2) / SQUEEZE
    image[round(y) + 1, round(x) + 1] = 0
    found = measure_spots(image, ALL_GOOD, pattern(STAR), SpotSettings())
    np.testing.assert_allclose(found.xy, STAR, atol=0.05)


def test_without_spots_nothing_is_found(rng):
    image = spots_image(rng, peak=0.0)
    found = measure_spots(image, ALL_GOOD, pattern(STAR), SpotSettings())
    assert found is None or not found.usable


def test_spots_at_a_foreign_radius_are_refused_with_the_reason(rng):
    image = spots_image(rng, radius=48.5)
    found = measure_spots(image, ALL_GOOD, pattern(STAR), SpotSettings())
    assert not found.usable
    assert any("radius 48.5" in problem for problem in found.problems)


def test_real_frame_is_centred_where_its_authors_registered_it(real_data):
    path = real_data / "sphere-irdis-satspots" / "center_frame_151.fits"
    image = fits.getdata(path).astype(np.float32)
    # Its spots are those of H3.
    expected = Pattern((72.0, 79.0), 48.1, DIAGONAL, (1.0, SQUEEZE), 3.6)
    found = measure_spots(image, np.ones(image.shape, bool), expected, SpotSettings())
    assert found.usable
    np.testing.assert_allclose(found.xy, [75.0, 75.0], atol=0.15)
    halo = halo_centre(image, (73.0, 77.0), HaloSettings(outer_px=60.0, search_px=10.0))
    np.testing.assert_allclose(halo, [75.0, 75.0], atol=0.3)


def test_real_frame_is_centred_by_opposite_spots_too(real_data):
    path = real_data / "sphere-irdis-satspots" / "center_frame_151.fits"
    image = fits.getdata(path).astype(np.float32)
    expected = Pattern((72.0, 79.0), 48.1, DIAGONAL, (1.0, SQUEEZE), 3.6)
    good = np.ones(image.shape, bool)
    found = opposite_spots(image, good, expected, np.array([74.0, 76.0]), SpotSettings())
    np.testing.assert_allclose(found.xy, [75.0, 75.0], atol=0.2)
    assert found.error_px < 0.2


@pytest.mark.parametrize("turn", [0.0, 45.0])
@pytest.mark.parametrize("peak", [30.0, 300.0])
def test_opposite_spots_agree_with_the_crossing_of_the_diagonals(rng, turn, peak):
    image = spots_image(rng, angles=DIAGONAL + turn, peak=peak)
    seen = pattern(STAR, angles=DIAGONAL + turn)
    start = np.array([STAR[0] + 1.5, STAR[1] - 1.2])
    found = opposite_spots(image, ALL_GOOD, seen, start, SpotSettings())
    np.testing.assert_allclose(found.xy, STAR, atol=0.1)
    kept, check = checked_centre(image, ALL_GOOD, seen, SpotSettings())
    assert check["kept"] == "first"
    assert check["why"] == ""
    assert check["apart_px"] < 0.2
    np.testing.assert_allclose(kept.xy, STAR, atol=0.1)


def test_stated_errors_of_opposite_spots_are_those_of_repeated_noise(rng):
    pulls = []
    for _ in range(20):
        image = spots_image(rng, peak=60.0, noise=4.0)
        found = opposite_spots(image, ALL_GOOD, pattern(STAR), np.array(STAR), SpotSettings())
        pulls.append((found.xy - STAR) / found.error)
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.3


def neighbour(image, spot, along, across, peak, width=1.5):
    """Add a star beside the spot of a direction [deg], `along` and `across` from it [px]."""
    angle = np.radians(spot)
    rows, columns = np.indices(image.shape, dtype=float)
    x, y = columns - STAR[0], (rows - STAR[1]) * SQUEEZE
    u = x * np.cos(angle) + y * np.sin(angle) - 46.0 - along
    v = -x * np.sin(angle) + y * np.cos(angle) - across
    return image + (peak * np.exp(-0.5 * (u**2 + v**2) / width**2)).astype(np.float32)


@pytest.mark.parametrize("peak", [300.0, 900.0])
@pytest.mark.parametrize("across", [3.0, 4.5, 6.0, 8.0])
def test_a_star_beside_a_spot_does_not_mislead(rng, peak, across):
    image = neighbour(spots_image(rng), 45.0, 0.0, across, peak)
    kept, check = checked_centre(image, ALL_GOOD, pattern(STAR), SpotSettings())
    assert kept.usable
    assert check["kept"] in ("first", "second", "three")
    assert bool(check["why"]) == (check["kept"] != "first")
    assert np.hypot(*(kept.xy - STAR)) < 0.3


def test_the_odd_corner_of_a_square_is_found():
    corners = 37.0 * np.exp(1j * np.radians([21.0, 111.0, 201.0, 291.0]))
    spots = np.stack([corners.real + 5, corners.imag / SQUEEZE - 3], axis=1)
    spots[2] += [3.0, -1.0]
    odd, xy, residual = best_three(spots, np.array([1, SQUEEZE]))
    assert odd == 2
    assert residual == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(xy, [5, -3], atol=1e-9)


def test_without_spots_no_method_gives_a_centre(rng):
    image = spots_image(rng, peak=0.0)
    kept, check = checked_centre(image, ALL_GOOD, pattern(STAR), SpotSettings())
    assert kept is None or not kept.usable
    assert check["kept"] == "none"
    assert check["why"]


def test_departures_vanish_for_any_turned_and_scaled_square():
    corners = 37.0 * np.exp(1j * np.radians([21.0, 111.0, 201.0, 291.0]))
    spots = np.stack([corners.real + 5, corners.imag / SQUEEZE - 3], axis=1)
    np.testing.assert_allclose(square_departures(spots, np.array([1, SQUEEZE])), 0, atol=1e-12)
    spots[2] += [0.4, 0.0]
    departures = square_departures(spots, np.array([1, SQUEEZE]))
    # One displaced corner: four of eight coordinates are free, half of the square remains.
    assert np.sum(departures**2) == pytest.approx(0.16 / 2, rel=0.01)


def measurement(mjd, xy, dither=(0.0, 0.0), channel=0, departures=None):
    spot = SpotCentre(
        np.array(xy, float),
        np.eye(2) * 1e-4,
        np.zeros((4, 2)),
        np.zeros((4, 2)) if departures is None else departures,
        100.0,
    )
    return CentreMeasurement("SPHER.x", 0, channel, mjd, dither, spot)


def test_dither_enters_as_a_difference_and_drift_linearly():
    center_dither = (0.5, -1.0)
    measured = [
        measurement(58000.0 + hour / 24, (485.0 + 0.1 * hour + 0.5, 520.0 - 1.0), center_dither)
        for hour in (0.0, 0.02, 2.0, 2.02)
    ]
    solution = solve_waffle(measured, 1, 0.05, DriftSettings())
    xy, _ = solution.models[0].at(np.array([58000.0 + 1.0 / 24]), (-2.0, 3.0))
    np.testing.assert_allclose(xy, [[485.1 - 2.0, 523.0]], atol=0.002)
    assert solution.quality["drift_px_per_h"][0][0] == pytest.approx(0.1, abs=0.001)
    assert solution.flags == ()


def test_one_epoch_is_flagged_and_the_error_grows_with_time():
    solution = solve_waffle(
        [measurement(58000.0, (485.0, 520.0))], 1, 0.05, DriftSettings(drift_px_per_h=0.1)
    )
    assert dict(solution.flags).keys() == {"CENTER_SINGLE"}
    _, error = solution.models[0].at(58000.0 + np.array([0.0, 1.0, 3.0]) / 24, (0.0, 0.0))
    np.testing.assert_allclose(error[2] ** 2 - error[0] ** 2, 0.3**2, rtol=1e-6)
    assert np.all(np.diff(error[:, 0]) > 0)


def test_a_channel_without_usable_spots_gives_no_solution():
    lost = CentreMeasurement("SPHER.x", 0, 1, 58000.0, (0.0, 0.0), None)
    assert (
        solve_waffle([measurement(58000.0, (485.0, 520.0)), lost], 2, 0.05, DriftSettings()) is None
    )


def test_the_gap_between_the_diagonals_sets_the_shared_error():
    gap = 0.2
    moved = np.array([[gap, 0], [0, 0], [gap, 0], [0, 0]]) / 2
    shared = [measurement(58000.0, (0, 0), departures=moved - moved.mean(axis=0))] * 5
    # Two numbers of the gap, half of it from each diagonal, and two of the expectation.
    expected = np.sqrt(((gap / 2) ** 2 / 2 + 2 * 0.03**2) / 4)
    assert shared_error(shared, 0.03) == pytest.approx(expected)


def test_point_symmetric_departures_leave_the_centre_alone(rng):
    pair = rng.normal(size=(2, 2))
    symmetric = np.concatenate([pair, -pair])
    measured = [measurement(58000.0, (0, 0), departures=symmetric)]
    assert shared_error(measured, 0.03) == pytest.approx(0.03 / np.sqrt(2))


def test_random_departures_average_out(rng):
    random = [
        measurement(58000.0, (0, 0), departures=0.2 * rng.normal(size=(4, 2))) for _ in range(50)
    ]
    assert shared_error(random, 0.03) < 0.035


def test_prediction_is_held_constant_outside_of_the_epochs():
    model = CentreModel(
        np.array([10.0, 11.0]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2)), 0.0, 0.0
    )
    xy, _ = model.at(np.array([9.0, 10.5, 12.0]), (0.0, 0.0))
    np.testing.assert_allclose(xy, [[1, 2], [2, 3], [3, 4]])


def speckles(rng, star, size=260):
    """Halo whose speckles are symmetric about the star, as small phase errors make them."""
    rows, columns = np.indices((size, size), dtype=float)
    x, y = columns - star[0], rows - star[1]
    radius = np.hypot(x, y)
    image = 2e5 / (40 + radius**2) ** 1.2 * (1 - np.exp(-((radius / 9) ** 4)))
    for _ in range(900):
        r, angle = rng.uniform(12, 95), rng.uniform(0, np.pi)
        dx, dy = r * np.cos(angle), r * np.sin(angle)
        peak = rng.exponential() * 6e4 / (40 + r**2) ** 1.2
        for sign in (1, -1):
            image += peak * np.exp(-0.5 * ((x - sign * dx) ** 2 + (y - sign * dy) ** 2) / 1.45**2)
    return (image + rng.normal(scale=0.5, size=image.shape)).astype(np.float32)


def test_a_symmetric_halo_is_centred(rng):
    star = (131.62, 127.24)
    image = speckles(rng, star)
    found = halo_centre(image, (138.0, 121.0), HaloSettings())
    np.testing.assert_allclose(found, star, atol=0.05)


def test_a_halo_at_the_edge_is_refused(rng):
    with pytest.raises(KernelInputError, match="leaves the image"):
        halo_centre(speckles(rng, (60.0, 60.0)), (60.0, 60.0), HaloSettings())


def test_a_star_without_mask_is_fitted(rng):
    rows, columns = np.indices((120, 120), dtype=float)
    image = rng.normal(size=rows.shape)
    image += 500 * np.exp(-0.5 * ((columns - 57.3) ** 2 + (rows - 62.8) ** 2) / 1.45**2)
    xy, error = star_centre(image.astype(np.float32), (60.0, 60.0), 3.4, 24.0)
    np.testing.assert_allclose(xy, [57.3, 62.8], atol=0.03)
    assert np.all(error < 0.02)


def test_a_visible_star_is_followed_from_file_to_file(rng):
    files = []
    for i in range(4):
        image = rng.normal(scale=1.0, size=(60, 60)).astype(np.float32)
        y, x = np.indices(image.shape)
        star = (30.0 + 0.3 * i, 28.0 - 0.2 * i)
        image += (500 * np.exp(-((x - star[0]) ** 2 + (y - star[1]) ** 2) / 4.5)).astype(np.float32)
        dither = (float(i % 2), 0.0)
        corner = np.array([400.0 + dither[0], 300.0])
        images = [(image, (31.0, 27.0), corner)]
        files.append(Look(f"SPHER.{i}", -1, 58000.0 + i / 24, dither, images, np.inf))
    found = solve_star(files, 1, (3.5,), 10.0, DriftSettings())
    assert (found.method, found.flags) == ("star", ())
    hours = np.array([0.0, 1.5, 3.0])
    xy, error = found.models[0].at(58000.0 + hours / 24, (1.0, 0.0))
    expected = np.stack([431.0 + 0.3 * hours, 328.0 - 0.2 * hours], axis=1)
    np.testing.assert_allclose(xy, expected, atol=0.03)
    assert (error < 0.06).all()


def test_a_visible_star_that_jumps_is_followed_from_plane_to_plane(rng):
    looks, truth = [], []
    y, x = np.indices((60, 60))
    for plane in range(12):
        image = rng.normal(scale=1.0, size=x.shape)
        star = np.array([30.0, 28.0]) + rng.normal(scale=0.25, size=2)
        image += 500 * np.exp(-((x - star[0]) ** 2 + (y - star[1]) ** 2) / 4.5)
        if plane == 7:  # a hit outshines the star
            image[45:50, 20:25] += 4000.0
        images = [(image.astype(np.float32), (31.0, 27.0), np.array([400.0, 300.0]))]
        looks.append(Look("SPHER.0", plane, 58000.0 + plane / 1440, (0.0, 0.0), images, np.inf))
        truth.append(star + np.array([400.0, 300.0]))
    found = solve_star(looks, 1, (3.5,), 20.0, DriftSettings())
    times = np.array([look.mjd for look in looks])
    xy, error = found.models[0].at(times, (0.0, 0.0))
    seen = np.arange(12) != 7
    off = (xy - np.array(truth))[seen]
    assert np.abs(off).max() < 0.05
    assert np.sqrt(np.mean((off / error[seen]) ** 2)) < 1.6
    assert np.abs(xy[7] - [430.0, 328.0]).max() < 0.7  # between its neighbours
    assert found.quality["motion_px"][0][0] == pytest.approx(0.25, rel=0.5)


def test_faint_stars_that_stand_still_share_the_place_of_their_file(rng):
    looks = []
    y, x = np.indices((60, 60))
    for plane in range(16):
        image = rng.normal(scale=60.0, size=x.shape)
        image += 500 * np.exp(-((x - 30.0) ** 2 + (y - 28.0) ** 2) / 4.5)
        images = [(image.astype(np.float32), (31.0, 27.0), np.array([400.0, 300.0]))]
        looks.append(Look("SPHER.0", plane, 58000.0 + plane / 1440, (0.0, 0.0), images, np.inf))
    found = solve_star(looks, 1, (3.5,), 10.0, DriftSettings())
    xy, error = found.models[0].at(np.array([look.mjd for look in looks]), (0.0, 0.0))
    off = xy - [430.0, 328.0]
    single = np.mean([row["x_err_px"] for row in found.table])
    assert np.sqrt(np.mean(off**2)) < 0.6 * single
    assert np.sqrt(np.mean((off / error) ** 2)) < 1.6


def test_a_long_sequence_of_spots_is_not_one_epoch():
    measured = [
        measurement(58000.0 + i * 70 / 86400, (485.0 + 0.001 * i, 520.0)) for i in range(60)
    ]
    model = solve_waffle(measured, 1, 0.03, DriftSettings()).models[0]
    assert len(model.mjd) == 7
    xy, _ = model.at(58000.0 + np.array([10.0, 50.0]) * 70 / 86400, (0.0, 0.0))
    np.testing.assert_allclose(xy[:, 0], [485.01, 485.05], atol=0.004)


def test_a_star_without_core_is_centred_on_what_is_left(rng):
    y, x = np.indices((200, 200))
    star = (101.3, 98.6)
    radius = np.hypot(x - star[0], y - star[1])
    image = 3e5 * np.exp(-0.5 * (radius / 1.5) ** 2) + 900 / (1 + (radius / 8) ** 2)
    image = np.minimum(image + rng.normal(scale=3.0, size=image.shape), 500.0).astype(np.float32)
    xy, error = star_centre(image, (95.0, 103.0), 3.5, 24.0, ceiling=480.0)
    assert (np.abs(xy - star) < 0.15).all()
    assert (error >= 0.1).all()
