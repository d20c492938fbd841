"""Sky positions against public headers, published tables and spherical trigonometry."""

from __future__ import annotations

import numpy as np
import pytest

from spheredc_hpc.instrument.headers import mjd_from_iso, unpack_dms_deg
from spheredc_hpc.simulate.sections import Target
from spheredc_hpc.simulate.sky import (
    derotator_angle_deg,
    derotator_error_deg,
    observe,
    transit_mjd,
)

# TEL TARG ALPHA/DELTA/PMA/PMD of the public frames: 12:44:20.236 -08:40:16.833.
A124420 = Target(
    name="A124420",
    ra_deg=15 * (12 + 44 / 60 + 20.236 / 3600),
    dec_deg=-(8 + 40 / 60 + 16.833 / 3600),
    pm_ra_mas_yr=7.52,
    pm_dec_mas_yr=-14.44,
)
DAY_S = 86400.0


def star(dec_deg: float) -> Target:
    """A star whose declination precession hardly changes (RA 6 h)."""
    return Target(ra_deg=90.0, dec_deg=dec_deg, pm_ra_mas_yr=0, pm_dec_mas_yr=0)


# DATE-OBS, DET FRAM UTC, TEL PARANG START, END of frames of 2020-03-08.
HEADERS = [
    ("07:05:15.5110", "07:11:51.1890", 147.802, 144.217),
    ("07:20:53.7328", "07:29:40.9798", 139.869, 136.198),
    ("07:38:33.7151", "07:47:20.8851", 132.996, 130.245),
    ("07:48:21.6182", "07:50:40.7578", 129.957, 129.302),
]


@pytest.mark.parametrize(("start", "end", "parang_start", "parang_end"), HEADERS)
def test_parallactic_angle_agrees_with_public_headers(start, end, parang_start, parang_end):
    mjd = [mjd_from_iso(f"2020-03-08T{clock}") for clock in (start, end)]
    # 0.02 deg: the header is sampled up to 2 s early and uses its own apparent place.
    np.testing.assert_allclose(
        observe(A124420, mjd).parang_deg, [parang_start, parang_end], atol=0.02
    )


# Middles of first and last integration, computed from the closed formula for these frames.
MIDDLES = [
    (147.4868, 144.5023, "07:05:15.5110", "07:11:51.1890", 6, 64.0),
    (139.6200, 136.4131, "07:20:53.7328", "07:29:40.9798", 8, 64.0),
    (129.9224, 129.3368, "07:48:21.6182", "07:50:40.7578", 10, 12.0),
]


@pytest.mark.parametrize(("first", "last", "start", "end", "n", "dit_s"), MIDDLES)
def test_angle_at_mid_integration(first, last, start, end, n, dit_s):
    t0, t1 = (mjd_from_iso(f"2020-03-08T{clock}") for clock in (start, end))
    cadence = (t1 - t0) / n
    middles = [t0 + k * cadence + (0.2 + dit_s / 2) / DAY_S for k in (0, n - 1)]
    np.testing.assert_allclose(observe(A124420, middles).parang_deg, [first, last], atol=0.02)


def test_altitude_azimuth_and_sidereal_time_agree_with_a_public_header():
    state = observe(A124420, mjd_from_iso("2020-03-08T07:20:53.7328"))
    # TEL ALT 68.705 and AZ 135.508 (south 0, west 90) at start, sampled up to 2 s early.
    assert state.altitude_deg[0] == pytest.approx(68.705, abs=0.02)
    assert state.azimuth_deg[0] == pytest.approx(135.508, abs=0.03)
    # LST = 49505.572 s is that of 07:20:52, 1.73 s before DATE-OBS.
    assert state.lst_s[0] - 1.73 * 1.00274 == pytest.approx(49505.572, abs=1.0)


