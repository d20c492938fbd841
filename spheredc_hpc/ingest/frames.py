"""From the headers of a file to its row in the catalogue."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.ingest.classify import classify
from spheredc_hpc.ingest.headers import FileHeader
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.filters import irdis_combination, normalise_nd
from spheredc_hpc.instrument.frame_classes import IFS, IRDIS, SPARTA, ZIMPOL
from spheredc_hpc.instrument.headers import (
    EARLIEST_MJD,
    LATEST_MJD,
    iso_from_mjd,
    mjd_from_iso,
    read_value,
    unpack_dms_deg,
    unpack_hms_deg,
)
from spheredc_hpc.model.frame import RawFrame

_SUFFIXES = re.compile(r"(\.(fits|fit|fts|gz|z))+$", flags=re.IGNORECASE)
_ARCHIVE_ID = re.compile(r"SPHER\.(\d{4}-\d\d-\d\d)T(\d\d)[:_-](\d\d)[:_-](\d\d)(\.\d{1,3})?")
_DAY_S = 86400.0
_LONGEST_DIT_S, _MOST_PLANES = 86400.0, 1_000_000
# An end is believed up to this many times the shortest duration, and a bit.
_LONGEST, _PAUSE_S = 2.0, 600.0
_NOON_D = 0.5


def raw_frame(file: FileHeader) -> RawFrame:
    """Return the catalogue row of a file.

    Values that a header lacks or garbles stay empty and are named in the notes of the row.

    Parameters
    ----------
    file : FileHeader

    Returns
    -------
    RawFrame
        Its path is absolute. Integration times are rounded to two decimals [s], a plane
        count comes from the data, an absent end of the exposure is estimated.
    """
    header = _Reader(file.values)
    verdict = classify(file.values, file.axes, file.extensions)
    dit_s = header.number("dit_s", 0.0, _LONGEST_DIT_S)
    n_planes = _n_planes(file)
    start, end = _times(header, file.path, verdict.arm, dit_s, n_planes)
    columns = _setup(header, verdict.arm)
    target = header.text("target")
    ndit = int(header.number("ndit", 0, _MOST_PLANES) or 0)
    if ndit and n_planes and ndit != n_planes:
        header.notes.append(f"{n_planes} planes stored of {ndit} planned")
    ra_deg, dec_deg = _pointing(header)
    archive_id = _archive_id(header, file.path, start)
    return RawFrame(
        archive_id=archive_id,
        path=str(file.path.absolute()),
        size_bytes=file.size_bytes,
        header_digest=file.values.digest,
        datasum=header.text("datasum"),
        arm=verdict.arm,
        mode=verdict.mode,
        frame_class=verdict.frame_class,
        reason=verdict.reason,
        category=header.text("category"),
        dpr_type=header.text("dpr_type"),
        technique=header.text("technique"),
        target=target,
        night=night_of(start) if start is not None else "",
        mjd_start=start,
        mjd_end=end,
        dit_s=None if dit_s is None else round(dit_s, 2),
        n_planes=n_planes if verdict.frame_class != SPARTA else 0,
        ndit=ndit,
        **columns,
        obs_id=header.text("obs_id"),
        container_id=_container(header),
        programme=header.text("programme"),
        template_id=header.text("template_id"),
        template_start=header.text("template_start"),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        notes=(*verdict.notes, *header.notes, *file.notes),
    )


def night_of(mjd: float) -> str:
    """Date of the night, noon to noon: that of the UTC time 12 hours earlier."""
    return iso_from_mjd(mjd - _NOON_D, digits=3)[:10]


def archive_id_of_name(name: str) -> str:
    """Archive id in a file name, with colons; empty if there is none."""
    match = _ARCHIVE_ID.search(name)
    if match is None:
        return ""
    date, hour, minute, second, fraction = match.groups()
    return f"SPHER.{date}T{hour}:{minute}:{second}{(fraction or '.').ljust(4, '0')}"


class _Reader:
    """Reads logical values; what cannot be read is noted once and left out."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.notes: list[str] = []

    def number(self, name: str, least: float = -math.inf, most: float = math.inf) -> float | None:
        try:
            value = read_value(self.values, name, None)
        except DataError as error:
            self.notes.append(str(error))
            return None
        if value is not None and not least <= value <= most:
            self.notes.append(f"{name} = {value:g}; expected a number of {least:g} to {most:g}")
            return None
        return None if value is None else float(value)

    def text(self, name: str) -> str:
        return str(read_value(self.values, name, ""))

    def date(self, name: str) -> float | None:
        text = self.text(name)
        return self.instant(text, name) if text else None

    def instant(self, text: str, name: str) -> float | None:
        try:
            return self._plausible(mjd_from_iso(text), name)
        except DataError as error:
            self.notes.append(str(error))
            return None

    def day(self, name: str) -> float | None:
        mjd = self.number(name)
        return None if mjd is None else self._plausible(mjd, name)

    def _plausible(self, mjd: float, name: str) -> float | None:
        if EARLIEST_MJD <= mjd <= LATEST_MJD:
            return mjd
        self.notes.append(f"{name} is MJD {mjd:g}; expected a date of 1900 to 2100")
        return None


