"""When every file of the spectrograph is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.simulate.ifs.settings import IfsExposure, IfsSettings
from spheredc_hpc.simulate.sky import SECONDS_PER_DAY
from spheredc_hpc.simulate.timeline import CALIBRATION_GAP_S, PlannedFile

FIRST_INDEX = 10000
"""Files are counted from here, apart from those of IRDIS."""

LATER_S = 0.25
CALIBRATION_DIT_S = 1.650726
FOREIGN_DIT_S = 12.0
DETECTOR_FLATS = ("CAL_BB_2_{}", "CAL_NB1_1_{}", "CAL_NB2_1_{}", "CAL_NB3_1_{}")
EXTENDED_FLAT = "CAL_NB4_2_YJH"


@dataclass(frozen=True)
class IfsFile(PlannedFile):
    """One raw file; `setup` is its ``INS2 COMB IFS``."""

    setup: str = ""


def plan_ifs_files(
    irdis: list[PlannedFile], settings: IfsSettings, date: str, constants: Constants
) -> list[IfsFile]:
    """Plan the files: one beside each IRDIS file on the sky, and the calibrations."""
    files = [_beside(file, settings, constants) for file in irdis if file.on_sky]
    if settings.defects.aborted_file:
        last = max(i for i, file in enumerate(files) if file.kind == "OBJECT")
        files[last] = replace(files[last], n_planes=max(files[last].ndit // 2, 1))
    lamps = _lamps(settings, files)
    midnight = mjd_from_iso(f"{date}T00:00:00")
    for day in settings.calibrations.days:
        start = midnight + day + settings.calibrations.start_utc_h / 24
        for kind, setup, dit_s, ndit in lamps:
            made = _file(kind, setup, (dit_s, ndit, "OPEN"), start, constants)
            files.append(made)
            start = made.end_mjd + CALIBRATION_GAP_S / SECONDS_PER_DAY
    files.sort(key=lambda file: file.start_mjd)
    return _numbered(files)


def _beside(file: PlannedFile, settings: IfsSettings, constants: Constants) -> IfsFile:
    """Give the file that runs while IRDIS takes another."""
    exposure: IfsExposure = getattr(settings, file.kind.lower())
    dit_s = exposure.dit_s
    if settings.defects.saturated_center and file.kind == "CENTER":
        dit_s *= 20
    span_s = (file.end_mjd - file.start_mjd) * SECONDS_PER_DAY
    each_s = dit_s + constants.value("detector_overhead_s", arm="IFS")
    ndit = exposure.ndit or max(int(span_s / each_s), 1)
    start = file.start_mjd + LATER_S / SECONDS_PER_DAY
    made = _file(file.kind, settings.setup, (dit_s, ndit, file.nd), start, constants)
    return replace(made, star=file.star, exposure=file.exposure)


def _lamps(settings: IfsSettings, files: list[IfsFile]) -> list[tuple[str, str, float, int]]:
    """Kind, setup, integration time and planes of the calibrations of a morning."""
    c, d = settings.calibrations, settings.defects
    dits = sorted({file.dit_s for file in files})
    if d.dark_wrong_dit:
        dits = [FOREIGN_DIT_S]
    own = [CALIBRATION_DIT_S, *c.det_flat_dits_s]
    lamps: list[tuple[str, str, float, int]] = [
        ("DARK", settings.setup, dit, c.dark_ndit) for dit in sorted({*dits, *own})
    ]
    lamps += [("BACKGROUND", settings.setup, dit, c.background_ndit) for dit in dits]
    if not d.missing_specpos:
        lamps.append(("SPECPOS", settings.setup, CALIBRATION_DIT_S, c.specpos_ndit))
    if not d.missing_wave:
        lamps.append(("WAVE", settings.setup, CALIBRATION_DIT_S, c.wave_ndit))
    lamps.append(("IFU_FLAT", settings.setup, CALIBRATION_DIT_S, c.ifu_flat_ndit))
    band = "YJ" if settings.prism == "YJ" else "YJH"
    flats = [name.format(band) for name in DETECTOR_FLATS]
    flats += [EXTENDED_FLAT] if band == "YJH" else []
    lamps += [
        ("DET_FLAT", setup, dit, c.det_flat_ndit) for setup in flats for dit in c.det_flat_dits_s
    ]
    return [lamp for lamp in lamps if lamp[3]]


def _file(
    kind: str, setup: str, exposure: tuple[float, int, str], start: float, constants: Constants
) -> IfsFile:
    dit_s, ndit, nd = exposure
    return IfsFile(
        index=0,
        kind=kind,
        ndit=ndit,
        n_planes=ndit,
        dit_s=dit_s,
        nd=nd,
        start_mjd=round(start * SECONDS_PER_DAY * 1000) / 1000 / SECONDS_PER_DAY,
        cadence_s=dit_s + constants.value("detector_overhead_s", arm="IFS"),
        delay_s=constants.value("dit_delay_s", arm="IFS"),
        setup=setup,
    )


def _numbered(files: list[IfsFile]) -> list[IfsFile]:
    counts: dict[str, int] = {}
    numbered = []
    for i, file in enumerate(files):
        number = counts.get(file.kind, 0)
        counts[file.kind] = number + 1
        exposure = file.exposure if file.on_sky else number + 1
        numbered.append(replace(file, index=FIRST_INDEX + i, number=number, exposure=exposure))
    return numbered
