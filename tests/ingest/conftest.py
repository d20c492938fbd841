"""Raw files for the tests of the scan: real headers or written ones, planes as holes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from astropy.io import fits

BLOCK = 2880
REAL = (
    "2020-03-08T07-05-15.511",
    "2020-03-08T07-12-03.720",
    "2020-03-08T07-20-53.733",
    "2020-03-08T07-48-21.618",
    "2020-03-08T16-53-05.173",
)
SCIENCE_CARDS: dict[str, Any] = {
    "INSTRUME": "SPHERE",
    "OBJECT": "HD 1",
    "RA": 10.5,
    "DEC": -20.25,
    "DATE-OBS": "2016-09-16T00:10:07.1234",
    "ESO DET FRAM UTC": "2016-09-16T00:12:15.0000",
    "ESO DET SEQ1 DIT": 31.9999,
    "ESO DET NDIT": 4,
    "ESO SEQ ARM": "IRDIS",
    "ESO DPR CATG": "SCIENCE",
    "ESO DPR TYPE": "OBJECT",
    "ESO DPR TECH": "IMAGE,DUAL,CORONOGRAPHY",
    "ESO INS COMB IFLT": "DB_H23",
    "ESO INS COMB ICOR": "N_ALC_YJH_S",
    "ESO INS4 FILT2 NAME": "OPEN",
    "ESO INS4 DROT2 MODE": "ELEV",
    "ESO OBS ID": 1234,
    "ESO OBS CONTAINER ID": -999,
    "ESO OBS PROG ID": "097.C-0001(A)",
    "ARCFILE": "SPHER.2016-09-16T00:10:07.123.fits",
    "DATASUM": "12345",
}
MakeFile = Callable[..., Path]


def header_bytes(cards: Mapping[str, Any], axes: tuple[int, ...], *, primary: bool = True) -> bytes:
    """Header with its mandatory cards, padded; keywords longer than eight get HIERARCH."""
    header = fits.Header()
    if primary:
        header["SIMPLE"] = True
    else:
        header["XTENSION"] = cards.get("XTENSION", "IMAGE")
    header["BITPIX"] = -32
    header["NAXIS"] = len(axes)
    for number, length in enumerate(axes, start=1):
        header[f"NAXIS{number}"] = length
    if primary:
        header["EXTEND"] = True
    else:
        header["PCOUNT"] = 0
        header["GCOUNT"] = 1
    for key, value in cards.items():
        if value is not None and key != "XTENSION":
            header[f"HIERARCH {key}" if " " in key else key] = value
    return header.tostring().encode()


def data_bytes(axes: tuple[int, ...]) -> int:
    size = 4 * math.prod(axes) if axes else 0
    return -(-size // BLOCK) * BLOCK


def write_holes(path: Path, header: bytes, axes: tuple[int, ...]) -> Path:
    """File of the full length whose pixels are holes: they cost no disk space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header)
    os.truncate(path, len(header) + data_bytes(axes))
    return path


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Write a raw file: IRDIS science unless `changes` (None removes a card) or axes differ."""

    def make(
        name: str = "a.fits",
        changes: Mapping[str, Any] | None = None,
        axes: tuple[int, ...] = (2048, 1024, 4),
    ) -> Path:
        cards = {**SCIENCE_CARDS, **(changes or {})}
        return write_holes(tmp_path / name, header_bytes(cards, axes), axes)

    return make


@pytest.fixture
def real_cards(real_data: Path) -> Callable[[str], list[tuple[str, Any]]]:
    """Cards of one of the real headers."""

    def cards(name: str) -> list[tuple[str, Any]]:
        path = real_data / "sphere-ifs-raw-headers" / f"SPHER.{name}.hdr.json"
        return [(key, value) for key, value, _ in json.loads(path.read_text())]

    return cards


@pytest.fixture
def real_file(real_data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """FITS file of full size with one of the real headers, comments included."""

    def make(name: str) -> Path:
        path = real_data / "sphere-ifs-raw-headers" / f"SPHER.{name}.hdr.json"
        header = fits.Header()
        for key, value, comment in json.loads(path.read_text()):
            keyword = f"HIERARCH {key}" if " " in key or len(key) > 8 else key
            header.append(fits.Card(keyword, value, comment))
        axes = tuple(header[f"NAXIS{number}"] for number in (1, 2, 3))
        return write_holes(
            tmp_path / f"SPHER.{name.replace('-', '_')}.fits", header.tostring().encode(), axes
        )

    return make


@pytest.fixture(params=REAL)
def real_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def unix_compress(data: bytes) -> bytes:
    """Valid ``compress`` output that uses no dictionary: each byte is one code.

    Codes have nine bits until the reader's table holds 512 entries, which is after 257 of
    them, and ten bits from then on (the largest width that the header announces). A change
    of width is aligned to groups of eight codes.
    """
    narrow = "".join(format(byte, "09b")[::-1] for byte in data[:257]).ljust(264 * 9, "0")
    bits = narrow + "".join(format(byte, "010b")[::-1] for byte in data[257:])
    bits += "0" * (-len(bits) % 8)
    packed = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    return b"\x1f\x9d" + bytes([10]) + packed


@pytest.fixture(scope="session")
def raw() -> SimpleNamespace:
    """Pieces that raw files are put together from."""
    return SimpleNamespace(
        cards=SCIENCE_CARDS, header=header_bytes, data_bytes=data_bytes, compress=unix_compress
    )
