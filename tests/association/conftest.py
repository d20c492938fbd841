"""Records of raw frames, as a scan would give them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.config import AssociationSettings
from spheredc_hpc.ingest.frames import night_of
from spheredc_hpc.instrument.headers import iso_from_mjd
from spheredc_hpc.model.association import Association, CalibrationJob
from spheredc_hpc.model.frame import RawFrame

MIDNIGHT = 57647.0  # 2016-09-16T00:00:00, night of 2016-09-15
HOUR = 1 / 24
Make = Callable[..., RawFrame]


def make_frame(frame_class: str, mjd: float, **columns: Any) -> RawFrame:
    """One IRDIS DB_H23 frame that starts at `mjd`; 8 planes of 32 s unless told otherwise."""
    archive_id = f"SPHER.{iso_from_mjd(mjd, digits=3)}"
    values: dict[str, Any] = {
        "archive_id": archive_id,
        "path": f"/raw/{archive_id}.fits",
        "size_bytes": 67115520,
        "header_digest": hashlib.sha256(archive_id.encode()).hexdigest(),
        "datasum": "1234",
        "arm": "IRDIS",
        "mode": "DBI",
        "frame_class": frame_class,
        "night": night_of(mjd),
        "mjd_start": mjd,
        "dit_s": 32.0,
        "n_planes": 8,
        "filter": "DB_H23",
        "nd": "OPEN",
        "readmode": "Nondest",
        "lyot_stop": "ST_ALC2",
    }
    if frame_class in ("SCIENCE", "CENTER", "FLUX", "SKY", "SPARTA"):
        values |= {
            "target": "HD 1160",
            "obs_id": "1001",
            "coronagraph": "N_ALC_YJH_S",
            "derotator_mode": "ELEV",
            "ra_deg": 3.9887,
            "dec_deg": 4.2510,
            "programme": "098.C-0001(A)",
        }
    if frame_class == "SPARTA":
        values |= {"n_planes": 0, "dit_s": None}
    values |= columns
    values.setdefault("ndit", values["n_planes"])
    if "mjd_end" not in values and values["dit_s"]:
        values["mjd_end"] = mjd + values["n_planes"] * (values["dit_s"] + 1) / 86400
    return RawFrame(**values)


def make_flat(
    mjd: float, dits_s: tuple[float, ...] = (1, 2, 3, 4, 5), **columns: Any
) -> list[RawFrame]:
    """One template of flats, one file per integration time."""
    template = iso_from_mjd(mjd, digits=0)
    return [
        make_frame(
            "FLAT",
            mjd + step / 1440,
            dit_s=float(dit_s),
            n_planes=3,
            **{"template_start": template, "nd": "ND_2.0", "lyot_stop": "", **columns},
        )
        for step, dit_s in enumerate(dits_s)
    ]


def make_block(mjd: float = MIDNIGHT, **columns: Any) -> list[RawFrame]:
    """CENTER, 8 science files over an hour with `mjd` in their middle, FLUX, telemetry."""
    length = 8 * 33 / 86400
    starts = [mjd - 4 * length + i * length for i in range(8)]
    return [
        make_frame("FLUX", starts[0] - 0.01, dit_s=2.0, nd="ND_2.0", **columns),
        make_frame("CENTER", starts[0] - 0.005, n_planes=2, **columns),
        *(make_frame("SCIENCE", start, **columns) for start in starts),
        make_frame("SPARTA", mjd + 0.0002, **columns),
    ]


def make_association(
    frames: list[RawFrame], **settings: Any
) -> tuple[list[Association], dict[str, CalibrationJob]]:
    """Group and associate `frames` with the default settings."""
    kinds = ("background", "flat", "bad_pixels")
    versions = Versions({kind: f"settings of {kind}" for kind in kinds}, "constants")
    grouping = group_frames(frames, AssociationSettings(**settings))
    index = FrameIndex(grouping.frames)
    associator = Associator(index, AssociationSettings(**settings), versions)
    return [associator.associate(group) for group in grouping.groups], associator.jobs


@pytest.fixture
def frame() -> Make:
    return make_frame


@pytest.fixture
def flat() -> Callable[..., list[RawFrame]]:
    return make_flat


@pytest.fixture
def block() -> Callable[..., list[RawFrame]]:
    return make_block


@pytest.fixture
def associate() -> Callable[..., tuple[list[Association], dict[str, CalibrationJob]]]:
    return make_association
