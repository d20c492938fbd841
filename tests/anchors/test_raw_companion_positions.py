"""Where light must fall on the raw detector, worked out by hand.

The frames come from the simulator, run as a program; nothing of the package is imported here, so
a sign or a number that is wrong both in the simulator and in the pipeline fails one of these.

Conventions: detector x is the column, y the row, counted within a field of 1024 columns. An
angle on the detector runs counter-clockwise from +y. Turning the image counter-clockwise by the
derotation brings north up and east left, so a companion of position angle PA stands at
``PA - derotation``: ``x = -r sin(PA - derotation)``, ``y = r cos(PA - derotation) / 1.0062``.
Pupil tracking: ``derotation = q + eps + 135.99 - 1.75``; field tracking: ``POSANG - 1.75``.
Site: latitude -24.6268, sin -0.41671, cos 0.90904, tan -0.45841.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

PROGRAM = """
import sys
from pathlib import Path
from spheredc_hpc.simulate import load_scenario, simulate_irdis
for scenario in map(Path, sys.argv[1:]):
    simulate_irdis(load_scenario(scenario), scenario.with_suffix(""))
"""
LEFT, RIGHT = (480.0, 520.0), (490.0, 510.0)
RA_6H = 90.0  # precession hardly changes the declination there


def scenario(dec_deg, companions, *, date="2017-12-22", hour=0.0, files=1, **more):
    """One short integration without noise, star, speckles, detector or motion."""
    content = {
        "date": date,
        "hour_angle_h": hour,
        "filter": "DB_H23",
        "target": {
            "ra_deg": RA_6H,
            "dec_deg": dec_deg,
            "pm_ra_mas_yr": 0,
            "pm_dec_mas_yr": 0,
            "magnitude": 5.0,
        },
        "companions": [
            {
                "name": name,
                "separation_mas": separation,
                "position_angle_deg": angle,
                "contrast": [1e-3, 1e-3],
            }
            for name, separation, angle in companions
        ],
        "sequence": {
            "center_before": {"files": 0},
            "center_after": {"files": 0},
            "flux_before": {"files": 0},
            "flux_after": {"files": 0},
            "sky": {"files": 0},
            "object": {"files": files, "ndit": 1, "dit_s": 2.0},
            "sparta": False,
        },
        "calibrations": {"dark_ndit": 0, "background_ndit": 0, "flat_dits_s": []},
        "effects": {
            "star": False,
            "speckles": False,
            "noise": False,
            "detector": False,
            "motion": False,
        },
    }
    content.update(more)
    content.setdefault("pointing", {})
    content["pointing"] |= {"star_left_px": LEFT, "star_right_px": RIGHT}
    return content


FIELD = {"pointing": {"tracking": "FIELD", "posang_deg": 30.0}}
# 490.2 mas = 40 px of 12.255 mas (H2), 40.0163 px of 12.250 mas (H3).
ON_FIELD = [("up", 490.2, 28.25), ("left", 490.2, 118.25)]
STAR_ON = {
    "companions": [],
    "effects": {"speckles": False, "noise": False, "detector": False, "motion": False},
}
SCENARIOS = {
    "south": scenario(
        -69.5, [("up", 490.2, 134.24), ("right", 490.2, 44.24), ("down", 490.2, 314.24)]
    ),
    "north": scenario(-0.5, [("up", 490.2, 314.24)]),
    "west": scenario(-35.0, [("up", 490.2, 189.64), ("right", 490.2, 99.64)], hour=1.0),
    "old": scenario(
        -35.0,
        [("up", 3676.5, 189.306)],
        date="2014-12-22",
        hour=1.0,
        pointing={"derotator_lag_s": 120.0},
    ),
    "field": scenario(-69.5, ON_FIELD, files=5, pointing=FIELD["pointing"] | {"dither": True}),
    "old-field": scenario(-69.5, ON_FIELD, date="2014-12-22", pointing=dict(FIELD["pointing"])),
    "star": scenario(-69.5, []) | STAR_ON,
}
SCENARIOS["star"]["sequence"] |= {
    "object": {"files": 0},
    "center_before": {"files": 1, "ndit": 1, "dit_s": 2.0},
    "flux_before": {"files": 1, "ndit": 1, "dit_s": 1.0, "nd": "ND_2.0"},
}


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Raw files of each scenario in the order of time: header and plane."""
    folder = tmp_path_factory.mktemp("anchors")
    paths = []
    for name, content in SCENARIOS.items():
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, paths)], check=True)  # noqa: S603

    def read(name):
        frames = []
        for path in sorted((folder / name).glob("SPHER*.fits")):
            with fits.open(path, memmap=False) as units:
                frames.append((units[0].header, units[0].data[0].astype(np.float64)))
        return frames

    return read


