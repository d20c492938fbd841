"""Cases of the IRDIS campaign about exposures of the night that are missing, spoilt or unlike."""

from __future__ import annotations

from typing import Any

from campaign_cases import (
    BASE,
    FLAGGED,
    OK,
    REJECTED,
    SKY,
    Case,
    Expected,
    defects,
    either,
    flagged,
    sequence,
)

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.waffle import spot_radius_px
from spheredc_hpc.simulate import IrdisScenario
from spheredc_hpc.simulate.atmosphere import make_weather
from spheredc_hpc.simulate.frames import sky_files
from spheredc_hpc.simulate.timeline import plan_files

# A star as bright as five spots together, a spot's width beside one of them.
BESIDE_SPOT_PX = 5.0
BRIGHT = 0.02


def beside_a_spot(scenario: IrdisScenario) -> dict[str, Any]:
    """Give a bright companion that stands beside a satellite spot in the first CENTER file."""
    constants = default_constants()
    files = plan_files(scenario, constants)
    on_sky = [file for file in files if file.on_sky]
    weather = make_weather(scenario, on_sky[0].start_mjd - 0.01, on_sky[-1].end_mjd + 0.01)
    first = next(file for file in files if file.kind == "CENTER")
    turn = float(sky_files(scenario, constants, files, weather)[first.index].derotation_deg.mean())
    radius = float(spot_radius_px(1.63, constants, arm="IRDIS"))
    scale = constants.value("pixel_scale_mas", arm="IRDIS", mjd=first.start_mjd)
    # The upper right spot of an `x` lies 45 deg from +y towards +x, that is clockwise.
    angle = turn - 45.0 + BESIDE_SPOT_PX / radius * 57.3
    return {
        "name": "near",
        "separation_mas": radius * scale,
        "position_angle_deg": angle % 360,
        "contrast": [BRIGHT, BRIGHT],
    }


class BesideSpot(Case):
    """A night whose companion list gains one beside a spot."""

    def scenario(self) -> IrdisScenario:
        """Give the night."""
        night = super().scenario()
        listed = [*BASE["companions"], beside_a_spot(night)]
        return night.revise({"companions": listed})


