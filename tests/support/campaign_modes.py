"""Cases of the IRDIS campaign about filters, coronagraphs, tracking and ways to observe."""

from __future__ import annotations

from campaign_cases import (
    FLAGGED,
    OK,
    SKY,
    Case,
    Expected,
    defects,
    either,
    flagged,
    sequence,
)

WARM = {"detector": {"sky_adu_s": 6.0, "background_swing": 0.06, "background_arc": 0.2}}
# FLUX through the denser filter, for bands in which ND_1.0 lets too much pass.
DENSE = {
    "flux_before": {"nd": "ND_2.0", "dit_s": 6.0},
    "flux_after": {"nd": "ND_2.0", "dit_s": 6.0},
}
HOP_STAR = {"name": "HIP_90002", "magnitude": 7.8}
MODES = (
    Case("h23", "2018-03-15", "DB_H23, pupil tracking"),
    Case("y23", "2017-05-20", "DB_Y23", changes={"filter": "DB_Y23", "sequence": DENSE}),
    Case("j23", "2019-11-02", "DB_J23", changes={"filter": "DB_J23", "sequence": DENSE}),
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
        changes={"filter": "DB_K12", **WARM, **sequence(**SKY)},
    ),
    Case(
        "k12-no-sky",
        "2022-06-05",
        "DB_K12 without SKY: background of the morning",
        changes={"filter": "DB_K12", **WARM},
        expected=either("BG_AGE", "BG_SCALED"),
    ),
    Case(
        "bb-y",
        "2023-02-10",
        "BB_Y",
        changes={"filter": "BB_Y", "target": {"magnitude": 8.6}, "sequence": DENSE},
    ),
    Case(
        "bb-j-field",
        "2015-09-25",
        "BB_J, field tracking with POSANG 30, before 2016-07-12",
        changes={
            "filter": "BB_J",
            "target": {"magnitude": 8.8},
            "sequence": DENSE,
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
            "sequence": DENSE,
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
            **sequence(**SKY),
        },
        expected=either("CORO_UNCAL"),
    ),
    Case(
        "nb-brg",
        "2017-10-30",
        "NB_BrG, spots and FLUX without density",
        changes={
            "filter": "NB_BrG",
            **sequence(
                flux_before={"nd": "OPEN", "dit_s": 1.4},
                flux_after={"nd": "OPEN", "dit_s": 1.4},
                **SKY,
            ),
        },
    ),
    Case(
        "nb-cnth-clear",
        "2015-03-29",
        "NB_CntH without coronagraph, science through ND_1.0, FLUX through ND_2.0",
        changes={
            "filter": "NB_CntH",
            "coronagraph": "N_NS_CLEAR",
            **sequence(
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
            **sequence(
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
        changes=sequence(
            continuous_waffle=True,
            object={"files": 3},
            center_before={"files": 0},
            center_after={"files": 0},
        ),
        expected=flagged("WAFFLE_CONTINUOUS"),
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
            **sequence(object={"files": 1, "ndit": 6}),
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
            **sequence(object={"files": 1, "ndit": 6}),
        },
        expected=(Expected(), Expected((OK, FLAGGED), may=("CENTER_SINGLE",), target="HIP_90002")),
    ),
    Case(
        "two-dits",
        "2016-09-16",
        "two DITs in one block, equal shares",
        changes=sequence(object_more=[{"files": 2, "ndit": 8, "dit_s": 16.0}]),
        expected=flagged("MIXED_DIT", may=("FRAMES_REJECTED",)),
    ),
    Case(
        "two-dits-split",
        "2024-06-21",
        "two DITs in one block, an observation of each",
        changes=sequence(object_more=[{"files": 2, "ndit": 8, "dit_s": 16.0}]),
        expected=(Expected(), Expected()),
        config={"association": {"several_dits": "split"}},
    ),
    Case(
        "short-dit-tail",
        "2019-02-14",
        "last file at a quarter of the DIT",
        changes=defects("mixed_dit"),
        expected=flagged("MIXED_DIT", may=("FRAMES_REJECTED",)),
    ),
    Case(
        "nd-science",
        "2017-01-08",
        "science through ND_1.0, FLUX through ND_2.0",
        changes={
            "target": {"magnitude": 5.2},
            **sequence(
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
TABLES = (MODES,)
