import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from spheredc_hpc.errors import DataError
from spheredc_hpc.level2.regions import ZoneSettings, annulus_edges, plan_zones
from spheredc_hpc.level2.zones import annulus

FWHM = 4.8
SIDE = 101
INNER, OUTER = 4.0, 49.0


def polar(pixels, side=SIDE):
    y, x = np.divmod(pixels, side)
    y, x = y - side // 2, x - side // 2
    return np.hypot(x, y), np.rad2deg(np.arctan2(y, x)) % 360


def zones(**given):
    return plan_zones(annulus(SIDE, INNER, OUTER), INNER, OUTER, FWHM, ZoneSettings(**given))


shapes = st.fixed_dictionaries(
    {
        "sectors": st.integers(1, 7),
        "sector_area": st.none() | st.floats(2, 60),
        "first_sector_deg": st.floats(-400, 400),
    }
)
rings = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"annulus_fwhm": st.floats(0.3, 5)}),
    st.fixed_dictionaries({"annuli": st.integers(1, 12)}),
)
around = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"optimisation_area": st.floats(5, 400), "radial_ratio": st.floats(0.2, 4)}
    ),
    st.fixed_dictionaries({"optimisation_fwhm": st.floats(0.5, 4), "gap_fwhm": st.floats(0, 1.5)}),
)