CENTRES = (
    Case(
        "no-center",
        "2018-04-07",
        "no CENTER",
        changes=defects("missing_center"),
        expected=flagged("CENTER_ASSUMED", may=("CENTER_POOR",)),
    ),
    Case(
        "one-center",
        "2019-06-11",
        "one CENTER file of one integration",
        changes=sequence(center_before={"ndit": 1}, center_after={"files": 0}),
        expected=either("CENTER_SINGLE"),
    ),
    Case(
        "drift",
        "2020-07-25",
        "the star drifts 2 px/h between the CENTER files",
        changes={"pointing": {"drift_px_per_h": [1.6, -1.3]}},
        expected=either("CENTER_DRIFT"),
    ),
    Case(
        "weak-spots",
        "2017-08-29",
        "spots lost in the halo",
        changes={"wavefront": {"waffle_contrast": 2.0e-5}},
        expected=flagged("CENTER_ASSUMED", may=("CENTER_POOR", "CENTER_SECOND")),
    ),
    Case(
        "uneven-spots",
        "2021-12-05",
        "one pair of spots four times as faint as the other",
        changes={"wavefront": {"waffle_balance": 0.5}},
        expected=either("CENTER_SECOND"),
    ),
    BesideSpot(
        "star-beside-spot",
        "2016-04-21",
        "a star beside a spot misleads the fit",
        expected=either("CENTER_SECOND", "CENTER_SINGLE", "CENTER_POOR", "CENTER_ASSUMED"),
    ),
    Case(
        "centre-spelling",
        "2014-05-30",
        "OBJECT,CENTRE, and no DET FRAM UTC",
        changes=defects("old_spelling", "missing_fram_utc"),
        expected=flagged("TIME_ESTIMATED"),
    ),
)
FLUXES = (
    Case(
        "no-flux",
        "2018-08-16",
        "no FLUX",
        changes=defects("missing_flux"),
        expected=flagged("FLUX_MISSING"),
    ),
    Case(
        "saturated-flux",
        "2019-10-20",
        "FLUX without density, saturated",
        changes={**defects("saturated_flux"), "target": {"magnitude": 6.2}},
        expected=(Expected((FLAGGED,), (), ("FLUX_SAT", "FLUX_MISSING")),),
    ),
    Case(
        "unstable-flux",
        "2022-02-02",
        "first FLUX integration off place and faint",
        changes=defects("unstable_flux"),
        expected=either("FLUX_FRAMES_REJECTED"),
    ),
    Case(
        "flux-pair-differs",
        "2023-04-26",
        "FLUX after the science through thin clouds and worse seeing",
        changes={
            "atmosphere": {
                "flux_at_science_mean": False,
                "spells": [
                    {"frames": "FLUX", "file": 1, "seeing_factor": 1.6, "transmission": 0.7}
                ],
            }
        },
        expected=either("FLUX_UNSTABLE", "FLUX_VARIABLE"),
    ),
    Case(
        "flux-before-only",
        "2017-06-18",
        "one FLUX file",
        changes=sequence(flux_after={"files": 0}),
        expected=either("FLUX_SINGLE"),
    ),
)
TELEMETRY = (
    Case(
        "no-sparta",
        "2014-10-17",
        "no telemetry",
        changes=sequence(sparta=False),
        expected=flagged("NO_SPARTA"),
    ),
    Case(
        "no-seeing-at-all",
        "2015-02-08",
        "neither telemetry nor seeing in the headers",
        changes={**sequence(sparta=False), **defects("missing_header_seeing")},
        expected=flagged("NO_SPARTA"),
    ),
    Case(
        "sparta-gaps",
        "2024-01-25",
        "telemetry every 30 s with a gap and bad records",
        changes={"telemetry": {"sampling_s": 30.0, "gaps": [[0.3, 0.55]], "invalid_share": 0.15}},
        expected=either("SPARTA_GAPS", "NO_SPARTA"),
    ),
)
FRAMES = (
    Case(
        "degraded",
        "2018-12-30",
        "30 % of the frames in bursts of bad seeing, wind and clouds",
        changes={
            "atmosphere": {
                "flux_at_science_mean": False,
                "degraded": {"share": 0.3, "run": 2},
            },
            **sequence(object={"files": 3, "ndit": 8, "dit_s": 16.0}),
        },
        expected=(Expected((FLAGGED,), (), ("FRAMES_REJECTED", "HALO_VARIABLE", "FLUX_UNSTABLE")),),
    ),
    Case(
        "clouds",
        "2020-05-09",
        "half of the light for a third of the sequence",
        changes={**defects("clouds"), "atmosphere": {"flux_at_science_mean": False}},
        expected=(Expected((FLAGGED,), (), ("FRAMES_REJECTED", "HALO_VARIABLE", "FLUX_UNSTABLE")),),
    ),
    Case(
        "open-loop",
        "2021-03-19",
        "loops open in the first file",
        changes=defects("open_loop"),
        expected=flagged("FRAMES_REJECTED"),
    ),
    Case(
        "all-open-loop",
        "2015-07-16",
        "loops open in the only file",
        changes={**defects("open_loop"), **sequence(object={"files": 1})},
        expected=(Expected((REJECTED,), reason="adaptive optics not closed"),),
    ),
    Case(
        "nan-plane",
        "2022-08-08",
        "one plane of NaN",
        changes=defects("nan_plane"),
        expected=flagged("FRAMES_REJECTED"),
    ),
    Case(
        "aborted",
        "2016-12-12",
        "last file holds half of its planes",
        changes=defects("aborted_file"),
        expected=flagged("NDIT_SHORT"),
    ),
    Case(
        "broken-files",
        "2023-12-01",
        "a truncated file, a wrong checksum, a duplicate",
        changes={
            **defects("truncated_file", "wrong_checksum", "duplicate_file"),
            **sequence(object={"files": 4, "ndit": 4}),
        },
        expected=flagged("CHECKSUM_WRONG", may=("FRAMES_REJECTED",)),
    ),
    Case(
        "foreign-target",
        "2017-04-15",
        "last file points at another star",
        changes=defects("foreign_target"),
        expected=(
            Expected((OK, FLAGGED), (), ("FRAMES_REJECTED",)),
            Expected(
                (FLAGGED, REJECTED),
                may=("CENTER_ASSUMED", "CENTER_POOR", "FLUX_MISSING"),
                target="HIP_99999",
            ),
        ),
    ),
    Case(
        "no-object",
        "2019-01-03",
        "no OBJECT file",
        changes=sequence(object={"files": 0}, **SKY),
        expected=(Expected((REJECTED,), reason="no OBJECT"),),
    ),
)
TABLES = (CENTRES, FLUXES, TELEMETRY, FRAMES)
