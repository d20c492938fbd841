"""Mutated headers: nothing crashes, each file ends as a frame, a flag or an error with a reason."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import fields, replace

import fuzz_headers
import numpy as np
import pytest

from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import group_frames, unique_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.catalog.models import RawFrame as Row
from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.catalog.setup import close, database_errors
from spheredc_hpc.config import Config
from spheredc_hpc.errors import DataError
from spheredc_hpc.ingest.headers import read_file_header
from spheredc_hpc.ingest.scan import ScanError, read_one
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.frame_classes import FRAME_CLASSES, IGNORED, UNKNOWN
from spheredc_hpc.level1.parts import angles, dither, selection, setup, telemetry, timing
from spheredc_hpc.simulate.archive import Archive, ArchiveSettings, header_units
from spheredc_hpc.store.codec import to_plain

CONSTANTS = default_constants()
SETTINGS = ArchiveSettings(nights=1, seed=4, length=0.1, defects=0.3, first_night="2016-09-15")
MJD = 57647.0
STELLAR = ("SCIENCE", "SCIENCE_POL", "SCIENCE_LSS", "CENTER", "FLUX")


@pytest.fixture(scope="module")
def config():
    return Config()


@pytest.fixture(scope="module")
def originals():
    """Headers of every class of a simulated night, cut to what is read, and one whole header."""
    first = {}
    for file in Archive(SETTINGS).night(0):
        if not file.damage:
            first.setdefault((file.setup.arm, file.kind, file.setup.mode), file)
    units = [header_units(file) for file in first.values()]
    whole = next(u for u in units if len(u) == 1)
    return [(whole[0][0], whole[0][1], [])] + [
        (
            b"".join(fuzz_headers.compact(fuzz_headers.split(u[0][0]))) + b"END".ljust(80),
            u[0][1],
            u[1:],
        )
        for u in units
    ]


def write(path, original, rng):
    header, n_data, rest = original
    data = fuzz_headers.mutated(header, rng)
    with path.open("wb") as output:
        output.write(data)
        place = len(data) + n_data
        for head, n_more in rest:
            output.seek(place)
            output.write(head)
            place += len(head) + n_more
    os.truncate(path, place)


def check_frame(frame):
    """Say that a row can be stored and explains itself."""
    assert frame.frame_class in FRAME_CLASSES
    assert frame.reason or frame.frame_class not in (UNKNOWN, IGNORED)
    for item in fields(frame):
        value = getattr(frame, item.name)
        assert not isinstance(value, float) or math.isfinite(value), item.name
    assert 0 <= frame.n_planes < 2**63
    assert -(2**63) <= frame.ndit < 2**63
    assert frame.dit_s is None or frame.dit_s >= 0
    assert frame.mjd_start is None or frame.night
    Row.of(frame, 0, "fuzz")


def check_level1(path):
    """Read times, angles and setup as Level 1 does: a value or a DataError."""
    header = read_file_header(path).values
    parts = (
        lambda: angles.apparent_place(header, MJD),
        lambda: dither.dither_px(header, "IRDIS", CONSTANTS),
        lambda: selection.loop_closed(header),
        lambda: setup.irdis_setup(header, MJD, CONSTANTS).occulted,
    )
    for part in parts:
        answered(part)
    times = answered(lambda: timing.frame_times(header, 4, CONSTANTS, "IRDIS"))
    if times is None:
        return
    assert np.isfinite(times.mid_mjd).all()
    answered(lambda: telemetry.from_header(header, times))
    found = answered(lambda: angles.sequence_angles([(header, times)], "IRDIS", CONSTANTS))
    if found is not None:
        assert np.isfinite(found.derotation_deg).all()


def answered(part):
    """Value of a reader, None if it gives a reason instead; any other exception is a failure."""
    try:
        return part()
    except DataError:
        return None


def read_all(folder, originals, count, seed):
    """Write, read and check mutated files; give the rows and the errors."""
    rng = np.random.default_rng(seed)
    frames, errors = [], []
    path = folder / "a.fits"
    for number in range(count):
        write(path, originals[number % len(originals)], rng)
        found = read_one(path)
        if isinstance(found, ScanError):
            assert found.reason
            errors.append(found)
            continue
        check_frame(found.frame)
        # Most are files of their own, some are in conflict.
        own = found.frame.archive_id if number % 20 == 0 else f"{found.frame.archive_id}-{number}"
        frames.append(replace(found.frame, archive_id=own, path=f"/{number}.fits"))
        if number % 5 == 0:
            check_level1(path)
    return frames, errors


def associate_all(frames):
    """Group and associate; every exposure of a star is in a group or left out with a reason."""
    grouping = group_frames(frames)
    placed = {item.archive_id for item in grouping.left_out}
    assert all(item.reason for item in grouping.left_out)
    associator = Associator(
        FrameIndex(unique_frames(frames)[0]), Config().association, Versions({}, "fuzz")
    )
    for group in grouping.groups:
        placed |= {frame.archive_id for role in group.frames.values() for frame in role}
        found = associator.associate(group)
        assert found.rejected_because or group.level1_mode
        json.dumps(to_plain(found))
    lost = [f.archive_id for f in frames if f.archive_id not in placed and f.frame_class in STELLAR]
    assert lost == []
    return grouping


def test_mutated_headers_end_as_frames_or_errors(tmp_path, originals):
    frames, errors = read_all(tmp_path, originals, 300, seed=1)
    assert len(frames) > 150
    assert len(errors) > 20
    assert len(associate_all(frames).groups) > 10


@pytest.mark.slow
def test_ten_thousand_mutated_headers_end_as_frames_or_errors(tmp_path, originals):
    began = time.process_time()
    frames, errors = read_all(tmp_path, originals, 10_000, seed=2)
    assert len(frames) + len(errors) == 10_000
    grouping = associate_all(frames)
    assert len(grouping.groups) > 100
    assert {e.problem for e in errors} >= {"truncated", "corrupt"}
    assert time.process_time() - began < 60  # about half of it on the machine it was written on


def test_a_folder_of_mutated_files_is_scanned_and_planned(tmp_path, originals, config):
    rng = np.random.default_rng(3)
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(60):
        write(raw / f"{number}.fits", originals[number % len(originals)], rng)
    root = tmp_path / "root"
    found = scan([raw], root, config)
    assert found.n_files == found.n_frames + len(found.errors)
    with database_errors():
        kinds = {(row.frame_class, bool(row.reason)) for row in Row.objects.all()}
    assert all(reason for frame_class, reason in kinds if frame_class in (UNKNOWN, IGNORED))
    made = plan(root, "fuzz", config)
    assert made.n_planned + made.n_rejected > 0
    assert all(made.rejected.values())
    close()