@settings(max_examples=60, deadline=None)
@given(shapes, rings, around, st.integers(18, 41), st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_every_pixel_is_subtracted_once(shape, ring, near, side, seed, missing):
    outer = side // 2 - 1.0
    common = np.random.default_rng(seed).random((side, side)) >= missing
    mask = annulus(side, 2.0, outer) & common
    given_settings = ZoneSettings(**(shape | ring | (near if ring else {})))
    try:
        planned = plan_zones(mask, 2.0, outer, 3.0, given_settings, common)
    except DataError:
        # Wide gaps or many holes may leave no pixel to optimise over.
        assert near or missing > 0
        return
    subtracted = np.concatenate([zone.subtraction for zone in planned])
    np.testing.assert_array_equal(np.sort(subtracted), np.flatnonzero(common))
    for zone in planned:
        assert zone.optimisation.size
        assert mask.ravel()[zone.optimisation].all()
        assert (np.diff(zone.subtraction) > 0).all()
        assert (np.diff(zone.optimisation) > 0).all()


def test_without_annuli_the_field_is_one_zone():
    (zone,) = zones()
    inside = np.flatnonzero(annulus(SIDE, INNER, OUTER))
    np.testing.assert_array_equal(zone.subtraction, inside)
    np.testing.assert_array_equal(zone.optimisation, inside)
    assert zone.radius_px == 26.5


def test_pixels_beyond_the_radii_go_with_the_nearest_annulus():
    mask = annulus(SIDE, INNER, OUTER)
    planned = plan_zones(
        mask, INNER, OUTER, FWHM, ZoneSettings(annulus_fwhm=1.0), np.ones_like(mask)
    )
    assert polar(planned[0].subtraction)[0].min() == 0
    assert polar(planned[-1].subtraction)[0].max() > OUTER
    assert polar(planned[0].optimisation)[0].min() >= INNER
    assert polar(planned[-1].optimisation)[0].max() <= OUTER


def test_equal_annuli_and_quadrants_hold_the_pixels_that_their_definition_says():
    # The zones of a published comparison: nine annuli of 5 px, four quadrants from +x on.
    planned = zones(annuli=9, sectors=4)
    assert len(planned) == 36
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    for number, zone in enumerate(planned):
        low = 4 + 5 * (number // 4)
        radius2 = x * x + y * y
        edge = radius2 < (low + 5) ** 2 if number // 4 < 8 else radius2 <= 49**2
        ring = (radius2 >= low * low) & edge
        quadrant = [(x > 0) & (y >= 0), (x <= 0) & (y > 0), (x < 0) & (y <= 0), (x >= 0) & (y < 0)]
        wanted = np.flatnonzero(ring & quadrant[number % 4])
        np.testing.assert_array_equal(zone.subtraction, wanted)
        assert zone.radius_px == low + 2.5


def test_the_first_edge_turns_the_sectors():
    planned = zones(annuli=1, sectors=3, first_sector_deg=30.0)
    for zone, low in zip(planned, (30.0, 150.0, 270.0), strict=True):
        turned = (polar(zone.subtraction)[1] - low + 1e-9) % 360
        assert turned.max() < 120


@pytest.mark.parametrize(
    ("outer", "last"), [(4 + 3.4 * FWHM, 1.4), (4 + 3.6 * FWHM, 0.6), (4 + 0.3 * FWHM, 0.3)]
)
def test_a_narrow_last_annulus_joins_its_neighbour(outer, last):
    edges = annulus_edges(4.0, outer, FWHM, ZoneSettings(annulus_fwhm=1.0))
    assert edges[0] == 4.0
    assert edges[-1] == outer
    np.testing.assert_allclose(np.diff(edges)[:-1], FWHM)
    np.testing.assert_allclose(np.diff(edges)[-1], last * FWHM)


def test_sectors_of_equal_area_grow_in_number_outwards():
    planned = zones(annulus_fwhm=2.0, sector_area=10.0)
    areas = np.array([zone.subtraction.size for zone in planned]) / (np.pi * (FWHM / 2) ** 2)
    # Rounding to whole sectors moves the area of the innermost annuli most: by 1.5 at worst.
    assert areas.min() > 10 / 1.5
    assert areas.max() < 10 * 1.5
    inner = [zone for zone in planned if zone.inner_px == planned[0].inner_px]
    outer = [zone for zone in planned if zone.inner_px == planned[-1].inner_px]
    assert len(outer) > 2 * len(inner)


def test_locis_optimisation_zone_has_area_and_shape_of_the_paper():
    # Lafreniere et al. (2007), ApJ 660, 770: N_A = 60 PSF cores, g = 2, and the subtraction
    # zone in the inner part of the optimisation zone. Far out the sectors divide the circle
    # finely enough for the area to come out.
    side, outer = 401, 200.0
    mask = annulus(side, 4.0, outer)
    given = ZoneSettings(annulus_fwhm=1.5, optimisation_area=60, radial_ratio=2.0)
    planned = plan_zones(mask, 4.0, outer, FWHM, given)
    core = np.pi * (FWHM / 2) ** 2
    seen = 0
    for zone in planned:
        assert np.isin(zone.subtraction, zone.optimisation).all()
        radius, _ = polar(zone.optimisation, side)
        extent = radius.max() - radius.min()
        if 60 < zone.inner_px < 140:
            assert zone.optimisation.size == pytest.approx(60 * core, rel=0.05)
            # Pixel rounding of a length of 47 px.
            assert extent == pytest.approx(np.sqrt(2 * 60 * core), abs=1.5)
            azimuthal = zone.optimisation.size / extent
            assert extent / azimuthal == pytest.approx(2.0, rel=0.07)
            assert radius.min() == pytest.approx(zone.inner_px, abs=0.5)
            seen += 1
    assert seen > 50


def test_locis_outermost_zones_reach_inwards():
    planned = zones(annulus_fwhm=1.5, optimisation_area=60)
    radius, _ = polar(planned[-1].optimisation)
    extent = np.sqrt(60 * np.pi) * FWHM / 2
    assert radius.min() == pytest.approx(OUTER - extent, abs=1.0)


def test_tlocis_optimisation_pixels_keep_the_gap_on_both_sides():
    planned = zones(annulus_fwhm=1.0, optimisation_fwhm=2.0, gap_fwhm=1.0)
    for zone in planned:
        radius, _ = polar(zone.optimisation)
        below, above = radius[radius < zone.radius_px], radius[radius > zone.radius_px]
        assert not np.isin(zone.optimisation, zone.subtraction).any()
        if below.size:
            assert below.max() < zone.inner_px - FWHM
            assert below.min() >= max(INNER, zone.inner_px - 3 * FWHM)
        if above.size:
            assert above.min() >= zone.outer_px + FWHM
            assert above.max() <= min(OUTER, zone.outer_px + 3 * FWHM)
    middle = [z for z in planned if z.inner_px - 2 * FWHM > INNER and z.outer_px + FWHM < OUTER]
    for zone in middle:
        radius, _ = polar(zone.optimisation)
        assert radius.min() < zone.inner_px < zone.outer_px < radius.max()
    # The edges have neighbours on one side only.
    assert (polar(planned[0].optimisation)[0] > planned[0].outer_px).all()
    assert (polar(planned[-1].optimisation)[0] < planned[-1].inner_px).all()


def test_a_sector_without_valid_pixels_is_fitted_on_its_whole_ring():
    mask = annulus(SIDE, INNER, OUTER)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    broken = mask & ~((x > 0) & (y >= 0) & (np.hypot(x, y) < 9))
    given = ZoneSettings(annuli=9, sectors=4)
    planned = plan_zones(broken, INNER, OUTER, FWHM, given, mask)
    radius, azimuth = polar(planned[0].optimisation)
    assert radius.max() < 9
    assert azimuth.min() >= 90
    assert np.ptp(azimuth) > 200


def test_a_field_without_room_for_the_gap_is_refused():
    mask = annulus(21, 2.0, 9.0)
    given = ZoneSettings(annulus_fwhm=1.0, optimisation_fwhm=1.0, gap_fwhm=3.0)
    with pytest.raises(DataError, match="optimise over"):
        plan_zones(mask, 2.0, 9.0, 3.0, given)


@pytest.mark.parametrize(
    "given",
    [
        {"annulus_fwhm": 1.0, "annuli": 3},
        {"annulus_fwhm": 1.0, "optimisation_area": 30, "optimisation_fwhm": 1.0},
        {"optimisation_area": 30},
        {"optimisation_fwhm": 1.0},
    ],
)
def test_contradicting_settings_are_refused(given):
    with pytest.raises(ValidationError):
        ZoneSettings(**given)
