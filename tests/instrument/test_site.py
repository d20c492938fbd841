from __future__ import annotations

import socket

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation
from astropy.time import Time

from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.headers import mjd_from_iso

GOLDEN = [
    ("2020-03-08T07:05:15.5110", 147.792),
    ("2020-03-08T07:11:51.1890", 144.211),
    ("2020-03-08T07:20:53.7328", 139.859),
    ("2020-03-08T07:29:40.9798", 136.194),
    ("2020-03-08T07:38:33.7151", 132.989),
    ("2020-03-08T07:47:20.8851", 130.244),
    ("2020-03-08T07:48:21.6182", 129.952),
    ("2020-03-08T07:50:40.7578", 129.301),
]


@pytest.mark.parametrize(("date", "parang_deg"), GOLDEN)
def test_sidereal_time_gives_the_golden_parallactic_angles(date, parang_deg):
    hour_angle = np.deg2rad(site.apparent_sidereal_time_deg(mjd_from_iso(date)) - 191.347077)
    dec, latitude = np.deg2rad(-8.782464), np.deg2rad(site.latitude_deg)
    parang = np.arctan2(
        np.sin(hour_angle), np.cos(dec) * np.tan(latitude) - np.sin(dec) * np.cos(hour_angle)
    )
    assert np.rad2deg(parang) == pytest.approx(parang_deg, abs=0.001)


def test_sidereal_time_agrees_with_astropy_over_the_life_of_the_instrument():
    mjd = np.linspace(56700, 60600, 40)
    place = EarthLocation.from_geodetic(site.longitude_deg * u.deg, site.latitude_deg * u.deg)
    theirs = Time(mjd, format="mjd", location=place).sidereal_time("apparent").deg
    difference = (site.apparent_sidereal_time_deg(mjd) - theirs + 180) % 360 - 180
    assert np.max(np.abs(difference)) < 1e-5


def test_no_network_is_touched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(site, "_iers_table", site._iers_table.__wrapped__)
    assert np.isfinite(site.apparent_sidereal_time_deg([58916.3, 64000.0, 41000.0])).all()


def test_a_sidereal_day_is_four_minutes_shorter_than_a_day():
    first, second = site.apparent_sidereal_time_deg([58916.0, 58916.0 + 0.9972696])
    assert (second - first + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)