def light_at(plane, field, x, y, half=6):
    """Centre of the light within a few pixels of (x, y) on one field."""
    x0, y0 = round(x) - half + 1024 * field, round(y) - half
    box = plane[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
    assert box.max() > 5 * np.median(np.abs(box)) + 1e-6, f"no source at {x}, {y}"
    assert box.max() == pytest.approx(plane.max(), rel=0.15), "the source is elsewhere"
    box = np.maximum(box - 0.25 * box.max(), 0)
    yy, xx = np.mgrid[: 2 * half + 1, : 2 * half + 1]
    column = x0 - 1024 * field + (box * xx).sum() / box.sum()
    return column, y0 + (box * yy).sum() / box.sum()


def check(plane, expected, atol=0.06):
    """Compare places on the left field, and on the right one with its own scale and star."""
    for dx, dy in expected:
        found = light_at(plane, 0, LEFT[0] + dx, LEFT[1] + dy)
        np.testing.assert_allclose(found, (LEFT[0] + dx, LEFT[1] + dy), atol=atol)
        stretch = 12.255 / 12.250
        place = (RIGHT[0] + dx * stretch, RIGHT[1] + dy * stretch)
        np.testing.assert_allclose(light_at(plane, 1, *place), place, atol=atol)


def test_pupil_tracking_at_a_southern_transit(nights):
    # Dec -69.5 transits south of the zenith: q = 0, derotation = 135.99 - 1.75 = 134.24.
    # PA 134.24 -> 0 deg: up by 40 / 1.0062 = 39.754 rows.
    # PA  44.24 -> -90 deg: x = -40 sin(-90) = +40, to the right.
    # PA 314.24 -> 180 deg: down by 39.754 rows.
    [(_, plane)] = nights("south")
    check(plane, [(0.0, 39.754), (40.0, 0.0), (0.0, -39.754)])


def test_pupil_tracking_at_a_northern_transit(nights):
    # Dec -0.5 transits north of the zenith: q = 180, derotation = 180 + 134.24 = 314.24.
    [(header, plane)] = nights("north")
    check(plane, [(0.0, 39.754)], atol=0.1)  # q moves 0.5 deg/min, the file is not quite centred
    # -0.5 deg is -00:30:00, written -3000 whatever the degree field says; up to 30 arcsec of
    # nutation and aberration.
    assert header["ESO INS4 DROT2 DEC"] == pytest.approx(-3000, abs=60)


def test_pupil_tracking_an_hour_after_transit(nights):
    # H = 15 deg, Dec = -35: q = atan2(sin H, cos(Dec) tan(lat) - sin(Dec) cos(H))
    #   = atan2(0.25882, 0.81915 * -0.45841 + 0.57358 * 0.96593)
    #   = atan2(0.25882, -0.37551 + 0.55403) = atan2(0.25882, 0.17852) = 55.40 deg.
    # derotation = 55.40 + 134.24 = 189.64.  PA 189.64 -> up, PA 99.64 -> -90 deg: right.
    [(header, plane)] = nights("west")
    check(plane, [(0.0, 39.754), (40.0, 0.0)])
    assert header["ESO TEL PARANG START"] == pytest.approx(55.40, abs=0.08)
    # West of the meridian: azimuth between south (0) and west (90) or beyond, altitude
    # asin(0.41671 * 0.57358 + 0.90904 * 0.81915 * 0.96593) = asin(0.95828) = 73.39.
    assert header["ESO TEL ALT"] == pytest.approx(73.39, abs=0.03)
    assert 0 < header["ESO TEL AZ"] < 180


def test_pupil_tracking_before_the_derotator_was_mended(nights):
    # The old law follows the altitude of 120 s earlier. d(alt)/dt = -15.041 deg/h
    #   * cos(lat) cos(Dec) sin(H) / cos(alt) = -15.041 * 0.90904 * 0.81915 * 0.25882 / 0.28582
    #   = -10.14 deg/h, so eps = -10.14 * 120 / 3600 = -0.338 deg (a per cent less on average
    #   over the delay), derotation = 189.644 - 0.338 = 189.306.
    # PA 189.306 -> up: 300 / 1.0062 = 298.151 rows. Without eps it would be 1.8 columns off.
    [(header, plane)] = nights("old")
    check(plane, [(0.0, 298.151)], atol=0.35)
    eps = header["ESO TEL ALT"] - 2 * header["ESO INS4 DROT2 BEGIN"]
    eps = math.degrees(math.atan(math.tan(math.radians(eps))))
    assert eps == pytest.approx(-0.338, abs=0.01)


@pytest.mark.parametrize("name", ["field", "old-field"])
def test_field_tracking_at_position_angle_30(nights, name):
    # derotation = 30 - 1.75 = 28.25 at any time and date.
    # PA 28.25 -> up; PA 118.25 -> +90 deg: x = -40, to the left.
    header, plane = nights(name)[0]
    check(plane, [(0.0, 39.754), (-40.0, 0.0)])
    assert header["ESO INS4 DROT2 MODE"] == "SKY"
    assert header["ESO INS4 DROT2 POSANG"] == 30.0


def test_modes_of_pupil_tracking(nights):
    [(header, _)] = nights("south")
    assert (header["ESO INS4 COMB ROT"], header["ESO INS4 DROT2 MODE"]) == ("PUPIL", "ELEV")


def test_star_follows_the_detector_stage(nights):
    # A stage position of +18 um moves the star by +1 px in the same axis.
    stages, places = [], []
    for header, plane in nights("field"):
        stages.append((header["ESO INS1 PAC X"] / 18, header["ESO INS1 PAC Y"] / 18))
        guess = (LEFT[0] + stages[-1][0], LEFT[1] + 39.754 + stages[-1][1])
        places.append(light_at(plane, 0, *guess))
    moved = np.subtract(places, places[0])
    np.testing.assert_allclose(moved, np.subtract(stages, stages[0]), atol=0.02)
    assert np.ptp(moved, axis=0).min() > 0.9  # both axes were tried


def test_waffle_spots(nights):
    # 13.72 lambda / D, D = 8 m: H2 13.72 * 41.07 mas / 12.255 = 45.98 px, H3 13.72 * 42.98
    # / 12.250 = 48.14 px; orientation x: 45 deg from the axes, rows compressed by 1.0062.
    plane = nights("star")[0][1]
    for field, star, along in ((0, LEFT, 45.98 / math.sqrt(2)), (1, RIGHT, 48.14 / math.sqrt(2))):
        for sx in (-1, 1):
            for sy in (-1, 1):
                place = (star[0] + sx * along, star[1] + sy * along / 1.0062)
                x0, y0 = round(place[0]) + 1024 * field, round(place[1])
                box = plane[y0 - 5 : y0 + 6, x0 - 5 : x0 + 6]
                box = np.maximum(box - 0.4 * box.max(), 0)
                yy, xx = np.mgrid[-5:6, -5:6]
                found = (
                    x0 - 1024 * field + (box * xx).sum() / box.sum(),
                    y0 + (box * yy).sum() / box.sum(),
                )
                np.testing.assert_allclose(found, place, atol=0.2)


def test_neutral_density(nights):
    # Magnitude 5, 1 s, ND_2.0. H2: 9.6e9 * 49.3 * 0.052 * 0.08 / 1.75 / 100 = 1.1250e7 ADU,
    # times 1.23e-2 = 1.384e5. H3: 1.1683e7 times 1.79e-2 = 2.091e5.
    header, plane = nights("star")[1]
    assert header["ESO INS4 FILT2 NAME"] == "ND_2.0"
    # 1 to 3 % of the light falls beyond the computed 1.57 arcsec.
    assert plane[:, :1024].sum() == pytest.approx(1.384e5 * 0.98, rel=0.015)
    assert plane[:, 1024:].sum() == pytest.approx(2.091e5 * 0.98, rel=0.015)
