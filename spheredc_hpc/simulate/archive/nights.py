"""All raw files of a simulated archive, night by night: dates, sequences, calibrations."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.headers import iso_from_mjd, mjd_from_iso
from spheredc_hpc.simulate.archive.blocks import Leg, Plan, plans, stars
from spheredc_hpc.simulate.archive.daytime import Lamp, calibrations
from spheredc_hpc.simulate.archive.defects import lamps_left, of_its_time, spoil
from spheredc_hpc.simulate.archive.frames import SECONDS_PER_DAY, ArchiveFile, Block, Setup, Star
from spheredc_hpc.simulate.archive.settings import ArchiveSettings
from spheredc_hpc.simulate.streams import stream

DUSK_H, DAWN_H, MORNING_H = 24.0, 33.5, 34.5  # after 0 h UT of the date of the night
GAP_S, POINTING_S = 20.0, 480.0
TELEMETRY_S, TELEMETRY_ROW_S = 1200.0, 25.0
CALIBRATION_PROGRAMME, FIRST_DAYTIME_OB = "60.A-9255(A)", 200_000_000
DARKS_AND_BACKGROUNDS = 2
ACQUISITION_S = 2.0
SCIENCE = {"DPI": "SCIENCE_POL", "LSS": "SCIENCE_LSS", "POLARIMETRY": "SCIENCE_POL"}
# Modes whose arm has no overhead of its own in the constants take that of IRDIS.
OVERHEAD_OF = {"IRDIS": "IRDIS", "IFS": "IFS", "ZIMPOL": "IRDIS"}


@dataclass(frozen=True)
class Archive:
    """A simulated archive; `settings` alone decide what it holds.

    Files are made night by night and never kept, so that its size does not matter.
    """

    settings: ArchiveSettings

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """Dates of the nights, in order: runs of one to six nights with pauses between them."""
        rng = stream(self.settings.seed, "archive-calendar")
        pause = 365.25 / self.settings.nights_per_year
        first = mjd_from_iso(f"{self.settings.first_night}T00:00:00")
        days: list[int] = []
        day, due = 0, 0.0
        while len(days) < self.settings.nights:
            run = int(rng.integers(1, 7))
            days += range(day, day + run)
            due += run * pause
            day = max(day + run, round(due + rng.uniform(-3, 3)))
        return tuple(iso_from_mjd(first + d, digits=0)[:10] for d in days[: self.settings.nights])

    @cached_property
    def targets(self) -> list[Star]:
        """Stars that may be observed."""
        return stars(self.settings)

    def files(self) -> Iterator[ArchiveFile]:
        """Give all files, in order of night and time."""
        for number in range(len(self.dates)):
            yield from self.night(number)

    def night(self, number: int) -> list[ArchiveFile]:
        """Make the files of one night, in order of time.

        Raises
        ------
        ConfigError
            If the archive has no night of that number.
        """
        if not 0 <= number < len(self.dates):
            raise ConfigError(f"night {number}: expected 0 to {len(self.dates) - 1}")
        date = self.dates[number]
        rng = stream(self.settings.seed, "archive-files", number)
        zero = mjd_from_iso(f"{date}T00:00:00")
        drawn = list(plans(self.settings, number, zero + DUSK_H / 24, self.targets))
        sequences = _night_time(drawn, zero, date, rng)
        spoiled = [spoil(rng, self.settings.defects, files) for files in sequences]
        sky = [file for files, _ in spoiled for file in files]
        sky = sky if self.settings.telemetry else [f for f in sky if not f.is_telemetry]
        lamps = calibrations(
            [file for files in sequences for file in files],
            max(round(DARKS_AND_BACKGROUNDS * self.settings.length), 1),
            weekly=self._due(number, 7),
            monthly=self._due(number, 30),
        )
        named = [(name, files) for files, name in spoiled]
        begin = zero + MORNING_H / 24
        day = _day_time(lamps_left(list(lamps), named), begin, date, number)
        made = [of_its_time(file) for file in _distinct([*sky, *day])]
        return [self._packed(file, rng.random()) for file in made]

    def _due(self, number: int, days: int) -> bool:
        """Whether the night is the first one of its week or month."""
        if number == 0:
            return True
        now, before = (mjd_from_iso(f"{self.dates[n]}T00:00:00") for n in (number, number - 1))
        return int(now) // days != int(before) // days

    def _packed(self, file: ArchiveFile, drawn: float) -> ArchiveFile:
        if file.damage or file.copy:
            return file
        if drawn < self.settings.gzip_share:
            return replace(file, packed=".gz")
        one_unit = not file.is_telemetry and file.setup.arm != "ZIMPOL"
        if one_unit and drawn < self.settings.gzip_share + self.settings.compress_share:
            return replace(file, packed=".Z")
        return file


def _night_time(
    drawn: list[Plan], zero: float, date: str, rng: np.random.Generator
) -> list[list[ArchiveFile]]:
    """Lay the sequences out from dusk on; if the night is too short, integrations are fewer."""
    wanted_s = sum(_leg_s(leg) for plan in drawn for legs in plan.legs for leg in legs[:1])
    wanted_s += POINTING_S * sum(len(plan.legs) for plan in drawn)
    fit = min(1.0, (DAWN_H - DUSK_H) * 3600 / max(wanted_s, 1.0))
    now = zero + DUSK_H / 24
    sequences = []
    for plan in drawn:
        files: list[ArchiveFile] = []
        for legs in plan.legs:
            now += POINTING_S * fit / SECONDS_PER_DAY
            files.append(_acquisition(legs[0], now, date))
            ends = []
            for leg in legs:
                made = list(_leg_files(leg, now + rng.uniform(40, 45) / 86400, date, fit))
                ends.append(made[-1].end_mjd)
                files += made
            files += _telemetry(legs[0], now, max(ends), date)
            now = max(ends)
        sequences.append(files)
    return sequences


def _leg_s(leg: Leg) -> float:
    overhead = _overhead_s(leg.setup.arm)
    return sum(x.files * (x.ndit * (x.dit_s + overhead) + 3.0) for x in leg.exposures)


def _overhead_s(arm: str) -> float:
    return default_constants().value("detector_overhead_s", arm=OVERHEAD_OF[arm])


def _whole_ms(mjd: float) -> float:
    """Instant as the archive names it: in whole milliseconds."""
    return mjd_from_iso(iso_from_mjd(mjd, digits=3))


def _acquisition(leg: Leg, now: float, date: str) -> ArchiveFile:
    return ArchiveFile(
        kind="ACQUISITION",
        frame_class="IGNORED",
        setup=leg.setup,
        start_mjd=_whole_ms(now),
        dit_s=ACQUISITION_S,
        cadence_s=ACQUISITION_S + _overhead_s(leg.setup.arm),
        ndit=1,
        n_planes=1,
        block=leg.block,
        night=date,
        star=leg.star,
        template=(leg.template.replace("_obs", "_acq"), now, 1, 1),
    )


def _leg_files(leg: Leg, begin: float, date: str, fit: float) -> Iterator[ArchiveFile]:
    now, count = begin, sum(item.files for item in leg.exposures)
    exposure = 0
    for item in leg.exposures:
        frame_class = item.kind
        if item.kind == "OBJECT":
            frame_class = SCIENCE.get(leg.setup.mode, "SCIENCE")
        for number in range(item.files):
            exposure += 1
            ndit = max(round(item.ndit * fit), 2 if item.ndit > 1 else 1)
            file = ArchiveFile(
                kind=item.kind,
                frame_class=frame_class,
                setup=replace(leg.setup, nd=item.nd),
                start_mjd=_whole_ms(now),
                dit_s=item.dit_s,
                cadence_s=item.dit_s + _overhead_s(leg.setup.arm),
                ndit=ndit,
                n_planes=ndit,
                block=leg.block,
                night=date,
                star=leg.star,
                template=(leg.template, begin, exposure, count),
                changes=_cycle(leg.setup, item.kind, number),
            )
            yield file
            now = file.end_mjd + 3.0 / SECONDS_PER_DAY


def _cycle(setup: Setup, kind: str, number: int) -> dict[str, str | float | None]:
    """Position of the half-wave plate in the cycle of polarimetry."""
    if kind != "OBJECT" or setup.mode not in ("DPI", "POLARIMETRY"):
        return {}
    turn = number % 4
    angle = (0.0, 45.0, 22.5, 67.5)[turn]
    if setup.arm == "ZIMPOL":
        return {"ESO INS4 DROT3 POSANG": angle}
    names = ("Qplus", "Qminus", "Uplus", "Uminus")
    return {"ESO OCS DPI H2RT STOKES": names[turn], "ESO INS4 DROT3 POSANG": angle}


def _telemetry(leg: Leg, first: float, last: float, date: str) -> Iterator[ArchiveFile]:
    start = first
    while start < last:
        length_s = min(TELEMETRY_S, (last - start) * SECONDS_PER_DAY)
        yield ArchiveFile(
            kind="SPARTA",
            frame_class="SPARTA",
            setup=leg.setup,
            start_mjd=_whole_ms(start),
            dit_s=TELEMETRY_ROW_S,
            cadence_s=TELEMETRY_ROW_S,
            ndit=0,
            n_planes=max(int(length_s / TELEMETRY_ROW_S), 1),
            block=leg.block,
            night=date,
            star=leg.star,
            template=("SPHERE_gen_tec_sparta", start, 1, 1),
        )
        start += TELEMETRY_S / SECONDS_PER_DAY


def _day_time(lamps: list[Lamp], begin: float, date: str, night: int) -> Iterator[ArchiveFile]:
    now = begin
    block = Block(FIRST_DAYTIME_OB + night, CALIBRATION_PROGRAMME)
    template = ("", 0.0, 0, 0)
    mates: dict[tuple[str, str, str], int] = {}
    for lamp in lamps:
        key = _template_key(lamp)
        mates[key] = mates.get(key, 0) + lamp.files
    last: tuple[str, str, str] | None = None
    for lamp in sorted(lamps, key=_template_key):
        for _ in range(lamp.files):
            if _template_key(lamp) != last:
                last = _template_key(lamp)
                name = f"SPHERE_{last[0].lower()}_cal_{last[1].lower()}"
                template = (name, now, 0, mates[last])
            template = (template[0], template[1], template[2] + 1, template[3])
            file = ArchiveFile(
                kind=lamp.kind,
                frame_class=lamp.frame_class or lamp.kind.removesuffix("_CORO"),
                setup=lamp.setup,
                start_mjd=_whole_ms(now),
                dit_s=lamp.dit_s,
                cadence_s=lamp.dit_s + _overhead_s(lamp.setup.arm),
                ndit=lamp.ndit,
                n_planes=lamp.ndit,
                block=block,
                night=date,
                template=template,
            )
            yield file
            now = file.end_mjd + GAP_S / SECONDS_PER_DAY


def _template_key(lamp: Lamp) -> tuple[str, str, str]:
    return lamp.setup.arm, lamp.kind, lamp.setup.ifs or lamp.setup.filter


def _distinct(files: list[ArchiveFile]) -> list[ArchiveFile]:
    """Files in order of time, those of one millisecond moved apart; copies stay with theirs."""
    taken: set[str] = set()
    moved: dict[tuple[int, str], float] = {}
    made = []
    for file in sorted(files, key=lambda f: (f.start_mjd, bool(f.copy), f.setup.arm, f.kind)):
        key = (round(file.start_mjd * SECONDS_PER_DAY * 1000), f"{file.setup.arm} {file.kind}")
        if file.copy:
            made.append(replace(file, start_mjd=moved[key]))
            continue
        while file.archive_id in taken:
            file = replace(file, start_mjd=_whole_ms(file.start_mjd + 0.001 / SECONDS_PER_DAY))
        taken.add(file.archive_id)
        moved.setdefault(key, file.start_mjd)
        made.append(file)
    return made


def pseudo_datasum(file: ArchiveFile) -> str:
    """Checksum of pixels that are not there: one number per archive id."""
    return str(zlib.crc32(file.archive_id.encode()))
