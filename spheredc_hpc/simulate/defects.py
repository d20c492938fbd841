"""Damage done to files after they were written, as it happens in archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.simulate.scene import IrdisScenario
from spheredc_hpc.simulate.timeline import PlannedFile

NAN_FILE, TRUNCATED_FILE, CHECKSUM_FILE = 1, 2, 3
NAN_PLANE = 1
KEPT_SHARE = 0.6


def spoil_planes(scenario: IrdisScenario, file: PlannedFile, planes: NDArray[np.float32]) -> None:
    """Apply what concerns pixels, in place: a plane of NaN."""
    hit = file.kind == "OBJECT" and file.number == NAN_FILE and file.n_planes > NAN_PLANE
    if scenario.defects.nan_plane and hit:
        planes[NAN_PLANE] = np.nan


def has_wrong_checksum(scenario: IrdisScenario, file: PlannedFile) -> bool:
    """Whether the data of this file are to disagree with its checksums."""
    return (
        scenario.defects.wrong_checksum and file.kind == "OBJECT" and file.number == CHECKSUM_FILE
    )


def spoil_file(scenario: IrdisScenario, file: PlannedFile, path: Path) -> None:
    """Apply what concerns whole files: truncation, and a copy under a second name."""
    if file.kind != "OBJECT":
        return
    if scenario.defects.truncated_file and file.number == TRUNCATED_FILE:
        with path.open("r+b") as handle:
            handle.truncate(int(path.stat().st_size * KEPT_SHARE))
    if scenario.defects.duplicate_file and file.number == 0:
        shutil.copyfile(path, path.with_name(path.stem.replace(":", "_") + "_copy.fits"))
