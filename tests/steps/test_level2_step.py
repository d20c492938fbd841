"""The Level 2 step: verdicts are passed on, equal inputs are not reduced twice."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from foreign_files import write_sequence

from spheredc_hpc.config import parse
from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.kernels import buffers
from spheredc_hpc.level2.memory import Shape, predicted_mb
from spheredc_hpc.steps.import_cube import ForeignFiles, import_cube, import_settings
from spheredc_hpc.steps.level2 import Means, level2_receipt, reduce_level2
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.cube import open_cube
from spheredc_hpc.store.images import read_images

CONFIG = parse({"level2": {"pca-adi": {"algorithm": "pca", "settings": {"n_modes": 3}}}})


@pytest.fixture(scope="module")
def level1(tmp_path_factory):
    """Receipt of an imported cube with a companion at 12 px, PA 60 deg."""
    folder = tmp_path_factory.mktemp("level2_step")
    settings = import_settings({"pixel_scale_mas": 12.25, "wavelength_um": (1.6,), "name": "one"})
    files = ForeignFiles(**write_sequence(folder / "in", size=61, companion=(12.0, 60.0, 60.0)))
    import_cube(folder / "root", files, settings, CONFIG)
    return folder / "root" / "observations" / "one" / "level1" / "receipt.json"


def reduced(level1, root, threads=1, config=CONFIG):
    target = root / "observations" / "one" / "level2" / "x" / "receipt.json"
    return reduce_level2(level1, target, "pca-adi", config, Means(threads)), target.parent


def test_flags_and_reasons_of_level1_are_passed_on(level1, tmp_path):
    upstream = receipts.read(level1.parent)
    made, _ = reduced(level1, tmp_path)
    assert made.status == "flagged"
    assert set(upstream.flags) <= set(made.flags)
    assert {f"Level 1: {reason}" for reason in upstream.reasons} <= set(made.reasons)


def test_a_card_that_is_not_there_fails_the_step_with_a_way_out(level1, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    target = tmp_path / "observations" / "one" / "level2" / "x" / "receipt.json"
    with pytest.raises(ResourceError, match="install the extra `gpu`"):
        reduce_level2(level1, target, "pca-adi", CONFIG, Means(1, "gpu"))
    assert not target.exists()


def test_the_companion_is_where_north_and_east_put_it(level1, tmp_path):
    made, product = reduced(level1, tmp_path)
    images = read_images(product / "level2.zarr")
    (found,) = images.sources
    x, y, x_err, y_err = found[:4]
    middle = images.image.shape[0] // 2
    dx, dy = -12.0 * np.sin(np.deg2rad(60)), 12.0 * np.cos(np.deg2rad(60))
    # Three stated errors of a source of S/N 10, and no worse than a third of a pixel.
    limit = min(3 * np.hypot(x_err, y_err), 0.33)
    assert np.hypot(x - middle - dx, y - middle - dy) < limit
    assert made.quality["sources"] == 1


def test_one_thread_and_two_give_the_same_arrays(level1, tmp_path):
    _, one = reduced(level1, tmp_path / "1", threads=1)
    _, two = reduced(level1, tmp_path / "2", threads=2)
    first, second = (read_images(p / "level2.zarr") for p in (one, two))
    for name, value in vars(first).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(second, name), err_msg=name)


def test_an_equal_reduction_is_left_alone(level1, tmp_path):
    _, product = reduced(level1, tmp_path)
    before = (product / "run.json").read_bytes()
    reduced(level1, tmp_path)
    assert (product / "run.json").read_bytes() == before


def test_a_rejected_level1_gives_a_rejected_level2(tmp_path):
    source = tmp_path / "observations" / "two" / "level1"
    draft = receipts.Draft("level1", "observations/two/level1", (), {}, "0")
    with receipts.writing(source, draft) as writer:
        writer.reject("no light")
    made, product = reduced(source / "receipt.json", tmp_path)
    assert (made.status, made.reasons) == ("rejected", ("Level 1 was rejected: no light",))
    assert not (product / "level2.zarr").exists()


def test_data_that_allow_no_subtraction_are_a_result(level1, tmp_path):
    many = parse({"level2": {"pca-adi": {"algorithm": "pca", "settings": {"n_modes": 50}}}})
    made, _ = reduced(level1, tmp_path, config=many)
    assert made.status == "rejected"
    first, *rest = made.reasons
    assert "50 modes of 12 frames" in first
    assert rest == [f"Level 1: {reason}" for reason in receipts.read(level1.parent).reasons]


def test_an_unknown_recipe_names_the_known_ones(level1, tmp_path):
    with pytest.raises(ConfigError, match="pca-adi-"):
        reduce_level2(
            level1, tmp_path / "observations/a/level2/b/receipt.json", "x", CONFIG, Means()
        )
    assert level2_receipt(level1, "pca-adi", CONFIG).parent.name.startswith("pca-adi-")


def test_a_damaged_level1_is_refused(tmp_path):
    source = tmp_path / "observations" / "three" / "level1"
    source.mkdir(parents=True)
    (source / "receipt.json").write_text("{}")
    with pytest.raises(DataError, match="digest does not match"):
        reduced(source / "receipt.json", tmp_path)


def test_little_memory_gives_the_same_arrays_from_scratch_files(level1, tmp_path, monkeypatch):
    monkeypatch.setattr(buffers, "LEAST_BYTES", 1)
    _, roomy = reduced(level1, tmp_path / "roomy")
    target = tmp_path / "tight" / "observations" / "one" / "level2" / "x" / "receipt.json"
    recipe = CONFIG.level2["pca-adi"]
    shape = Shape.of(open_cube(level1.parent / "cube.zarr"))
    whole, least = (predicted_mb(shape, recipe, scratch=scratch) for scratch in (False, True))
    means = Means(memory_mb=0.5 * (whole + least), scratch=tmp_path)
    reduce_level2(level1, target, "pca-adi", CONFIG, means)
    first, second = (read_images(p / "level2.zarr") for p in (roomy, target.parent))
    # Products of matrices of other shapes round otherwise in the last place.
    np.testing.assert_allclose(
        second.image, first.image, rtol=1e-5, atol=1e-5 * np.nanmax(first.image)
    )
    np.testing.assert_allclose(second.sources, first.sources, rtol=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roomy", "tight"]


def test_too_little_memory_is_said_before_work_starts(level1, tmp_path):
    target = tmp_path / "observations" / "one" / "level2" / "x" / "receipt.json"
    with pytest.raises(ResourceError, match=r"memory 100 MB: .* predicted to take"):
        reduce_level2(level1, target, "pca-adi", CONFIG, Means(memory_mb=100))
    assert not target.exists()
