"""Small nights of raw files: full headers, pixels that take no room on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from django.apps import apps
from django.db.models import BigAutoField

from spheredc_hpc.catalog import setup as catalogue
from spheredc_hpc.config import Config
from spheredc_hpc.instrument.headers import iso_from_mjd
from spheredc_hpc.model.product import InputRef
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import canonical_json

MIDNIGHT = 57647.0  # 2016-09-16T00:00:00
HOUR = 1 / 24
BLOCK = 2880

SKY_CARDS = {
    "OBS TARG NAME": "HD 1160",
    "OBS ID": 1001,
    "OBS PROG ID": "098.C-0001(A)",
    "INS COMB ICOR": "N_ALC_YJH_S",
    "INS4 DROT2 MODE": "ELEV",
    "TPL START": "2016-09-15T23:00:00",
}
TYPES = {
    "SCIENCE": ("SCIENCE", "OBJECT", "IMAGE,DUAL,CORONOGRAPHY"),
    "CENTER": ("SCIENCE", "OBJECT,CENTER", "IMAGE,DUAL,CORONOGRAPHY"),
    "FLUX": ("SCIENCE", "OBJECT,FLUX", "IMAGE,DUAL,CORONOGRAPHY"),
    "SKY": ("SCIENCE", "SKY", "IMAGE,DUAL,CORONOGRAPHY"),
    "BACKGROUND": ("CALIB", "DARK,BACKGROUND", "IMAGE"),
    "DARK": ("CALIB", "DARK", "IMAGE"),
    "FLAT": ("CALIB", "FLAT,LAMP", "IMAGE"),
}


def write_raw(
    folder: Path, frame_class: str, mjd: float, n_planes: int = 4, dit_s: float = 32.0, **eso: Any
) -> Path:
    """One IRDIS DB_H23 file of a class; `eso` replaces ESO cards (``INS4_FILT2_NAME=...``)."""
    start = iso_from_mjd(mjd, digits=3)
    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"] = True, -32, 3
    header["NAXIS1"], header["NAXIS2"], header["NAXIS3"] = 2048, 1024, n_planes
    header["INSTRUME"], header["ARCFILE"] = "SPHERE", f"SPHER.{start}.fits"
    header["DATE-OBS"], header["MJD-OBS"] = start, mjd
    header["RA"], header["DEC"] = 3.9887, 4.2510
    category, dpr_type, technique = TYPES[frame_class]
    cards: dict[str, Any] = {
        "DPR CATG": category,
        "DPR TYPE": dpr_type,
        "DPR TECH": technique,
        "SEQ ARM": "IRDIS",
        "DET ID": "IRDIS",
        "DET SEQ1 DIT": dit_s,
        "DET NDIT": n_planes,
        "DET READ CURNAME": "Nondest",
        "DET FRAM UTC": iso_from_mjd(mjd + n_planes * (dit_s + 1) / 86400),
        "INS COMB IFLT": "DB_H23",
        "INS1 FILT NAME": "B_H",
        "INS1 OPTI2 NAME": "D_H23",
        "INS1 OPTI1 NAME": "ST_ALC2",
        "INS4 FILT2 NAME": "OPEN",
    }
    if category == "SCIENCE":
        cards |= SKY_CARDS
    cards |= {name.replace("_", " "): value for name, value in eso.items()}
    for name, value in cards.items():
        header[f"HIERARCH ESO {name}"] = value
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"SPHER.{start}.fits"
    text = header.tostring(sep="", endcard=True, padding=True).encode()
    path.write_bytes(text)
    size = len(text) + 4 * 2048 * 1024 * n_planes
    os.truncate(path, -(-size // BLOCK) * BLOCK)
    return path


def write_night(folder: Path, mjd: float = MIDNIGHT, **eso: Any) -> list[Path]:
    """CENTER, FLUX, four science files, backgrounds for all, and a flat of five levels."""
    paths = [
        write_raw(folder, "CENTER", mjd - 0.9 * HOUR, 2, **eso),
        write_raw(folder, "FLUX", mjd - 0.8 * HOUR, 2, 2.0, INS4_FILT2_NAME="ND_2.0", **eso),
        *(write_raw(folder, "SCIENCE", mjd + i * HOUR / 20, **eso) for i in range(4)),
        write_raw(folder, "BACKGROUND", mjd + 9 * HOUR),
        write_raw(folder, "BACKGROUND", mjd + 9.1 * HOUR, 4, 2.0, INS4_FILT2_NAME="ND_2.0"),
    ]
    for level in range(5):
        start = mjd + (10 + level / 20) * HOUR
        paths.append(
            write_raw(folder, "FLAT", start, 2, level + 1.0, TPL_START="2016-09-16T10:00:00")
        )
    return paths


def write_product(root: Path, product: str, kind: str, flag: str = "") -> Path:
    """One product with a data file."""
    draft = receipts.Draft(kind, product, (InputRef("frame", "x", "y"),), {"a": 1}, "digest")
    with receipts.writing(root / product, draft) as writer:
        (writer.path / "data.txt").write_text("numbers")
        writer.quality["snr"] = 5.5
        if flag:
            writer.flag(flag, "in words")
    return root / product


def _plain(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else canonical_json(value)


def dump_tables() -> dict[str, list[str]]:
    """All tables; numbers that the database gave to rows are replaced by what they name."""
    models = list(apps.get_app_config("catalog").get_models())
    names = {(model, row.pk): str(row) for model in models for row in model.objects.all()}
    tables = {}
    for model in models:
        fields = [f for f in model._meta.concrete_fields if not isinstance(f, BigAutoField)]
        rows = model.objects.values(*(field.attname for field in fields))
        tables[model.__name__] = sorted(
            str(
                {
                    f.name: names[f.related_model, row[f.attname]]
                    if f.is_relation
                    else _plain(row[f.attname])
                    for f in fields
                }
            )
            for row in rows
        )
    return tables


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv(catalogue.DATABASE_URL, raising=False)
    yield
    catalogue.close()


@pytest.fixture
def raw_file() -> Callable[..., Path]:
    return write_raw


@pytest.fixture
def night() -> Callable[..., list[Path]]:
    return write_night


@pytest.fixture
def product() -> Callable[..., Path]:
    return write_product


@pytest.fixture
def dump() -> Callable[[], dict[str, list[str]]]:
    return dump_tables


@pytest.fixture(scope="session")
def config() -> Config:
    return Config()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Folder of one night."""
    folder = tmp_path / "raw"
    write_night(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"
