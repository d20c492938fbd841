"""Reductions of frames that lie off the CPU, by a stand-in for the graphics card."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import device_cases
import numpy as np
import pytest
import strict_card
from device_cases import METHODS, SPECTRAL, angular_rows, spectral_rows, worst

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.errors import ConfigError, ResourceError
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.device import find_card, pieces_at_once
from spheredc_hpc.level2 import device as device_module
from spheredc_hpc.level2.device import CPU, Device
from spheredc_hpc.level2.engine import Companion, Reduction
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.throughput import Injection, measure_throughput
from spheredc_hpc.registry import ALGORITHMS


@pytest.fixture
def elsewhere():
    with strict_card.elsewhere():
        yield


@pytest.fixture(scope="module")
def rows():
    return angular_rows()


def moved(rows):
    return replace(rows, frames=strict_card.put(rows.frames))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.usefixtures("elsewhere")
def test_images_are_those_of_the_cpu(rows, name):
    here, there = (Reduction(one, METHODS[name]) for one in (rows, moved(rows)))
    for count in range(len(here.counts)):
        image = there.images(count)
        assert image.device == strict_card.DEVICE
        assert worst(here.images(count), as_numpy(image)) < device_cases.IMAGE_TOLERANCE


@pytest.mark.parametrize("strategy", SPECTRAL)
@pytest.mark.usefixtures("elsewhere")
def test_images_of_many_channels_are_those_of_the_cpu(strategy):
    rows = spectral_rows(strategy)
    here, there = (Reduction(one, SPECTRAL[strategy]) for one in (rows, moved(rows)))
    assert worst(here.images(), as_numpy(there.images())) < device_cases.IMAGE_TOLERANCE


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("pca-median", "resolved"),
        ("klip", "resolved"),
        ("klip", "frozen"),
        ("loci", "first-order"),
        ("loci-ridge", "resolved"),
        ("tloci", "resolved"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_throughput_of_companions_pushed_together_is_that_of_one_at_a_time(rows, name, how):
    here, there = (Reduction(one, METHODS[name]) for one in (rows, moved(rows)))
    images = here.images()
    asked = Injection(how, branches=1)
    one, other = (measure_throughput(each, images, asked) for each in (here, there))
    assert np.isfinite(one.values).sum() > 6
    np.testing.assert_allclose(other.values, one.values, atol=device_cases.THROUGHPUT_TOLERANCE)
    np.testing.assert_allclose(other.contrast, one.contrast, rtol=1e-3)
    assert one.method == other.method == how


@pytest.mark.parametrize("strategy", ["asdi", "asdi-two-step"])
@pytest.mark.usefixtures("elsewhere")
def test_throughput_of_many_channels_is_that_of_one_at_a_time(strategy):
    rows = spectral_rows(strategy)
    here, there = (Reduction(one, SPECTRAL[strategy]) for one in (rows, moved(rows)))
    images = here.images()
    one, other = (measure_throughput(each, images, Injection(branches=1)) for each in (here, there))
    assert np.isfinite(one.values).any()
    np.testing.assert_allclose(other.values, one.values, atol=device_cases.THROUGHPUT_TOLERANCE)


@pytest.mark.usefixtures("elsewhere")
def test_companions_in_small_batches_give_what_large_ones_give(rows, monkeypatch):
    there = Reduction(moved(rows), METHODS["klip"])
    images = as_numpy(there.images())
    large = measure_throughput(there, images, Injection(branches=1))
    monkeypatch.setattr(device_module, "_TOGETHER", 2)
    small = measure_throughput(there, images, Injection(branches=1))
    np.testing.assert_allclose(small.values, large.values, atol=1e-10)


@pytest.mark.parametrize("name", ["pca", "klip", "loci"])
@pytest.mark.usefixtures("elsewhere")
def test_forward_models_of_frames_elsewhere_are_those_of_the_cpu(rows, name):
    x, y = np.mgrid[-2:3, -2:3].reshape(2, -1) + np.array([[18.0], [9.0]])
    added = [Companion(18.0, 9.0, 2e-3)]
    values = [
        Patch(Reduction(one, METHODS[name]), x, y).evaluate(added) for one in (rows, moved(rows))
    ]
    assert np.abs(values[0] - values[1]).max() < 1e-5 * np.abs(values[0]).max()


@pytest.mark.usefixtures("elsewhere")
def test_a_whole_reduction_elsewhere_gives_the_product_of_the_cpu():
    recipe = Recipe(
        algorithm="klip",
        imaging=ImagingSettings(inner_mas=100, outer_mas=400, throughput_branches=1),
        settings={"n_modes": 4},
    )
    card = strict_card.StrictCard()
    here = reduce(device_cases.angular_cube(), recipe)
    there = reduce(device_cases.angular_cube(), recipe, device=Device("strict", card))
    assert card.taken == [14 * device_cases.angular_rows().side ** 2 * 4]
    assert (here.status, here.flags, here.reasons) == (there.status, there.flags, there.reasons)
    assert worst(here.images.image, there.images.image) < device_cases.IMAGE_TOLERANCE
    assert len(here.images.sources) == len(there.images.sources) == 1
    # Position [px], a hundredth of its error: both fits stop within 0.001 px of the minimum.
    np.testing.assert_allclose(there.images.sources[0][:2], here.images.sources[0][:2], atol=5e-3)


# ---------------------------------------------------------------- the device itself


def test_the_cpu_leaves_rows_as_they_are(rows):
    assert CPU.moved([rows]) == (rows,)


def test_frames_that_do_not_fit_are_refused_before_they_are_moved(rows):
    card = strict_card.StrictCard(free=rows.frames.nbytes)
    with pytest.raises(ResourceError, match="use the CPU"):
        Device("strict", card).moved([rows])
    assert not card.taken


def test_a_method_without_coefficients_refuses_frames_elsewhere(rows):
    with pytest.raises(ConfigError, match="cadi has no coefficients"):
        Reduction(moved(rows), device_cases.method("cadi"))


def test_a_method_without_coefficients_is_given_to_the_cpu(monkeypatch, caplog):
    found = Device.find("gpu", ALGORITHMS["cadi"])  # also where there is no card
    monkeypatch.setattr(device_module, "find_card", strict_card.StrictCard)
    assert found.card is None
    assert found.name == "cpu (cadi has no coefficients)"
    assert "the CPU reduces" in caplog.text
    assert Device.find("gpu", ALGORITHMS["pca"]).name == "gpu strict"


def test_no_card_is_a_lack_of_resources_with_a_way_out(monkeypatch):
    try:
        find_card()
    except ResourceError as error:
        assert "install the extra `gpu`" in str(error)  # noqa: PT017 - there may be a card
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ResourceError, match=r"CuPy is not installed.*install the extra `gpu`"):
        Device.find("gpu", ALGORITHMS["pca"])


def cupy_without_a_compiler(error):
    """A CuPy that sees a card, but raises when it should compile for it."""

    def fail(count):
        raise error

    runtime = SimpleNamespace(
        CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}),
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: {"name": b"card", "totalGlobalMem": 1},
    )
    compiler = SimpleNamespace(CompileException=CompileException)
    cuda = SimpleNamespace(runtime=runtime, compiler=compiler)
    return {
        "cupy": SimpleNamespace(cuda=cuda, arange=fail),
        "cupy.cuda": cuda,
        "cupy.cuda.compiler": compiler,
    }


class CompileException(Exception):  # noqa: N818 - the name that CuPy gives it
    """As in CuPy: no RuntimeError."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CuPy failed to load libnvrtc.so.12"),
            r"RuntimeError: .* libnvrtc\.so\.12\)",
        ),
        (
            CompileException('cannot open source file "vector_types.h"\n1 error detected'),
            r'CompileException: cannot open source file "vector_types\.h"\)',
        ),
    ],
)
def test_a_missing_compiler_or_header_is_a_lack_of_resources(monkeypatch, error, message):
    for name, module in cupy_without_a_compiler(error).items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(ResourceError, match=f"cannot compile for it .{message}; install the NVRTC"):
        find_card()


def test_the_cpu_does_not_cut_work_by_the_memory_of_a_card():
    assert pieces_at_once(np.ones(3), 10**15, 64) == 64
    assert pieces_at_once(np.ones(3), 1, 0) == 1
