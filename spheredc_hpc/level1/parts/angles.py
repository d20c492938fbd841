"""Parallactic angle, derotation and airmass of every integration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import erfa
import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.headers import read_value, unpack_dms_deg, unpack_hms_deg
from spheredc_hpc.level1.io import Flag, Floats, Header
from spheredc_hpc.level1.parts.timing import FrameTimes

PUPIL, FIELD = "ELEV", "SKY"
MJD_ZERO = 2400000.5
# Instants at which an integration is sampled for its mean angle.
MEAN_STEPS = 9

# Derotator and telescope point at the same star; offsets and proper motion are far smaller.
POINTING_AGREES_DEG = 0.1

Reference = Literal["mid", "mean"]


@dataclass(frozen=True)
class SequenceAngles:
    """Angles of a sequence, one value per integration; unwrapped along the sequence [deg].

    Attributes
    ----------
    parang_deg : array, shape (n,)
        Parallactic angle at the middle of the integration, or its mean over it.
    derotation_deg : array, shape (n,)
        Counter-clockwise turn that brings north up and east left, at the same instant.
    derotation_start_deg, derotation_end_deg : array, shape (n,)
        The same when the integration starts and ends.
    airmass : array, shape (n,)
        At the middle of the integration.
    flags : tuple of (str, str)
        What could not be taken as it was.
    """

    parang_deg: Floats
    derotation_deg: Floats
    derotation_start_deg: Floats
    derotation_end_deg: Floats
    airmass: Floats
    flags: tuple[Flag, ...] = ()


def hour_angle_deg(mjd: Floats, ra_deg: float) -> Floats:
    """Hour angle of an apparent right ascension, -180 to 180 [deg]."""
    return np.asarray((site.apparent_sidereal_time_deg(mjd) - ra_deg + 180.0) % 360.0 - 180.0)


def parallactic_angle_deg(mjd: Floats, ra_deg: float, dec_deg: float) -> Floats:
    """Compute the parallactic angle.

    Parameters
    ----------
    mjd : array
        UTC [d].
    ra_deg, dec_deg : float
        Apparent place, equator and equinox of date [deg].

    Returns
    -------
    array, shape of `mjd`
        ``atan2(sin H, cos(dec) tan(lat) - sin(dec) cos H)``, -180 to 180 [deg].
    """
    hour, dec = np.radians(hour_angle_deg(mjd, ra_deg)), np.radians(dec_deg)
    tangent = np.tan(np.radians(site.latitude_deg))
    below = np.cos(dec) * tangent - np.sin(dec) * np.cos(hour)
    return np.asarray(np.degrees(np.arctan2(np.sin(hour), below)))


def altitude_deg(mjd: Floats, ra_deg: float, dec_deg: float) -> Floats:
    """Altitude without refraction [deg]."""
    hour, dec = np.radians(hour_angle_deg(mjd, ra_deg)), np.radians(dec_deg)
    latitude = np.radians(site.latitude_deg)
    sine = np.sin(latitude) * np.sin(dec) + np.cos(latitude) * np.cos(dec) * np.cos(hour)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def apparent_place(header: Header, mjd: float) -> tuple[float, float, tuple[Flag, ...]]:
    """Find the apparent place of the target, (RA, Dec) [deg].

    The derotator's own coordinates are of date. Without them, or where they cannot be read or
    lie elsewhere than the telescope pointed, the pointing at J2000 is brought to date, and flagged.

    Raises
    ------
    DataError
        If the header has no coordinates at all.
    """
    own, fault = _derotator_place(header)
    pointing = _pointing_of_date(header, mjd)
    if own and pointing:
        away = _distance_deg(own, pointing)
        if away > POINTING_AGREES_DEG:
            fault = (
                f"derotator coordinates {own[0]:.4f}, {own[1]:.4f} deg lie {away:.2f} deg from "
                "the pointing of the telescope"
            )
            own = None
    if own:
        return *own, ()
    if pointing is None:
        raise DataError(f"{fault}, and no usable RA and DEC are in the header")
    return *pointing, (("POINTING_J2000", f"{fault}; the J2000 pointing was brought to date"),)


def _derotator_place(header: Header) -> tuple[tuple[float, float] | None, str]:
    """Coordinates of the derotator [deg], or why there are none."""
    try:
        ra = read_value(header, "derotator_ra_packed", None)
        dec = read_value(header, "derotator_dec_packed", None)
        if ra is None or dec is None:
            return None, "no derotator coordinates in the header"
        return (unpack_hms_deg(ra), unpack_dms_deg(dec)), ""
    except DataError as error:
        return None, f"derotator coordinates cannot be used ({error})"


def _pointing_of_date(header: Header, mjd: float) -> tuple[float, float] | None:
    """RA and DEC of the telescope, from J2000 to equator and equinox of date [deg]."""
    try:
        ra, dec = read_value(header, "ra_deg", None), read_value(header, "dec_deg", None)
    except DataError:
        return None
    if ra is None or dec is None or abs(dec) > 90:
        return None
    tt = erfa.taitt(*erfa.utctai(MJD_ZERO, mjd))
    place = erfa.atci13(np.radians(ra), np.radians(dec), 0.0, 0.0, 0.0, 0.0, *tt)
    return float(np.degrees(place[0] - place[2]) % 360.0), float(np.degrees(place[1]))


def _distance_deg(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.degrees(erfa.seps(*np.radians(one), *np.radians(other))))


def derotator_error_deg(
    header: Header, mjd: float, constants: Constants, climb_deg: float | None = None
) -> tuple[float, tuple[Flag, ...]]:
    """Compute what the derotator's law added to the angle before 2016-07-12.

    Parameters
    ----------
    header : mapping
        Of the file; ``TEL ALT`` and ``INS4 DROT2 BEGIN`` are used.
    mjd : float
        Date of the integration [d].
    climb_deg : float, optional
        Altitude at the end of the file less that at its start [deg]. If given, the law is taken
        at the end, from ``INS4 DROT2 END``: in simultaneous observations BEGIN of an IFS file
        may be that of an IRDIS exposure before.

    Returns
    -------
    error : float
        ``atan(tan(ALT - 2 BEGIN))``, or the same at the end [deg]; zero after that date.
    flags : tuple of (str, str)
        Set if the error is above its limit, or cannot be computed: zero is used then.
    """
    if mjd >= constants.value("derotator_fix_mjd"):
        return 0.0, ()
    altitude = read_value(header, "altitude_deg", None)
    edge = "begin" if climb_deg is None else "end"
    derotator = read_value(header, f"derotator_{edge}_deg", None)
    if altitude is None or derotator is None:
        reason = (
            f"derotator correction not known: no altitude or derotator angle ({edge}) in the header"
        )
        return 0.0, (("DEROTATOR_SUSPECT", reason),)
    offset = altitude + (climb_deg or 0.0) - 2 * derotator
    error = float(np.degrees(np.arctan(np.tan(np.radians(offset)))))
    limit = constants.value("derotator_eps_limit_deg")
    if abs(error) > limit:
        reason = f"derotator correction of {error:.3f} deg exceeds {limit:g} deg and was not used"
        return 0.0, (("DEROTATOR_SUSPECT", reason),)
    return error, ()


def sequence_angles(
    files: Sequence[tuple[Header, FrameTimes]],
    arm: str,
    constants: Constants,
    reference: Reference = "mid",
) -> SequenceAngles:
    """Compute the angles of all integrations of a sequence.

    Parameters
    ----------
    files : sequence of (header, FrameTimes)
        In time order.
    arm : str
        ``IRDIS`` or ``IFS``.
    constants : Constants
        Offsets of pupil, instrument and true north.
    reference : {"mid", "mean"}
        Whether the one angle of an integration is that of its middle or its mean.

    Returns
    -------
    SequenceAngles

    Raises
    ------
    DataError
        If the derotator neither follows the pupil nor the field, or coordinates are missing.
    """
    parang, extra, airmass = [], [], []
    flags: list[Flag] = []
    for header, times in files:
        ra, dec, place_notes = apparent_place(header, float(times.mid_mjd[0]))
        flags += place_notes
        steps = np.linspace(0.0, 1.0, MEAN_STEPS)
        span = (times.end_mjd - times.start_mjd)[:, np.newaxis]
        instants = times.start_mjd[:, np.newaxis] + span * steps
        parang.append(parallactic_angle_deg(instants, ra, dec))
        ends = np.array([times.start_mjd[0], times.end_mjd[-1]])
        climb = float(np.diff(altitude_deg(ends, ra, dec))[0]) if arm == "IFS" else None
        constant, angle_notes = _added_angle(header, times, arm, constants, climb)
        flags += angle_notes
        extra.append(constant)
        altitude = altitude_deg(times.mid_mjd, ra, dec)
        airmass.append(_airmass(header, times, altitude))
    angle = _unwrapped(np.concatenate(parang))
    added = np.concatenate(extra)
    follows_pupil = derotator_mode(files[0][0]) == PUPIL
    turn = (angle if follows_pupil else np.zeros_like(angle)) + added[:, np.newaxis]
    middle = MEAN_STEPS // 2
    chosen = _mean_over_dit if reference == "mean" else (lambda a: a[:, middle])
    return SequenceAngles(
        parang_deg=chosen(angle),
        derotation_deg=chosen(turn),
        derotation_start_deg=turn[:, 0],
        derotation_end_deg=turn[:, -1],
        airmass=np.concatenate(airmass),
        flags=tuple(dict.fromkeys(flags)),
    )


def derotator_mode(header: Header) -> str:
    """Read the derotator's law, ``ELEV`` or ``SKY``; DataError for any other."""
    mode = str(read_value(header, "derotator_mode", "")).upper()
    if mode not in (PUPIL, FIELD):
        raise DataError(f"derotator mode {mode!r}; expected {PUPIL} or {FIELD} for a sky frame")
    return mode


