"""Where the star stands: apparent place, horizon coordinates, parallactic angle, derotator.

Everything comes from transformations of `astropy.coordinates`. The parallactic angle is the
position angle of the zenith as seen from the star, in the equator and equinox of date; the
closed formula used by the pipeline is not used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import TETE, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.instrument import site
from spheredc_hpc.simulate.sections import Target

Floats = NDArray[np.float64]
SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class SkyState:
    """The star at a list of instants.

    Attributes
    ----------
    mjd : array, shape (n,)
        UTC [d].
    ra_deg, dec_deg : array, shape (n,)
        Apparent place of date [deg].
    parang_deg : array, shape (n,)
        Parallactic angle in -180 to 180 [deg].
    altitude_deg, azimuth_deg : array, shape (n,)
        Without refraction; azimuth counted from south through west, as in the headers [deg].
    lst_s : array, shape (n,)
        Apparent sidereal time [s].
    """

    mjd: Floats
    ra_deg: Floats
    dec_deg: Floats
    parang_deg: Floats
    altitude_deg: Floats
    azimuth_deg: Floats
    lst_s: Floats

    @property
    def airmass(self) -> Floats:
        """Plane-parallel airmass."""
        return np.asarray(1 / np.sin(np.radians(self.altitude_deg)))


@contextmanager
def _offline() -> Iterator[None]:
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("iers_degraded_accuracy", "warn"),
    ):
        yield


def location() -> EarthLocation:
    """Position of the telescope."""
    return EarthLocation.from_geodetic(
        site.longitude_deg * u.deg, site.latitude_deg * u.deg, site.elevation_m * u.m
    )


def observe(target: Target, mjd: ArrayLike) -> SkyState:
    """Follow a star.

    Parameters
    ----------
    target : Target
        Position at J2000 and proper motion.
    mjd : array_like, shape (n,)
        UTC [d].
    """
    instants = np.atleast_1d(np.asarray(mjd, dtype=np.float64))
    with _offline():
        time = Time(instants, format="mjd", scale="utc", location=location())
        years = time.jyear - 2000.0
        star = SkyCoord(
            target.ra_deg * u.deg
            + years * target.pm_ra_mas_yr * u.mas / np.cos(np.radians(target.dec_deg)),
            target.dec_deg * u.deg + years * target.pm_dec_mas_yr * u.mas,
            frame="icrs",
        )
        of_date = TETE(obstime=time, location=location())
        horizon = AltAz(obstime=time, location=location())
        apparent = star.transform_to(of_date)
        local = star.transform_to(horizon)
        zenith = SkyCoord(
            AltAz(
                az=np.zeros(instants.size) * u.deg,
                alt=np.full(instants.size, 90.0) * u.deg,
                obstime=time,
                location=location(),
            )
        ).transform_to(of_date)
        parang = apparent.position_angle(zenith).wrap_at(180 * u.deg).to_value(u.deg)
        lst = time.sidereal_time("apparent").to_value(u.hourangle) * 3600
    return SkyState(
        mjd=instants,
        ra_deg=np.asarray(apparent.ra.to_value(u.deg)),
        dec_deg=np.asarray(apparent.dec.to_value(u.deg)),
        parang_deg=np.asarray(parang),
        altitude_deg=np.asarray(local.alt.to_value(u.deg)),
        azimuth_deg=np.asarray((local.az.to_value(u.deg) + 180.0) % 360.0),
        lst_s=np.asarray(lst),
    )


def transit_mjd(target: Target, date: str) -> float:
    """Upper culmination nearest to 5 h UTC of `date`, the middle of the night at Paranal [d]."""
    mjd = float(Time(f"{date}T05:00:00", format="isot", scale="utc").mjd)
    for _ in range(4):
        state = observe(target, mjd)
        hour_angle = (state.lst_s[0] / 240.0 - state.ra_deg[0] + 180.0) % 360.0 - 180.0
        mjd -= hour_angle / 360.98564737
    return mjd


def derotator_error_deg(target: Target, mjd: ArrayLike, lag_s: float) -> Floats:
    """Error of the elevation law that was in force before 2016-07-12 [deg].

    The derotator followed the altitude of `lag_s` earlier; the image is turned by the
    difference. It is what ``ALT - 2 DROT2`` shows in the headers.
    """
    instants = np.atleast_1d(np.asarray(mjd, dtype=np.float64))
    now = observe(target, instants).altitude_deg
    before = observe(target, instants - lag_s / SECONDS_PER_DAY).altitude_deg
    return np.asarray(now - before)


def derotator_angle_deg(
    state: SkyState, tracking: str, posang_deg: float, error_deg: ArrayLike = 0.0
) -> Floats:
    """Angle of the derotator as the headers give it [deg], in 0 to 360."""
    if tracking == "PUPIL":
        angle = (state.altitude_deg - np.asarray(error_deg)) / 2 + 180.0
    else:
        angle = (state.altitude_deg + state.parang_deg - posang_deg) / 2 + 180.0
    return np.asarray(angle % 360.0)
