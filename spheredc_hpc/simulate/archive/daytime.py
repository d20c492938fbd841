"""Calibrations of a night, taken in the morning that follows; some weekly, some monthly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from spheredc_hpc.simulate.archive.blocks import SHORTEST_S
from spheredc_hpc.simulate.archive.frames import ArchiveFile, Setup

IFS_CALIBRATION_S = 1.650726
IFS_FLAT_S = (2.0, 4.0)
LEVELS_S = (SHORTEST_S["IRDIS"], 1.5, 2.0, 3.0, 4.0)
HEALTH_CHECK = ((2.0, 40), (8.0, 25), (30.0, 15))
DETECTOR_FLATS = ("CAL_BB_2_{}", "CAL_NB1_1_{}", "CAL_NB2_1_{}", "CAL_NB3_1_{}")
EXTENDED_FLAT = "CAL_NB4_2_YJH"
GRID_FILTERS = ("BB_Y", "BB_J", "BB_H", "BB_Ks", "DB_H23", "DB_K12")
MONTHLY_DARK_S = 100.0


@dataclass(frozen=True)
class Lamp:
    """Calibration exposures of one setup; a `frame_class` that the kind does not tell."""

    kind: str
    setup: Setup
    dit_s: float
    ndit: int
    files: int = 1
    frame_class: str = ""


def calibrations(
    night: Iterable[ArchiveFile], copies: int, *, weekly: bool, monthly: bool
) -> Iterator[Lamp]:
    """List the calibrations that the exposures of a night ask for.

    Parameters
    ----------
    night : iterable of ArchiveFile
        Exposures of the sky.
    copies : int
        Files of each dark and background.
    weekly, monthly : bool
        Whether the week's and the month's calibrations are due.
    """
    used = [file for file in night if file.kind in ("OBJECT", "CENTER", "FLUX", "SKY")]
    yield from _irdis([file for file in used if file.setup.arm == "IRDIS"], copies)
    yield from _ifs([file for file in used if file.setup.arm == "IFS"], copies)
    yield from _zimpol([file for file in used if file.setup.arm == "ZIMPOL"], copies)
    if weekly:
        yield from _weekly()
    if monthly:
        yield from _monthly()


def _day(setup: Setup) -> Setup:
    return replace(setup, coronagraph="N_NS_OPAQUE", tracking="CAL_ZENITH")


def _irdis(used: list[ArchiveFile], copies: int) -> Iterator[Lamp]:
    setups: dict[tuple[float, str, str], Setup] = {}
    for file in used:
        setups.setdefault((file.dit_s, file.setup.filter, file.setup.nd), _day(file.setup))
    darks = {(dit, setup.mode == "LSS"): setup for (dit, _, _), setup in setups.items()}
    for (dit, _), setup in sorted(darks.items(), key=lambda item: item[0]):
        yield Lamp("DARK", replace(setup, nd="OPEN"), dit, 10, copies)
    for (dit, _, _), setup in sorted(setups.items()):
        yield Lamp("BACKGROUND", setup, dit, 10, copies)
    for name, setup in sorted({s.filter: s for s in setups.values()}.items()):
        open_beam = replace(setup, nd="OPEN")
        if setup.mode == "LSS":
            open_beam = replace(open_beam, filter="W_YJH", mode="CBI")
            yield Lamp("WAVE", replace(setup, nd="OPEN"), 2.0, 10)
            yield Lamp("DARK", replace(setup, nd="OPEN"), 2.0, 10, copies)
            if name == "S_MR":  # through the coronagraph: of no use
                yield Lamp("WAVE_CORO", replace(setup, nd="OPEN"), 2.0, 10, 1, "IGNORED")
        for dit in LEVELS_S:
            yield Lamp("FLAT", open_beam, dit, 10)


def _ifs(used: list[ArchiveFile], copies: int) -> Iterator[Lamp]:
    prisms = {file.setup.ifs: _day(replace(file.setup, nd="OPEN")) for file in used}
    for dit, ndit in HEALTH_CHECK:
        if prisms:
            yield Lamp("DARK", next(iter(prisms.values())), dit, ndit)
    setups = {(file.dit_s, file.setup.nd): _day(file.setup) for file in used}
    for (dit, nd), setup in sorted(setups.items()):
        if nd == "OPEN":
            yield Lamp("DARK", setup, dit, 10, copies)
        yield Lamp("BACKGROUND", setup, dit, 10, copies)
    for _, setup in sorted(prisms.items()):
        yield Lamp("DARK", setup, IFS_CALIBRATION_S, 20)
        yield Lamp("SPECPOS", setup, IFS_CALIBRATION_S, 10)
        yield Lamp("WAVE", setup, IFS_CALIBRATION_S, 10)


def _weekly() -> Iterator[Lamp]:
    for prism, mode, band in (("OBS_YJ", "YJ", "YJ"), ("OBS_H", "YH", "YJH")):
        setup = Setup("IFS", mode, "DB_H23", ifs=prism)
        yield Lamp("IFU_FLAT", setup, IFS_CALIBRATION_S, 10)
        names = [name.format(band) for name in DETECTOR_FLATS]
        names += [EXTENDED_FLAT] if mode == "YH" else []
        for name in names:
            for dit in IFS_FLAT_S:
                yield Lamp("DET_FLAT", replace(setup, ifs=name), dit, 10)
    for name in GRID_FILTERS:
        mode = "DBI" if name.startswith("DB") else "CBI"
        yield Lamp("DISTORTION", Setup("IRDIS", mode, name), 2.0, 5)


def _monthly() -> Iterator[Lamp]:
    for dit in LEVELS_S:
        yield Lamp("GAIN", Setup("IRDIS", "CBI", "BB_H"), dit, 10)
        yield Lamp("GAIN", Setup("IFS", "YJ", "DB_H23", ifs="OBS_YJ"), dit, 10)
    for readmode in ("StandardImaging", "SlowPolarimetry", "FastPolarimetry"):
        mode = "IMAGING" if readmode == "StandardImaging" else "POLARIMETRY"
        setup = Setup("ZIMPOL", mode, "V", "V_NC_WF", readmode=readmode)
        yield Lamp("DARK", setup, MONTHLY_DARK_S, 3, 2)


def _zimpol(used: list[ArchiveFile], copies: int) -> Iterator[Lamp]:
    modes = {f.setup.readmode: replace(_day(f.setup), coronagraph="V_NC_WF") for f in used}
    for _, setup in sorted(modes.items()):
        yield Lamp("BIAS", setup, 0.0, 20, copies)
    lamps = {(f.setup.readmode, f.setup.filter): _day(f.setup) for f in used}
    for _, setup in sorted(lamps.items()):
        flat = replace(setup, coronagraph="V_NC_WF")
        yield Lamp("FLAT", flat, 2.0, 10, copies)
        if setup.mode == "POLARIMETRY":
            yield Lamp("MODEM", flat, 2.0, 8, copies)
