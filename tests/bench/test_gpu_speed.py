"""Speed of reductions on the graphics card against the CPU threads of the same machine.

``pytest -m gpu -s tests/bench/test_gpu_speed.py`` prints a table; ``SPHEREDC_THREADS`` sets the
threads of the CPU, all cores if absent. Times are the best of three after a first run, and hold
everything from frames in the memory of the CPU to images or throughputs there.
"""

import os
import time
from dataclasses import replace

import numpy as np
import pytest
import synthetic_ifs
import synthetic_sequence
from device_cases import method, worst
from real_card import card_or_skip

from spheredc_hpc.config.recipe import ImagingSettings
from spheredc_hpc.kernels.arrays import as_numpy
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level2.engine import Reduction
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.level2.throughput import measure_throughput
from spheredc_hpc.registry import STRATEGIES

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

THREADS = int(os.environ.get("SPHEREDC_THREADS", len(os.sched_getaffinity(0))))
ZONES = {"annulus_fwhm": 2.0, "sectors": 4}
ANGULAR = {
    "PCA-20": method("pca", n_modes=20),
    "PCA-20 median, interpolated": method("pca", "median", "interpolated", n_modes=20),
    "KLIP-10 9 x 4": method("klip", n_modes=10, zones=ZONES),
    "LOCI ridge": method("loci", solution="ridge"),
}
SPECTRAL = {"ASDI KLIP-10": method("klip", n_modes=10, references={"max_references": 150})}
LINES = []


@pytest.fixture(scope="module")
def card():
    found = card_or_skip()
    yield found
    title = f"{found.name} against {THREADS} CPU threads"
    head = f"{'case':44s} {'CPU s':>8s} {'GPU s':>8s} {'ratio':>6s}"
    print("\n".join(["", title, head, *LINES]))  # noqa: T201 - the table is the result


def best(function, repeats=3):
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def images_of(rows, described, put=None):
    given = rows if put is None else replace(rows, frames=put(rows.frames))
    return as_numpy(Reduction(given, described).images())


def shares_of(rows, described, images, put=None):
    given = rows if put is None else replace(rows, frames=put(rows.frames))
    return measure_throughput(Reduction(given, described), images).values


def compared(name, rows, described, card, *, repeats=3):
    """Time images and throughput on both, and see that they agree."""
    shape = " x ".join(str(n) for n in rows.frames.shape)
    with worker_threads(THREADS):
        cpu, here = best(lambda: images_of(rows, described), repeats)
        gpu, there = best(lambda: images_of(rows, described, card.put), repeats)
        noted(f"{name}, {shape}", cpu, gpu)
        assert worst(here, there) < 1e-3
        cpu, one = best(lambda: shares_of(rows, described, here), 1)
        gpu, other = best(lambda: shares_of(rows, described, here, card.put), 1)
        noted(f"{name}, throughput", cpu, gpu)
    np.testing.assert_allclose(other, one, atol=2e-3)


def noted(name, cpu, gpu):
    LINES.append(f"{name:44s} {cpu:8.3f} {gpu:8.3f} {cpu / gpu:6.1f}")


@pytest.fixture(scope="module")
def angular():
    cube = synthetic_sequence.sequence(seed=1, n_wave=1, n_time=120, side=400)
    imaging = ImagingSettings(inner_mas=100, outer_mas=2400)
    (rows,) = STRATEGIES["adi"].run(prepare(cube, imaging))
    return rows


@pytest.fixture(scope="module")
def spectral():
    waves = synthetic_ifs.wavelengths(39)
    cube = synthetic_ifs.sequence(seed=1, wavelength_um=waves, n_time=40, side=290)
    imaging = ImagingSettings(inner_mas=100, outer_mas=850)
    (rows,) = STRATEGIES["asdi"].run(prepare(cube, imaging))
    return rows


@pytest.mark.parametrize("name", ANGULAR)
def test_angular_reductions_agree_at_full_size(card, angular, name):
    compared(name, angular, ANGULAR[name], card)


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_reductions_agree_at_full_size(card, spectral, name):
    compared(name, spectral, SPECTRAL[name], card, repeats=1)
