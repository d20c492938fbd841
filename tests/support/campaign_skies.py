"""Cases of the IRDIS campaign about places on the sky, dates and calibrations."""

from __future__ import annotations

from campaign_cases import FLAGGED, Case, Expected, defects, either, flagged

NORTH = "true_north_deg[arm=IRDIS]@2018-05-03"

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
    # True north that changes between two blocks of frames, told to both by its date.
    *(
        Case(
            name,
            date,
            about,
            changes={"constants": {NORTH: -1.30}},
            config={"constants": {NORTH: -1.30}},
        )
        for name, date, about in (
            ("true-north-before", "2018-05-02", "the day before a new true north"),
            ("true-north-after", "2018-05-05", "two days after a new true north"),
        )
    ),
)
CALIBRATIONS = (
    Case(
        "dark-only",
        "2017-03-03",
        "no background but darks",
        changes=defects("missing_background"),
        expected=flagged("BG_DARK"),
    ),
    Case(
        "no-background",
        "2020-10-12",
        "neither background nor dark",
        changes={**defects("missing_background"), "calibrations": {"dark_ndit": 0}},
        expected=flagged("BG_MISSING", may=("BAD_PIXELS_MISSING",)),
    ),
    Case(
        "no-flat",
        "2018-06-23",
        "no flat",
        changes=defects("missing_flat"),
        expected=flagged("FLAT_MISSING", may=("BAD_PIXELS_MISSING",)),
    ),
    Case(
        "wrong-dit",
        "2019-04-30",
        "dark and background at a foreign DIT",
        changes=defects("dark_wrong_dit"),
        expected=(
            Expected((FLAGGED,), (), ("BG_MISSING", "BG_SCALED", "BG_DARK", "BG_INTERPOLATED")),
        ),
    ),
    Case(
        "bracketing",
        "2021-05-17",
        "dark and background at half and twice the DIT",
        changes=defects("dark_bracketing"),
        expected=flagged("BG_INTERPOLATED", may=("BG_DARK",)),
    ),
    Case(
        "nd-background",
        "2016-11-11",
        "background of the FLUX through another density",
        changes=defects("nd_mismatch"),
        expected=either("BG_DARK", "BG_MISSING"),
    ),
    Case(
        "late-calibrations",
        "2022-01-13",
        "calibrations four days later",
        changes=defects("calibrations_next_night"),
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
        # A background that old may also be refused.
        expected=flagged("FLAT_AGE", may=("BG_AGE", "BG_MISSING")),
    ),
)
TABLES = (SKIES, CALIBRATIONS)