def _added_angle(
    header: Header, times: FrameTimes, arm: str, constants: Constants, climb_deg: float | None
) -> tuple[Floats, list[Flag]]:
    """Everything but the parallactic angle, per integration [deg]."""
    added: list[float] = []
    flags: list[Flag] = []
    field_angle = float(read_value(header, "derotator_posang_deg", 0.0))
    for mjd in times.mid_mjd:
        total = constants.value("true_north_deg", arm=arm, mjd=mjd)
        total += constants.value("instrument_offset_deg", arm=arm, mjd=mjd)
        if derotator_mode(header) == PUPIL:
            error, notes = derotator_error_deg(header, float(mjd), constants, climb_deg)
            total += constants.value("pupil_offset_deg", mjd=mjd) + error
            flags += notes
        else:
            total += field_angle
        added.append(total)
    return np.array(added), flags


def _airmass(header: Header, times: FrameTimes, altitude: Floats) -> Floats:
    """Between the header's two values, else plane-parallel."""
    first = read_value(header, "airmass_start", None)
    last = read_value(header, "airmass_end", None)
    if first and last:
        ends = [times.start_mjd[0], times.end_mjd[-1]]
        return np.asarray(np.interp(times.mid_mjd, ends, [first, last]))
    return np.asarray(1 / np.sin(np.radians(np.maximum(altitude, 5.0))))


def _unwrapped(angle: Floats) -> Floats:
    flat = np.unwrap(angle.ravel(), period=360.0)
    return np.asarray(flat.reshape(angle.shape))


def _mean_over_dit(angle: Floats) -> Floats:
    """Mean by Simpson's rule over the samples of each integration."""
    weights = np.ones(MEAN_STEPS)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return np.asarray(angle @ (weights / weights.sum()))
