"""What is wrong with some sequences of a simulated archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spheredc_hpc.instrument.headers import mjd_from_iso
from spheredc_hpc.simulate.archive.daytime import Lamp
from spheredc_hpc.simulate.archive.frames import ArchiveFile
from spheredc_hpc.simulate.cards import Value

CENTRE_SPELLING_UNTIL = mjd_from_iso("2015-10-01T00:00:00")
DEROTATOR_START_UNTIL = mjd_from_iso("2015-02-01T00:00:00")
NO_TAU0_UNTIL = mjd_from_iso("2016-04-01T00:00:00")
TYPE, CATEGORY, DIT = "ESO DPR TYPE", "ESO DPR CATG", "ESO DET SEQ1 DIT"
ELSEWHERE_DEG = 2.5

Files = list[ArchiveFile]


def _with(file: ArchiveFile, key: str, value: Value | None) -> ArchiveFile:
    return replace(file, changes={**file.changes, key: value})


def _without(kind: str) -> Callable[[Files], Files]:
    return lambda files: [file for file in files if file.kind != kind]


def _last(files: Files, change: Callable[[ArchiveFile], ArchiveFile]) -> Files:
    """Change the last OBJECT file."""
    last = max((i for i, file in enumerate(files) if file.kind == "OBJECT"), default=-1)
    return [change(file) if i == last else file for i, file in enumerate(files)]


def _aborted(files: Files) -> Files:
    return _last(files, lambda f: replace(f, n_planes=max(f.ndit // 2, 1)))


def _mixed_dit(files: Files) -> Files:
    return _last(files, lambda f: replace(f, dit_s=f.dit_s / 4, cadence_s=f.cadence_s / 2))


def _foreign(files: Files) -> Files:
    def elsewhere(file: ArchiveFile) -> ArchiveFile:
        if file.star is None:
            return file
        dec = round(file.star.dec_deg + ELSEWHERE_DEG, 5)
        return replace(file, star=replace(file.star, dec_deg=dec))

    return _last(files, elsewhere)


def _open_loop(files: Files) -> Files:
    return _last(files, lambda f: _with(f, "ESO AOS HOLOOP STATE", "OPEN_LOOP"))


def _no_end(files: Files) -> Files:
    return [_with(file, "ESO DET FRAM UTC", None) for file in files]


def _no_type(files: Files) -> Files:
    return _last(files, lambda f: replace(_with(f, TYPE, None), frame_class="UNKNOWN"))


def _no_date(files: Files) -> Files:
    return _last(files, lambda f: _with(_with(f, "DATE-OBS", None), "MJD-OBS", None))


def _no_arm(files: Files) -> Files:
    return _last(files, lambda f: _with(f, "ESO SEQ ARM", None))


def _garbled_dit(files: Files) -> Files:
    return _last(files, lambda f: _with(_with(f, DIT, "long"), "ESO DET DIT1", "long"))


def _technical(files: Files) -> Files:
    return _last(files, lambda f: replace(_with(f, CATEGORY, "TECHNICAL"), frame_class="UNKNOWN"))


def _maintenance(files: Files) -> Files:
    serviced = [_with(file, "ESO OBS PROG ID", "Maintenance") for file in files]
    return [replace(file, frame_class="IGNORED") for file in serviced]


def _short(files: Files) -> Files:
    return _last(files, lambda f: replace(f, damage="short", packed=""))


def _cut(files: Files) -> Files:
    return _last(files, lambda f: replace(f, damage="no-end", packed=""))


def _duplicate(files: Files) -> Files:
    copies = [replace(file, copy="again", packed="") for file in files if file.kind == "OBJECT"]
    return [*files, *copies[:2]]


def _conflict(files: Files) -> Files:
    copies = [replace(file, copy="again", packed="") for file in files if file.kind == "OBJECT"]
    return [*files, *(_with(file, "ESO OBS NAME", "another") for file in copies[:1])]


SEQUENCE_DEFECTS: dict[str, Callable[[Files], Files]] = {
    "missing_center": _without("CENTER"),
    "missing_flux": _without("FLUX"),
    "missing_sky": _without("SKY"),
    "no_telemetry": _without("SPARTA"),
    "aborted": _aborted,
    "mixed_dit": _mixed_dit,
    "foreign_target": _foreign,
    "open_loop": _open_loop,
    "missing_end": _no_end,
    "missing_type": _no_type,
    "missing_date": _no_date,
    "missing_arm": _no_arm,
    "garbled_dit": _garbled_dit,
    "technical": _technical,
    "maintenance": _maintenance,
    "short_file": _short,
    "header_cut": _cut,
    "duplicate": _duplicate,
    "conflict": _conflict,
}
CALIBRATION_DEFECTS = ("no_dark", "no_background", "wrong_nd", "no_flat", "no_wave", "other_dit")


def spoil(rng: np.random.Generator, share: float, files: Files) -> tuple[Files, str]:
    """Give the files of a sequence as they are with its defect, and the name of the defect."""
    if rng.random() >= share:
        return files, ""
    name = str(rng.choice([*SEQUENCE_DEFECTS, *CALIBRATION_DEFECTS]))
    made = SEQUENCE_DEFECTS[name](files) if name in SEQUENCE_DEFECTS else files
    return made, name


def of_its_time(file: ArchiveFile) -> ArchiveFile:
    """Bring in how headers were written at the date of the file."""
    if (
        file.kind == "CENTER"
        and file.start_mjd < CENTRE_SPELLING_UNTIL
        and TYPE not in file.changes
    ):
        file = _with(file, TYPE, "OBJECT,CENTRE")
    if file.on_sky and file.start_mjd < NO_TAU0_UNTIL:
        file = _with(file, "ESO TEL AMBI TAU0", None)
    return file


def lamps_left(lamps: list[Lamp], spoiled: list[tuple[str, Files]]) -> list[Lamp]:
    """Leave out or change the calibrations that the sequences of some defects would need."""
    for name, files in spoiled:
        if name not in CALIBRATION_DEFECTS:
            continue
        setups = {(f.setup.arm, round(f.dit_s, 2)) for f in files}
        filters = {(f.setup.arm, f.setup.filter) for f in files}
        lamps = [
            changed for lamp in lamps if (changed := _lamp(name, lamp, setups, filters)) is not None
        ]
    return lamps


def _lamp(
    defect: str, lamp: Lamp, setups: set[tuple[str, float]], filters: set[tuple[str, str]]
) -> Lamp | None:
    arm, cold = lamp.setup.arm, lamp.kind in ("DARK", "BACKGROUND", "BIAS")
    served = (arm, round(lamp.dit_s, 2)) in setups and cold
    same_filter = (arm, lamp.setup.filter) in filters
    if defect == "no_dark" and served and lamp.kind == "DARK":
        return None
    if defect == "no_background" and lamp.kind in ("BACKGROUND", "BIAS") and same_filter:
        return None
    if defect == "no_flat" and lamp.kind == "FLAT" and same_filter:
        return None
    if defect == "no_wave" and lamp.kind in ("WAVE", "SPECPOS") and same_filter:
        return None
    if defect == "wrong_nd" and lamp.kind == "BACKGROUND" and served:
        other = "ND_2.0" if lamp.setup.nd == "ND_1.0" else "ND_1.0"
        return replace(lamp, setup=replace(lamp.setup, nd=other))
    if defect == "other_dit" and served:
        return replace(lamp, dit_s=lamp.dit_s * 1.5)
    return lamp
