"""The IRDIS campaign: one short night per mode and defect, 2014 to 2024, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spheredc_hpc.instrument import site
from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.simulate import IrdisScenario, load_scenario
from spheredc_hpc.simulate.scene import merge

OK, FLAGGED, REJECTED = "ok", "flagged", "rejected"

# Short and steady: 12 integrations of half a minute at the meridian, good seeing, a star that
# saturates nowhere, two companions that every recipe sees.
BASE: dict[str, Any] = {
    "base": "first-light-small",
    "target": {"magnitude": 7.6, "pm_ra_mas_yr": 0.0, "pm_dec_mas_yr": 0.0},
    "companions": [
        {
            "name": "b",
            "separation_mas": 620.0,
            "position_angle_deg": 127.0,
            "contrast": [1.6e-3, 1.2e-3],
        },
        {
            "name": "c",
            "separation_mas": 1150.0,
            "position_angle_deg": 312.0,
            "contrast": [6e-4, 6e-4],
        },
    ],
    "sequence": {
        "center_before": {"files": 1, "ndit": 2, "dit_s": 32.0},
        "flux_before": {"files": 1, "ndit": 4, "dit_s": 2.0, "nd": "ND_1.0"},
        "object": {"files": 2, "ndit": 6, "dit_s": 32.0},
        "flux_after": {"files": 1, "ndit": 4, "dit_s": 2.0, "nd": "ND_1.0"},
        "center_after": {"files": 1, "ndit": 2, "dit_s": 32.0},
        "sky": {"files": 0},
    },
    "calibrations": {"dark_ndit": 2, "background_ndit": 4, "flat_ndit": 1},
    "wavefront": {"substeps": 6},
    "atmosphere": {
        "seeing_arcsec": 0.75,
        "seeing_sigma_ln": 0.06,
        "tau0_ms": 5.0,
        "tau0_sigma_ln": 0.1,
        "transparency_sigma": 0.005,
    },
}
SKY = {"sky": {"files": 1, "ndit": 4, "dit_s": 32.0}}
WARM = {"detector": {"sky_adu_s": 6.0, "background_swing": 0.06, "background_arc": 0.2}}
HOP_STAR = {"name": "HIP_90002", "magnitude": 7.2}


@dataclass(frozen=True)
class Expected:
    """What an observation must end as.

    Attributes
    ----------
    status : tuple of str
        Any of these.
    flags, may : tuple of str
        Flags that it must have, and that it may have besides.
    reason : str
        Words that one of its reasons must hold.
    target : str
        Which star; empty for the target of the night.
    """

    status: tuple[str, ...] = (OK,)
    flags: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    reason: str = ""
    target: str = ""


@dataclass(frozen=True)
class Case:
    """One night of the campaign.

    Attributes
    ----------
    name, date : str
    about : str
        Mode or defect that it stands for.
    dec_deg : float
        Declination of the target; it culminates in the middle of the night.
    changes : dict
        Scenario fields that differ from `BASE`.
    expected : tuple of Expected
        One an observation.
    recipes : tuple of str
        Level 2 recipes of `campaign_run`: ``adi`` where the field turns enough, ``profile``.
    config : dict
        Settings beside those of the campaign.
    """

    name: str
    date: str
    about: str
    dec_deg: float = -31.0
    changes: dict[str, Any] = field(default_factory=dict)
    expected: tuple[Expected, ...] = (Expected(),)
    recipes: tuple[str, ...] = ("adi",)
    config: dict[str, Any] = field(default_factory=dict)

    def scenario(self) -> IrdisScenario:
        """Give the night; its seed follows from the name."""
        ra = transit_ra_deg(self.date)
        values = merge(BASE, {"target": {"name": self.name.upper(), "ra_deg": ra}})
        values = merge(values, {"target": {"dec_deg": self.dec_deg}, "date": self.date})
        values["seed"] = 1 + sum(i * ord(letter) for i, letter in enumerate(self.name, 1))
        values = merge(values, self.changes)
        hopping = values.get("hopping")
        if hopping:
            star = {"ra_deg": ra + 0.9, "dec_deg": self.dec_deg + 0.4, **hopping["target"]}
            values = merge(values, {"hopping": {"target": star}})
        base = load_scenario(values.pop("base"))
        return base.revise(values)


def transit_ra_deg(date: str) -> float:
    """Right ascension that culminates at 5 h UTC of a date, to a few tenths of a degree."""
    mjd = mjd_from_iso(f"{date}T05:00:00")
    return float(np.asarray(site.apparent_sidereal_time_deg(np.array([mjd])))[0] % 360)


def flagged(*flags: str, may: tuple[str, ...] = (), reason: str = "") -> tuple[Expected, ...]:
    """Expect flags on the one observation of a night."""
    return (Expected((FLAGGED,), flags, may, reason),)


def either(*may: str) -> tuple[Expected, ...]:
    """Expect no flag, or any of these."""
    return (Expected((OK, FLAGGED), (), may),)


def _sequence(**parts: Any) -> dict[str, Any]:
    return {"sequence": parts}


def _defects(*names: str) -> dict[str, Any]:
    return {"defects": dict.fromkeys(names, True)}


MODES = (
    Case("h23", "2018-03-15", "DB_H23, pupil tracking", recipes=("adi", "profile")),
    Case("y23", "2017-05-20", "DB_Y23", changes={"filter": "DB_Y23"}),
    Case("j23", "2019-11-02", "DB_J23", changes={"filter": "DB_J23"}),
    Case("h34", "2021-08-11", "DB_H34", changes={"filter": "DB_H34"}),
    Case("h32", "2014-12-08", "DB_H32, fields swapped", changes={"filter": "DB_H32"}),
    Case(
        "ndh23",
        "2016-02-20",
        "DB_NDH23: density in the common filter",
        changes={"filter": "DB_NDH23", "target": {"magnitude": 6.3}},
    ),
    Case(
        "k12-sky",
        "2020-01-17",
        "DB_K12 with SKY, thermal light that swings",
        changes={"filter": "DB_K12", **WARM, **_sequence(**SKY)},
    ),
    Case(
        "k12-no-sky",
        "2022-06-05",
        "DB_K12 without SKY: background of the morning",
        changes={"filter": "DB_K12", **WARM},
        expected=either("BG_AGE", "BG_SCALED"),
    ),
    Case("bb-y", "2023-02-10", "BB_Y", changes={"filter": "BB_Y", "target": {"magnitude": 8.6}}),
    Case(
        "bb-j-field",
        "2015-09-25",
        "BB_J, field tracking with POSANG 30, before 2016-07-12",
        changes={
            "filter": "BB_J",
            "target": {"magnitude": 8.8},
            "pointing": {"tracking": "FIELD", "posang_deg": 30.0},
        },
        recipes=("profile",),
    ),
    Case(
        "bb-h-field",
        "2024-04-02",
        "BB_H, field tracking with POSANG -75",
        changes={
            "filter": "BB_H",
            "target": {"magnitude": 8.6},
            "pointing": {"tracking": "FIELD", "posang_deg": -75.0},
        },
        recipes=("profile",),
    ),
    Case(
        "bb-ks",
        "2019-07-21",
        "BB_Ks behind N_ALC_Ks, which has no transmission curve",
        changes={
            "filter": "BB_Ks",
            "coronagraph": "N_ALC_Ks",
            "target": {"magnitude": 8.2},
            **WARM,
            **_sequence(**SKY),
        },
        expected=either("CORO_UNCAL"),
    ),
    Case(
        "nb-brg",
        "2017-10-30",
        "NB_BrG, spots and FLUX without density",
        changes={
            "filter": "NB_BrG",
            **_sequence(flux_before={"nd": "OPEN"}, flux_after={"nd": "OPEN"}, **SKY),
        },
    ),
    Case(
        "nb-cnth-clear",
        "2015-03-29",
        "NB_CntH without coronagraph, science through ND_1.0, FLUX through ND_2.0",
        changes={
            "filter": "NB_CntH",
            "coronagraph": "N_NS_CLEAR",
            **_sequence(
                center_before={"files": 0},
                center_after={"files": 0},
                object={"files": 3, "ndit": 8, "dit_s": 4.0, "nd": "ND_1.0"},
                flux_before={"nd": "ND_2.0", "dit_s": 8.0},
                flux_after={"nd": "ND_2.0", "dit_s": 8.0},
                flux_offset_mas=0.0,
            ),
        },
    ),
    Case(
        "clear-saturated",
        "2021-01-28",
        "DB_H23 without coronagraph, star saturated in OBJECT",
        changes={
            "coronagraph": "N_NS_CLEAR",
            **_sequence(
                center_before={"files": 0},
                center_after={"files": 0},
                object={"files": 3, "ndit": 6, "dit_s": 8.0},
                flux_offset_mas=0.0,
            ),
        },
        expected=either("CENTER_POOR", "CENTER_ASSUMED", "STAR_SATURATED"),
    ),
    Case(
        "waffle-on",
        "2022-11-19",
        "continuous waffle: OBJECT,CENTER files only",
        changes=_sequence(
            continuous_waffle=True, center_before={"files": 0}, center_after={"files": 0}
        ),
        expected=either("SPOTS_IN_SCIENCE"),
    ),
    Case(
        "hopping",
        "2020-03-12",
        "star hopping, two blocks in one container",
        changes={
            "hopping": {
                "target": HOP_STAR,
                "ob_id": 1801299,
                "container_id": 990017,
                "object": {"files": 1, "ndit": 4, "dit_s": 32.0},
            },
            **_sequence(object={"files": 1, "ndit": 6}),
        },
        expected=(Expected(), Expected((OK, FLAGGED), may=("CENTER_SINGLE",), target="HIP_90002")),
    ),
    Case(
        "hopping-one-ob",
        "2023-09-03",
        "star hopping within one block",
        changes={
            "hopping": {
                "target": HOP_STAR,
                "ob_id": 1801234,
                "container_id": 990018,
                "object": {"files": 1, "ndit": 4, "dit_s": 32.0},
            },
            **_sequence(object={"files": 1, "ndit": 6}),
        },
        expected=(Expected(), Expected((OK, FLAGGED), may=("CENTER_SINGLE",), target="HIP_90002")),
    ),
    Case(
        "two-dits",
        "2016-09-16",
        "two DITs in one block, equal shares",
        changes=_sequence(object_more=[{"files": 2, "ndit": 8, "dit_s": 16.0}]),
        expected=flagged("MIXED_DIT", may=("FRAMES_REJECTED",)),
    ),
    Case(
        "short-dit-tail",
        "2019-02-14",
        "last file at a quarter of the DIT",
        changes=_defects("mixed_dit"),
        expected=flagged("MIXED_DIT", may=("FRAMES_REJECTED",)),
    ),
    Case(
        "nd-science",
        "2017-01-08",
        "science through ND_1.0, FLUX through ND_2.0",
        changes={
            "target": {"magnitude": 5.2},
            **_sequence(
                object={"nd": "ND_1.0"},
                center_before={"nd": "ND_1.0"},
                center_after={"nd": "ND_1.0"},
                flux_before={"nd": "ND_2.0"},
                flux_after={"nd": "ND_2.0"},
            ),
        },
    ),
    Case("undithered", "2018-12-22", "no dither", changes={"pointing": {"dither": False}}),
    Case(
        "waffle-plus",
        "2014-05-14",
        "spots in +",
        changes={"wavefront": {"waffle_orientation": "+"}},
    ),
)
SKIES = (
    Case(
        "derotator-2014",
        "2014-08-12",
        "derotator law before 2016-07-12, far from the meridian",
        dec_deg=-51.0,
        changes={"hour_angle_h": 2.2, "pointing": {"derotator_lag_s": 90.0}},
        recipes=("profile",),
    ),
    Case(
        "derotator-2016",
        "2016-07-10",
        "derotator law two days before its repair",
        changes={"hour_angle_h": -1.8, "pointing": {"derotator_lag_s": 90.0}},
        dec_deg=-12.0,
        recipes=("profile",),
    ),
    Case(
        "derotator-fixed",
        "2016-07-13",
        "the day after the repair",
        dec_deg=-12.0,
        recipes=("profile",),
    ),
    Case(
        "dec-minus-half", "2018-10-09", "declination -0.5 deg", dec_deg=-0.5, recipes=("profile",)
    ),
    Case(
        "dec-minus-arcsec",
        "2015-12-19",
        "declination -30 arcsec",
        dec_deg=-0.008,
        recipes=("profile",),
    ),
    Case(
        "north",
        "2021-10-04",
        "declination +21 deg: transit through +-180",
        dec_deg=21.1,
        recipes=("profile",),
    ),
    Case(
        "zenith-north",
        "2022-03-22",
        "declination -22 deg: fast turn through +-180",
        dec_deg=-22.0,
    ),
    Case("late-2024", "2024-09-10", "DB_H23 in 2024"),
)
CALIBRATIONS = (
    Case(
        "dark-only",
        "2017-03-03",
        "no background but darks",
        changes=_defects("missing_background"),
        expected=flagged("BG_DARK"),
    ),
    Case(
        "no-background",
        "2020-10-12",
        "neither background nor dark",
        changes={**_defects("missing_background"), "calibrations": {"dark_ndit": 0}},
        expected=flagged("BG_MISSING", may=("BAD_PIXELS_MISSING",)),
    ),
    Case(
        "no-flat",
        "2018-06-23",
        "no flat",
        changes=_defects("missing_flat"),
        expected=flagged("FLAT_MISSING", may=("BAD_PIXELS_MISSING",)),
    ),
    Case(
        "wrong-dit",
        "2019-04-30",
        "dark and background at a foreign DIT",
        changes=_defects("dark_wrong_dit"),
        expected=(
            Expected((FLAGGED,), (), ("BG_MISSING", "BG_SCALED", "BG_DARK", "BG_INTERPOLATED")),
        ),
    ),
    Case(
        "bracketing",
        "2021-05-17",
        "dark and background at half and twice the DIT",
        changes=_defects("dark_bracketing"),
        expected=flagged("BG_INTERPOLATED", may=("BG_DARK",)),
    ),
    Case(
        "nd-background",
        "2016-11-11",
        "background of the FLUX through another density",
        changes=_defects("nd_mismatch"),
        expected=either("BG_DARK", "BG_MISSING"),
    ),
    Case(
        "late-calibrations",
        "2022-01-13",
        "calibrations four days later",
        changes=_defects("calibrations_next_night"),
        expected=either("BG_AGE", "FLAT_AGE"),
    ),
    Case(
        "several-mornings",
        "2023-06-14",
        "calibrations of the mornings before, after, and a week later",
        changes={"calibrations": {"days": [-1, 0, 7]}},
    ),
    Case(
        "old-calibrations",
        "2015-06-02",
        "calibrations 40 days earlier only",
        changes={"calibrations": {"days": [-40]}},
        expected=flagged("BG_AGE", may=("FLAT_AGE",)),
    ),
)
TABLES = (MODES, SKIES, CALIBRATIONS)
