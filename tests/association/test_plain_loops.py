"""The engine and a search through all frames by plain loops give the same calibrations."""

from __future__ import annotations

from pathlib import Path

import archive_rows
import brute_force
import pytest

from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import group_frames, unique_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.config import Config
from spheredc_hpc.simulate.archive import Archive, ArchiveSettings
from spheredc_hpc.store.codec import to_plain


@pytest.fixture(scope="module")
def frames():
    archive = Archive(ArchiveSettings(nights=3, seed=11, length=0.07, defects=0.8))
    return list(archive_rows.frames_of(archive.files(), Path("/raw")))


@pytest.mark.parametrize("prefer_sky", [True, False])
def test_the_engine_agrees_with_plain_loops(frames, prefer_sky):
    config = Config.model_validate({"association": {"prefer_sky": prefer_sky}})
    associator = Associator(
        FrameIndex(unique_frames(frames)[0]), config.association, Versions({}, "")
    )
    made = [to_plain(associator.associate(group)) for group in group_frames(frames).groups]
    found = brute_force.compare(made, brute_force.usable(frames), config, size=len(made))
    assert found.differences == []
    assert found.n_observations > 10
    assert found.n_answers > 50
