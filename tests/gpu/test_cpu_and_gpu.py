"""What the graphics card computes is what the CPU computes: `pytest -m gpu tests/gpu`."""

import json
from dataclasses import replace

import device_cases
import numpy as np
import pytest
from device_cases import METHODS, SPECTRAL, angular_rows, spectral_rows, worst
from foreign_files import write_sequence

from spheredc_hpc.config import parse
from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import ResourceError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.device import free_bytes
from spheredc_hpc.level2.device import Device
from spheredc_hpc.level2.engine import Companion, Reduction
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.throughput import Injection, measure_throughput
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.steps.import_cube import ForeignFiles, import_cube, import_settings
from spheredc_hpc.steps.level2 import Means, reduce_level2

pytestmark = pytest.mark.gpu

# The card's transforms and sums add in another order than the CPU's.
IMAGE_TOLERANCE = 3e-4
THROUGHPUT_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def rows():
    return angular_rows()


def both(rows, card, method):
    return Reduction(rows, method), Reduction(replace(rows, frames=card.put(rows.frames)), method)


@pytest.mark.parametrize("name", device_cases.KERNELS)
def test_a_kernel_gives_the_same(card, name):
    kernel, arguments = device_cases.KERNELS[name]
    expected = kernel(*[np.array(each) for each in arguments])
    found = kernel(*[card.put(each) for each in arguments])
    assert not isinstance(found, np.ndarray)
    values = as_numpy(found)
    assert values.dtype == expected.dtype
    np.testing.assert_allclose(values, expected, atol=device_cases.KERNEL_TOLERANCE)


@pytest.mark.parametrize("name", METHODS)
def test_images_are_the_same(card, rows, name):
    here, there = both(rows, card, METHODS[name])
    for count in range(len(here.counts)):
        assert worst(here.images(count), as_numpy(there.images(count))) < IMAGE_TOLERANCE


@pytest.mark.parametrize("strategy", SPECTRAL)
def test_images_of_many_channels_are_the_same(card, strategy):
    here, there = both(spectral_rows(strategy), card, SPECTRAL[strategy])
    assert worst(here.images(), as_numpy(there.images())) < IMAGE_TOLERANCE


@pytest.mark.parametrize("how", ["resolved", "first-order", "frozen"])
@pytest.mark.parametrize("name", METHODS)
def test_throughput_is_the_same(card, rows, name, how):
    here, there = both(rows, card, METHODS[name])
    images = here.images()
    one, other = (measure_throughput(each, images, Injection(how)) for each in (here, there))
    np.testing.assert_allclose(other.values, one.values, atol=THROUGHPUT_TOLERANCE)


def test_forward_models_are_the_same(card, rows):
    x, y = np.mgrid[-2:3, -2:3].reshape(2, -1) + np.array([[18.0], [9.0]])
    added = [Companion(18.0, 9.0, 2e-3)]
    values = [Patch(each, x, y).evaluate(added) for each in both(rows, card, METHODS["klip"])]
    assert np.abs(values[0] - values[1]).max() < IMAGE_TOLERANCE * np.abs(values[0]).max()


def test_a_whole_reduction_is_the_same_and_gives_the_memory_back(card):
    imaging = ImagingSettings(inner_mas=100, outer_mas=400)
    recipe = Recipe(algorithm="klip", imaging=imaging, settings={"n_modes": 4})
    here = reduce(device_cases.angular_cube(), recipe)
    before = free_bytes()
    device = Device.find("gpu", ALGORITHMS["klip"])
    there = reduce(device_cases.angular_cube(), recipe, device=device)
    assert worst(here.images.image, there.images.image) < IMAGE_TOLERANCE
    np.testing.assert_allclose(there.images.sources[0][:2], here.images.sources[0][:2], atol=5e-3)
    # Libraries and plans of transforms stay; frames do not.
    assert before - free_bytes() < 2e9


def test_a_step_on_the_card_says_so_in_its_run_record(card, tmp_path):
    config = parse({"level2": {"pca-adi": {"algorithm": "pca", "settings": {"n_modes": 3}}}})
    settings = import_settings({"pixel_scale_mas": 12.25, "wavelength_um": (1.6,), "name": "one"})
    files = ForeignFiles(**write_sequence(tmp_path / "in", size=61, companion=(12.0, 60.0, 60.0)))
    import_cube(tmp_path / "root", files, settings, config)
    folder = tmp_path / "root" / "observations" / "one"
    target = folder / "level2" / "x" / "receipt.json"
    reduce_level2(folder / "level1" / "receipt.json", target, "pca-adi", config, Means(1, "gpu"))
    run = json.loads((target.parent / "run.json").read_text())
    assert run["device"] == f"gpu {card.name}"


def test_frames_beyond_the_memory_of_the_card_are_refused(card, rows):
    side = int(np.sqrt(card.total_bytes / 4)) + 1
    # Not a byte of it is touched.
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (4, side, side), (0, 0, 0))
    with pytest.raises(ResourceError, match="use the CPU"):
        Device("gpu", card).moved([replace(rows, frames=huge)])
