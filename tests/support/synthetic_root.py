"""A result root with known content: one observation reduced, one rejected, one failed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from astropy.io import fits
from synthetic_products import MJD, level1_cube, level2_images

from spheredc_hpc.model.association import Association, CalibrationUse, Missing, Rejected
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.model.observation import Observation, ObservationKey, observation_id
from spheredc_hpc.steps.guard import failure_path
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.calibrations import write_calibration
from spheredc_hpc.store.codec import write_record
from spheredc_hpc.store.cube import write_cube
from spheredc_hpc.store.images import write_images
from spheredc_hpc.store.runinfo import stage

PLAN = "night"
RECIPES = ("cadi-adi-0a1b2c3d", "pca-adi-k20-3f9c01ab")
ODD_TARGET = "<b>x&y"
KEY = ObservationKey("2016-09-15", "1421377", "IRDIS", "DBI", "DB_H23", "PUPIL", "N_ALC_YJH_S")
FLAT, BACKGROUND, BAD = (
    "calibrations/flat/70d0f2e1c4b3a596",
    "calibrations/background/1c5a9e7730b2d4f8",
    "calibrations/bad_pixels/8e21b0c7f9a6d354",
)


def _draft(kind: str, product: str) -> receipts.Draft:
    return receipts.Draft(
        kind=kind,
        id=product,
        inputs=(),
        settings={"n_modes": 20, "comment": "a <script>"} if kind == "level2" else {"clip": 5.0},
        settings_digest="5" * 64,
        constants_version="2024.1",
        constants_digest="c" * 64,
    )


def observation(target: str, block: str = "1421377") -> Observation:
    key = ObservationKey(**{**KEY.__dict__, "block": block})
    name = observation_id(key, target)
    return Observation(name, key, target, "097.C-0865(B)", "", 164.26, -68.667, MJD + 0.03, 64.0)


def _frames(root: Path, raw_shape: tuple[int, int]) -> dict[str, tuple[FrameRef, ...]]:
    raw = root / "raw" / "SPHER.2016-09-16T00:10:07.123.fits"
    raw.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    y, x = np.mgrid[: raw_shape[0], : raw_shape[1]]
    plane = 120 + 8 * rng.normal(size=raw_shape)
    for centre in (raw_shape[1] / 4, 3 * raw_shape[1] / 4):
        plane += 9000 / (1 + (np.hypot(x - centre, y - raw_shape[0] / 2) / 9) ** 2.2)
    fits.PrimaryHDU(np.stack([plane, plane]).astype(np.float32)).writeto(raw, overwrite=True)
    ref = FrameRef("SPHER.2016-09-16T00:10:07.123", str(raw), 1, "d" * 64, frame_class="OBJECT")
    return {"OBJECT": (ref,), "CENTER": (), "FLUX": (ref,)}


def _use(role: str, product: str, **given: object) -> CalibrationUse:
    values: dict[str, object] = {
        "role": role,
        "kind": product.split("/")[1],
        "product": product,
        "source_class": "DARK",
        "tier": "nominal",
        "age_h": 5.25,
        "frames": ("SPHER.2016-09-16T10:01:02.003",),
        "why": "same DIT and filter",
    }
    return CalibrationUse(**{**values, **given})  # type: ignore[arg-type]


def _calibrations(root: Path, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(8)
    contents = {
        FLAT: {"FLAT": 1 + 0.03 * rng.normal(size=shape), "MASK": rng.random(shape) > 0.99},
        BACKGROUND: {"BACKGROUND": 100 + 8 * rng.normal(size=shape)},
        BAD: {"MASK": rng.random(shape) > 0.97},
    }
    for product, images in contents.items():
        with receipts.writing(root / product, _draft(product.split("/")[1], product)) as writer:
            with stage("combine"):
                pass
            write_calibration({k: v.astype(np.float32) for k, v in images.items()}, {}, writer.path)
            writer.quality["bad_fraction"] = 0.0123
            if product == FLAT:
                writer.flag("FLAT_AGE", "flat is 40 h old, nominal are 12 h")


def _reduced(root: Path, name: str, n: int) -> None:
    base = f"observations/{name}"
    product = f"{base}/level1"
    with receipts.writing(root / product, _draft("level1", product)) as writer:
        with stage("resample"):
            write_cube(level1_cube(n), writer.path / "cube.zarr")
        writer.flag("CENTER_ASSUMED", "no CENTER exposure; centre from the halo")
        writer.quality["centre_error_px"] = 0.06
    for index, recipe in enumerate(RECIPES):
        product = f"{base}/level2/{recipe}"
        with receipts.writing(root / product, _draft("level2", product)) as writer:
            with stage("subtract"):
                images = level2_images(n + n % 2 - 1, seed=index)
            with stage("contrast"):
                write_images(images, writer.path / "level2.zarr")
            writer.quality["n_sources"] = len(images.sources)
            writer.quality["detections"] = [{"snr": 22.4}]


def _plan(root: Path, associations: list[Association]) -> None:
    folder = root / "plan" / PLAN
    for association in associations:
        name = f"{association.observation.id}.json"
        write_record(association, folder / "associations" / name)
    write = {
        "workflow.json": {
            "config_file": "plan/night/config.json",
            "settings": {"calibration": {}, "level1": {}, "level2": dict.fromkeys(RECIPES, "")},
        },
        "scan.json": {
            "classes": {"IRDIS OBJECT": 8, "IRDIS FLAT": 5},
            "n_frames": 13,
            "unknown": [{"path": "/raw/odd.fits", "reason": "no rule for DPR TYPE LAMP,STRANGE"}],
            "ignored": [{"path": "/raw/acq.fits", "reason": "acquisition image"}],
            "errors": [
                {"path": "/raw/cut.fits", "problem": "truncated", "reason": "100 of 8388 blocks"}
            ],
            "left_out": [
                {"path": "/raw/lone.fits", "frame_class": "CENTER", "reason": "no science with it"}
            ],
            "notes": ["2 files are copies of others"],
        },
    }
    for name, values in write.items():
        (folder / name).write_text(json.dumps(values), encoding="utf-8")
    rows = ["observation\ttarget\tstatus\treasons"]
    rows += [f"{a.observation.id}\t{a.observation.target}\tplanned\t" for a in associations]
    (folder / "observations.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    rows = ["kind\tkey\tproduct\tjob", *(f"x\ty\t{p}\t" for p in (FLAT, BACKGROUND, BAD))]
    (folder / "calibrations.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_root(root: Path, n: int = 96, raw_shape: tuple[int, int] = (128, 256)) -> dict[str, str]:
    """Write the root; gives the observation ids as ``reduced``, ``rejected`` and ``failed``."""
    reduced, rejected, failed = (
        observation("HD 95086"),
        observation(ODD_TARGET, "2"),
        observation("HR 8799", "3"),
    )
    frames = _frames(root, raw_shape)
    refused = Rejected(("SPHER.2016-09-14T09:00:00.000",), "DIT 32.00 s, wanted 64.00 s")
    associations = [
        Association(
            reduced,
            frames,
            calibrations=(
                _use("background:OBJECT", BACKGROUND, rejected=(refused,)),
                _use("flat", FLAT, tier="acceptable", age_h=40.0, flags=("FLAT_AGE",)),
                _use("bad_pixels", BAD, relaxed=("readmode",)),
            ),
            missing=(
                Missing(
                    "background:FLUX",
                    "background",
                    {"dit": "4.00", "filter": "DB_H23"},
                    "zero is subtracted from FLUX frames",
                    "BG_MISSING",
                ),
            ),
            flags=("BG_MISSING",),
        ),
        Association(rejected, {"OBJECT": ()}, rejected_because=("1 science plane, wanted 2",)),
        Association(failed, frames),
    ]
    _plan(root, associations)
    _calibrations(root, raw_shape)
    _reduced(root, reduced.id, n)
    record = failure_path(root, f"observations/{failed.id}/level1")
    record.parent.mkdir(parents=True)
    values = {
        "product": f"observations/{failed.id}/level1",
        "error": "DataError",
        "exit_code": 3,
        "message": f"{root}/raw/x.fits: its pixels changed",
        "try_again": "mend the cause, or delete this file",
    }
    record.write_text(json.dumps(values), encoding="utf-8")
    log = root / "logs" / failed.id / "level1.log"
    log.parent.mkdir(parents=True)
    log.write_text("failed\n", encoding="utf-8")
    return {"reduced": reduced.id, "rejected": rejected.id, "failed": failed.id}