# Rotation [deg] within 1, 1.5 and 2 h centred on the meridian, Paranal.
ROTATIONS = [
    (-80.0, 17, 25, 33),
    (-69.5, 19, 29, 38),
    (-60.0, 23, 35, 46),
    (-51.0, 30, 45, 58),
    (-45.0, 38, 56, 72),
    (-40.0, 49, 70, 88),
    (-35.0, 68, 92, 111),
    (-30.0, 106, 129, 143),
    (-20.0, 110, 128, 138),
    (-15.0, 70, 92, 107),
    (-10.0, 50, 70, 85),
    (-2.5, 35, 50, 64),
    (10.0, 24, 35, 45),
    (21.0, 19, 28, 37),
]


def test_rotation_of_the_field_agrees_with_the_published_table():
    for dec, *expected in ROTATIONS:
        target = star(dec)
        transit = transit_mjd(target, "2018-12-22")
        hours = np.linspace(-1, 1, 81)
        angles = observe(target, transit + hours * 0.99727 / 24).parang_deg
        turns = np.degrees(np.unwrap(np.radians(angles)))
        found = [abs(turns[40 + k] - turns[40 - k]) for k in (20, 30, 40)]
        # The table gives whole degrees.
        np.testing.assert_allclose(found, expected, atol=0.7, err_msg=f"declination {dec}")


def test_star_transits_north_or_south_of_the_zenith_with_the_right_angle():
    for dec, expected in ((-69.5, 0.0), (-2.5, 180.0)):
        target = star(dec)
        angle = observe(target, transit_mjd(target, "2018-12-22")).parang_deg[0]
        assert abs((angle - expected + 180) % 360 - 180) < 0.02


def test_angle_grows_after_a_southern_transit():
    target = star(-45.0)
    transit = transit_mjd(target, "2018-12-22")
    before, after = observe(target, [transit - 0.02, transit + 0.02]).parang_deg
    assert before < 0 < after


def test_transit_is_the_one_of_the_night():
    transit = transit_mjd(Target(), "2018-03-15")
    assert abs(transit - mjd_from_iso("2018-03-15T05:00:00")) < 0.5
    state = observe(Target(), transit)
    assert state.lst_s[0] / 240 == pytest.approx(state.ra_deg[0], abs=1e-4)


def test_elevation_law_holds_in_the_headers():
    state = observe(A124420, mjd_from_iso("2020-03-08T07:29:40.9798"))
    # DROT2 END = 213.6230 of the public frame; the header is sampled within 2 s, 0.003 deg.
    assert derotator_angle_deg(state, "PUPIL", 0.0)[0] == pytest.approx(213.623, abs=0.02)


def test_error_of_the_old_law_is_the_motion_in_altitude_during_its_delay():
    target = star(-35.0)
    mjd = transit_mjd(target, "2014-12-22") + 1 * 0.99727 / 24
    error = derotator_error_deg(target, mjd, 60.0)[0]
    # d(alt)/dt = -15.04 deg/h cos(lat) cos(dec) sin(H) / cos(alt), H = 15 deg:
    # sin(alt) = 0.23902 + 0.71926 = 0.95828, cos(alt) = 0.28582,
    # rate = -15.041 * 0.90903 * 0.81915 * 0.25882 / 0.28582 = -10.142 deg/h.
    assert error == pytest.approx(-10.142 / 60, rel=0.02)
    state = observe(target, mjd)
    begin = derotator_angle_deg(state, "PUPIL", 0.0, error)[0]
    eps = np.degrees(np.arctan(np.tan(np.radians(state.altitude_deg[0] - 2 * begin))))
    assert eps == pytest.approx(error, abs=1e-9)


def test_packed_declination_just_south_of_the_equator_keeps_its_sign():
    from spheredc_hpc.instrument.headers import pack_dms

    state = observe(star(-0.5), transit_mjd(star(-0.5), "2018-12-22"))
    assert unpack_dms_deg(pack_dms(float(state.dec_deg[0]))) == pytest.approx(-0.5, abs=0.01)
