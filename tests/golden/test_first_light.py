"""The built-in night, end to end at full size: what was put in comes out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from reduced_nights import ReducedNight, expected_snr, place, reduced_night

from spheredc_hpc.store.images import SOURCE_COLUMNS

pytestmark = pytest.mark.night


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReducedNight, ReducedNight]:
    """The night and its twin; roots are kept and used again if SPHEREDC_NIGHTS names a folder."""
    kept = os.environ.get("SPHEREDC_NIGHTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("nights")
    return reduced_night(folder / "night"), reduced_night(folder / "twin", companions=())


@pytest.fixture(scope="session")
def expected(nights):
    night, twin = nights[0].images("pca-adi"), nights[1].images("pca-adi")
    return {c["name"]: expected_snr(c, night, twin) for c in nights[0].truth["companions"]}


def matched(images, companion):
    """Row of the source within one FWHM of a companion, or None."""
    x, y = place(companion, images)
    columns = [SOURCE_COLUMNS.index(name) for name in ("x_px", "y_px")]
    if not len(images.sources):
        return None
    distance = np.hypot(*(images.sources[:, columns] - [x, y]).T)
    nearest = int(np.argmin(distance))
    return nearest if distance[nearest] < images.fwhm_px.mean() else None


def test_the_night_is_what_the_demonstration_promises(nights, expected):
    truth = nights[0].truth
    assert truth["summary"]["OBJECT"]["integrations"] >= 32
    assert truth["summary"]["rotation_deg"] >= 60
    values = sorted(expected.values())
    assert len(values) == 4
    assert values[0] < 3
    assert 5 <= values[1] <= 8
    assert values[2] > 10


def test_a_blind_search_finds_what_it_should_and_nothing_else(nights, expected):
    images = nights[0].images("pca-adi")
    companions = nights[0].truth["companions"]
    found = {c["name"]: matched(images, c) for c in companions}
    for name, snr in expected.items():
        if snr >= 8:
            assert found[name] is not None, f"{name} with expected S/N {snr:.1f} was missed"
        if snr < 3:
            assert found[name] is None, f"{name} with expected S/N {snr:.1f} was claimed"
    rows = {row for row in found.values() if row is not None}
    claimed = images.sources[:, SOURCE_COLUMNS.index("snr")] >= 5
    false = [row for row in np.flatnonzero(claimed) if row not in rows]
    assert not false, images.sources[false]


def test_the_twin_has_no_source(nights):
    assert len(nights[1].images("pca-adi").sources) == 0


def test_positions_and_fluxes_are_those_of_the_truth(nights, expected):
    images = nights[0].images("pca-adi")
    for companion in nights[0].truth["companions"]:
        row, snr = matched(images, companion), expected[companion["name"]]
        if row is None or snr < 8:
            continue
        source = dict(zip(SOURCE_COLUMNS, images.sources[row], strict=True))
        x, y = place(companion, images)
        for found, true, error in (
            (source["x_px"], x, source["x_err_px"]),
            (source["y_px"], y, source["y_err_px"]),
        ):
            assert abs(found - true) <= max(0.3, 3 * error)
        for channel, true in enumerate(companion["contrast"]):
            found = images.source_contrast[row, channel]
            error = images.source_contrast_err[row, channel]
            assert abs(found - true) <= max(0.15 * true, 3 * error)


def test_the_default_mode_count_spares_the_innermost_companion(nights):
    images = nights[0].images("pca-adi")
    innermost = min(c["separation_mas"] for c in nights[0].truth["companions"])
    for channel in range(images.throughput.shape[0]):
        kept = np.interp(innermost, images.separation_mas, images.throughput[channel])
        assert kept > 0.3
