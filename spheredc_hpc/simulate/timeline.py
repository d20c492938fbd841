"""When every file of the night is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.sections import Exposure
from spheredc_hpc.simulate.sky import SECONDS_PER_DAY, transit_mjd
from spheredc_hpc.simulate.streams import stream

Block = tuple[str, Exposure, int]
"""Frame class, exposures, and which star they look at."""

ON_SKY = ("OBJECT", "CENTER", "FLUX", "SKY")
DITHER_STEPS = (0, -1, -2, 1)
CALIBRATION_GAP_S = 25.0
FOREIGN_DIT_S = 12.0
DIT_BRACKET = (0.5, 2.0)


@dataclass(frozen=True)
class PlannedFile:
    """One raw file before it is filled.

    Attributes
    ----------
    index : int
        Number in the night; selects the random streams.
    kind : str
        Frame class.
    ndit, n_planes : int
        Integrations planned, and stored.
    dit_s : float
        Integration time [s].
    nd : str
        Neutral density.
    start_mjd : float
        DATE-OBS [d].
    cadence_s : float
        From one integration to the next [s].
    delay_s : float
        From the start of a cadence to the start of the integration [s].
    dither_px : (float, float)
        Offset of the detector stage, x and y [px].
    number : int
        Among the files of its kind, from 0.
    exposure : int
        Exposure number in its template, from 1.
    star : int
        0 for the target, 1 for the reference star of star hopping.
    """

    index: int
    kind: str
    ndit: int
    n_planes: int
    dit_s: float
    nd: str
    start_mjd: float
    cadence_s: float
    delay_s: float
    dither_px: tuple[float, float] = (0.0, 0.0)
    number: int = 0
    exposure: int = 1
    star: int = 0

    @property
    def end_mjd(self) -> float:
        """DET FRAM UTC: when the last stored integration ends [d]."""
        return self.start_mjd + self.n_planes * self.cadence_s / SECONDS_PER_DAY

    @property
    def integration_starts(self) -> NDArray[np.float64]:
        """Start of each stored integration [d]."""
        seconds = np.arange(self.n_planes) * self.cadence_s + self.delay_s
        return np.asarray(self.start_mjd + seconds / SECONDS_PER_DAY)

    @property
    def mid_mjd(self) -> NDArray[np.float64]:
        """Middle of each stored integration [d]."""
        return np.asarray(self.integration_starts + self.dit_s / 2 / SECONDS_PER_DAY)

    @property
    def on_sky(self) -> bool:
        """Whether the telescope looks at the sky."""
        return self.kind in ON_SKY


@dataclass(frozen=True)
class _Pending:
    kind: str
    ndit: int
    dit_s: float
    nd: str
    star: int = 0


def science_of(files: list[PlannedFile]) -> list[PlannedFile]:
    """Files of the sequence proper: OBJECT, or CENTER where the waffle stays on."""
    for kind in ("OBJECT", "CENTER"):
        found = [file for file in files if file.kind == kind]
        if found:
            return found
    return []


def plan_files(scenario: IrdisScenario, constants: Constants) -> list[PlannedFile]:
    """Plan all files of the night in the order of time, defects of the sequence included."""
    science = _science(scenario)
    lengths = [_duration_s(item, constants) for item in science]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    kinds = [item.kind for item in science]
    main = next((kind for kind in ("OBJECT", "CENTER") if kind in kinds), kinds[0])
    targets = [i for i, kind in enumerate(kinds) if kind == main]
    middle = (starts[targets[0]] + starts[targets[-1] + 1]) / 2
    transit = transit_mjd(scenario.target, scenario.date)
    centre = transit + scenario.hour_angle_h * 0.99727 / 24
    begin = _whole_ms(centre - middle / SECONDS_PER_DAY)
    files = _lay_out(science, begin, constants)
    morning = mjd_from_iso(f"{scenario.date}T00:00:00") + scenario.calibrations.start_utc_h / 24
    days = scenario.calibrations.days
    if scenario.defects.calibrations_next_night:
        days = (4,)
    lamps = _calibrations(scenario, science, constants)
    for day in days:
        files += _lay_out(lamps, morning + day, constants, gap_s=CALIBRATION_GAP_S)
    files.sort(key=lambda file: file.start_mjd)
    return _number(scenario, files)


def _science(scenario: IrdisScenario) -> list[_Pending]:
    d = scenario.defects
    absent = {
        "CENTER": d.missing_center,
        "FLUX": d.missing_flux,
        "SKY": d.missing_background,
        "OBJECT": False,
    }
    items = []
    for kind, exposure, star in _blocks(scenario):
        if not absent[kind]:
            nd = "OPEN" if kind == "FLUX" and d.saturated_flux else exposure.nd
            if kind == "OBJECT" and scenario.sequence.continuous_waffle:
                kind = "CENTER"
            item = _Pending(kind, exposure.ndit, exposure.dit_s, nd, star)
            items += [item] * exposure.files
    if d.mixed_dit:
        last = max(i for i, item in enumerate(items) if item.kind == "OBJECT")
        items[last] = replace(items[last], dit_s=items[last].dit_s / 4)
    return items


def _blocks(scenario: IrdisScenario) -> list[Block]:
    """Exposures on the sky in the order in which they are taken."""
    s, hopping = scenario.sequence, scenario.hopping
    before: list[Block] = [("CENTER", s.center_before, 0), ("FLUX", s.flux_before, 0)]
    main: list[Block] = [("OBJECT", exposure, 0) for exposure in (s.object, *s.object_more)]
    after: list[Block] = [("FLUX", s.flux_after, 0), ("CENTER", s.center_after, 0)]
    sky: list[Block] = [("SKY", s.sky, 0)]
    if hopping is None:
        return [*before, *main, *after, *sky]
    other: list[Block] = [("OBJECT", hopping.object, 1)]
    hops = [block for _ in range(hopping.visits - 1) for block in (*main, *other)]
    first = [*before, *main, *((kind, exposure, 1) for kind, exposure, _ in before), *other]
    return [*first, *hops, *after, *sky]


def _calibrations(
    scenario: IrdisScenario, science: list[_Pending], constants: Constants
) -> list[_Pending]:
    c, d = scenario.calibrations, scenario.defects
    setups = sorted({(item.dit_s, item.nd) for item in science})
    if d.dark_wrong_dit:
        setups = [(FOREIGN_DIT_S, "OPEN")]
    if d.dark_bracketing:
        shortest = constants.value("min_dit_s", arm="IRDIS")
        setups = sorted({(max(dit * f, shortest), nd) for dit, nd in setups for f in DIT_BRACKET})
    if d.nd_mismatch:
        setups = [(dit, "ND_2.0" if nd == "ND_1.0" else nd) for dit, nd in setups]
    items = []
    if c.dark_ndit:
        dits = sorted({dit for dit, _ in setups})
        items += [_Pending("DARK", c.dark_ndit, dit, "OPEN") for dit in dits]
    if c.background_ndit and not d.missing_background:
        items += [_Pending("BACKGROUND", c.background_ndit, dit, nd) for dit, nd in setups]
    if not d.missing_flat:
        items += [_Pending("FLAT", c.flat_ndit, dit, "OPEN") for dit in c.flat_dits_s]
    return items


def _duration_s(item: _Pending, constants: Constants) -> float:
    overhead = constants.value("detector_overhead_s", arm="IRDIS")
    return item.ndit * (item.dit_s + overhead) + constants.value("file_overhead_s", arm="IRDIS")


def _whole_ms(mjd: float) -> float:
    return round(mjd * SECONDS_PER_DAY * 1000) / 1000 / SECONDS_PER_DAY


def _lay_out(
    items: list[_Pending], begin_mjd: float, constants: Constants, gap_s: float = 0.0
) -> list[PlannedFile]:
    files: list[PlannedFile] = []
    start = begin_mjd
    for item in items:
        files.append(
            PlannedFile(
                index=0,
                kind=item.kind,
                ndit=item.ndit,
                n_planes=item.ndit,
                dit_s=item.dit_s,
                nd=item.nd,
                start_mjd=_whole_ms(start),
                cadence_s=item.dit_s + constants.value("detector_overhead_s", arm="IRDIS"),
                delay_s=constants.value("dit_delay_s", arm="IRDIS"),
                star=item.star,
            )
        )
        start += (_duration_s(item, constants) + gap_s) / SECONDS_PER_DAY
    return files


def _number(scenario: IrdisScenario, files: list[PlannedFile]) -> list[PlannedFile]:
    counts: dict[str, int] = {}
    exposures: dict[str, int] = {}
    last_object = max((i for i, f in enumerate(files) if f.kind == "OBJECT"), default=-1)
    numbered = []
    for i, file in enumerate(files):
        number = counts.get(file.kind, 0)
        counts[file.kind] = number + 1
        template = f"sky {file.star}" if file.on_sky else file.kind
        exposures[template] = exposures.get(template, 0) + 1
        aborted = scenario.defects.aborted_file and i == last_object
        numbered.append(
            replace(
                file,
                index=i,
                number=number,
                exposure=exposures[template],
                n_planes=max(file.ndit // 2, 1) if aborted else file.n_planes,
                dither_px=_dither(scenario, file.kind, number, i),
            )
        )
    return numbered


def _dither(scenario: IrdisScenario, kind: str, number: int, index: int) -> tuple[float, float]:
    """Position of the stage [px]: a 4 x 4 grid for OBJECT, and what the stage misses."""
    rng = stream(scenario.seed, "dither", index)
    missed = 0.004 * rng.standard_normal(2) if scenario.effects.motion else np.zeros(2)
    x, y = 0, 0
    if kind == "OBJECT" and scenario.pointing.dither:
        x, y = DITHER_STEPS[number % 4], DITHER_STEPS[number // 4 % 4]
    return float(x + missed[0]), float(y + missed[1])