def _n_planes(file: FileHeader) -> int:
    """Planes stored: ``NAXIS3``, 1 for an image; of the first camera for ZIMPOL."""
    images = [extension.axes for extension in file.extensions if extension.kind == "IMAGE"]
    axes = file.axes or (images[0] if images else ())
    if len(axes) < 2:
        return 0
    return axes[2] if len(axes) > 2 else 1


def _times(
    header: _Reader, path: Path, arm: str, dit_s: float | None, n_planes: int
) -> tuple[float | None, float | None]:
    """Start of the first and end of the last integration [d]."""
    start = header.date("date_obs")
    if start is None:
        start = header.day("mjd_obs")
    if start is None:
        name = header.text("arcfile") or path.name
        archive_id = archive_id_of_name(name)
        if archive_id:
            start = header.instant(archive_id.removeprefix("SPHER."), "archive id")
        if start is None:
            header.notes.append("no DATE-OBS, no MJD-OBS and no archive id: start unknown")
            return None, None
        header.notes.append("start from the archive id, no DATE-OBS")
    end = header.date("frame_end")
    if dit_s is None or n_planes == 0:
        return start, end if end is not None and 0 < end - start < _NOON_D else None
    shortest = n_planes * (dit_s + _overhead_s(arm))
    if end is not None and (
        0.5 * n_planes * dit_s <= (end - start) * _DAY_S <= _LONGEST * shortest + _PAUSE_S
    ):
        return start, end
    said = "no DET FRAM UTC" if end is None else "DET FRAM UTC contradicts DIT and planes"
    header.notes.append(f"{said}: end estimated from planes, DIT and overhead")
    return start, start + shortest / _DAY_S


def _overhead_s(arm: str) -> float:
    try:
        return default_constants().value("detector_overhead_s", arm=arm)
    except ConfigError:  # no overhead known for this arm
        return 0.0


def _setup(header: _Reader, arm: str) -> dict[str, str]:
    """Columns that calibrations are matched by."""
    nd = header.text("nd")
    try:
        nd = normalise_nd(nd) if nd else ""
    except DataError as error:
        header.notes.append(str(error))
    return {
        "filter": _filter(header, arm),
        "nd": "" if arm == ZIMPOL else nd,
        "coronagraph": header.text("visible_coronagraph" if arm == ZIMPOL else "coronagraph"),
        "derotator_mode": header.text("derotator_mode"),
        "readmode": header.text("readmode"),
        "lyot_stop": header.text("lyot_stop"),
        "ifs_setup": header.text("ifs_setup") if arm == IFS else "",
        "prism": header.text("prism") if arm == IFS else "",
    }


def _filter(header: _Reader, arm: str) -> str:
    if arm == IRDIS:
        return irdis_combination(header.values)
    if arm == IFS:
        return header.text("ifs_setup")
    if arm == ZIMPOL:
        common, first, second = (
            header.text(f"zimpol_filter{camera}") for camera in ("", "_1", "_2")
        )
        cameras = first if first == second else f"{first}+{second}"
        return cameras if common in ("", "OPEN") else f"{common}+{cameras}"
    return ""


def _container(header: _Reader) -> str:
    """Container id, empty where the header writes that there is none (-999)."""
    text = header.text("container_id")
    return "" if text.startswith("-") or text == "0" else text


def _pointing(header: _Reader) -> tuple[float | None, float | None]:
    ra_deg, dec_deg = header.number("ra_deg", 0.0, 360.0), header.number("dec_deg", -90.0, 90.0)
    if ra_deg is not None and dec_deg is not None:
        return ra_deg, dec_deg
    ra, dec = header.number("target_ra_packed"), header.number("target_dec_packed")
    if ra is None or dec is None:
        return None, None
    try:
        return unpack_hms_deg(ra), unpack_dms_deg(dec)
    except DataError as error:
        header.notes.append(str(error))
        return None, None


def _archive_id(header: _Reader, path: Path, start: float | None) -> str:
    """Archive id from ``ARCFILE``, the file name or the start, in this order."""
    arcfile = header.text("arcfile")
    if arcfile:
        return archive_id_of_name(arcfile) or _SUFFIXES.sub("", arcfile).replace("/", "_")
    from_name = archive_id_of_name(path.name)
    if from_name:
        return from_name
    if start is not None:
        header.notes.append("no archive id in header and file name: named after its start")
        return f"SPHER.{iso_from_mjd(start, digits=3)}"
    header.notes.append("no archive id and no start: named after its file")
    return _SUFFIXES.sub("", path.name)
