import numpy as np
import pytest

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.detectors import detector
from spheredc_hpc.level1.io import Calibration
from spheredc_hpc.level1.parts.cosmetics import (
    CosmeticSettings,
    FieldCleaner,
    Region,
    hit_filter,
    read_noise_e,
)

CONSTANTS = default_constants()
DEVICE = detector("IRDIS")
REGION = Region(slice(400, 560), slice(300, 500))
GAIN = 1.75


@pytest.fixture
def rng():
    return np.random.default_rng(20180320)


def maps(rng):
    flat = rng.normal(1, 0.01, size=DEVICE.shape).astype(np.float32)
    flat *= np.linspace(0.9, 1.1, DEVICE.shape[1], dtype=np.float32)
    background = rng.normal(20, 1.5, size=DEVICE.shape).astype(np.float32)
    bad = rng.random(DEVICE.shape) < 0.01
    return flat, background, bad


def cleaner(flat, background, bad, settings=None, variance=0.0, dit_s=64.0):
    products = {
        "flat": Calibration({"FLAT": flat}),
        "bad_pixels": Calibration({"MASK": bad.astype(np.float32)}),
        "background": Calibration(
            {
                "MEAN": background,
                "VARIANCE": np.full_like(background, variance),
                "COUNT": np.ones_like(background),
            }
        ),
    }
    context = (DEVICE, CONSTANTS, settings or CosmeticSettings())
    return FieldCleaner.of(0, REGION, products, dit_s, context)


def test_background_and_flat_are_taken_out_and_bad_pixels_filled(rng):
    flat, background, bad = maps(rng)
    rows, columns = np.indices(DEVICE.shape)
    light = (100 + 0.2 * columns + 0.1 * rows).astype(np.float32)
    raw = light * flat + background
    raw[bad] = 1e5
    clean = cleaner(flat, background, bad).clean(raw[:, :1024])
    expected = light[400:560, 300:500]
    good = ~bad[400:560, 300:500]
    np.testing.assert_allclose(clean.image[good], expected[good], rtol=1e-5)
    # The slope of 0.2 per pixel leaves a few tenths where neighbours are missing on one side.
    np.testing.assert_allclose(clean.image, expected, atol=0.5)
    np.testing.assert_array_equal(clean.good > 0, good)


def test_without_calibrations_counts_pass_through():
    context = (DEVICE, CONSTANTS, CosmeticSettings())
    raw = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024)
    clean = FieldCleaner.of(0, REGION, {}, 64.0, context).clean(raw)
    np.testing.assert_array_equal(clean.image, raw[400:560, 300:500])


def test_stated_variance_is_that_of_the_noise(rng):
    flat, background, bad = maps(rng)
    bad[:] = False
    level, dit = 400.0, 64.0
    read_noise = read_noise_e(dit, DEVICE, CONSTANTS)
    tool = cleaner(flat, np.full_like(background, 30.0), bad, dit_s=dit)
    electrons = (level * flat + 30.0) * GAIN
    planes = rng.poisson(electrons[400:560, 300:500], size=(60, 160, 200)).astype(np.float32)
    planes += rng.normal(scale=read_noise, size=planes.shape).astype(np.float32)
    raw = np.zeros((1024, 1024), np.float32)
    ratio = []
    for plane in planes:
        raw[400:560, 300:500] = plane / GAIN
        clean = tool.clean(raw)
        ratio.append((clean.image - level) ** 2 / tool.variance(clean.image, 9))
    # 1.9 million values.
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.01)


def test_variance_does_not_follow_the_noise_of_its_own_pixel(rng):
    flat, background, bad = maps(rng)
    tool = cleaner(np.ones_like(flat), background * 0, bad & False)
    image = rng.poisson(100, size=REGION.shape).astype(np.float32)
    variance = tool.variance(image, 9)
    correlation = np.corrcoef(image.ravel(), variance.ravel())[0, 1]
    assert correlation < 0.15  # one of 81 pixels of the box: 0.11


def test_error_of_the_background_adds_to_the_variance(rng):
    flat, background, bad = maps(rng)
    flat[:], bad[:] = 1, False
    with_error = cleaner(flat, background, bad, variance=2.5)
    without = cleaner(flat, background, bad)
    np.testing.assert_allclose(with_error.floor - without.floor, 2.5, rtol=1e-4)


def test_hits_are_found_filled_and_marked(rng):
    flat, background, bad = maps(rng)
    raw = 50 * flat + background + rng.normal(scale=2, size=flat.shape).astype(np.float32)
    places = [(470, 350), (500, 420), (501, 420), (420, 480)]
    for y, x in places:
        bad[y - 2 : y + 3, x - 2 : x + 3] = False
        raw[y, x] += 300
    bad[471, 350] = True  # filled from its neighbours, the hit among them
    tool = cleaner(flat, background, bad)
    clean = tool.clean(raw[:, :1024].astype(np.float32), hit_filter(3.4, CosmeticSettings()))
    assert len(places) <= clean.hits <= len(places) + 3
    for y, x in [*places, (471, 350)]:
        assert clean.good[y - 400, x - 300] == 0
        assert clean.image[y - 400, x - 300] == pytest.approx(50, abs=6)


def test_saturated_pixels_keep_their_counts_but_no_weight(rng):
    flat, background, bad = maps(rng)
    raw = (50 * flat + background).astype(np.float32)[:, :1024]
    bad[450:460, 400:410] = False
    raw[452:456, 402:406] = 36000
    clean = cleaner(flat, background, bad).clean(raw)
    assert clean.saturated == 16
    assert clean.good[52:56, 102:106].sum() == 0
    assert clean.image[54, 104] > 30000


def test_missing_values_are_filled_and_counted(rng):
    flat, background, bad = maps(rng)
    raw = (50 * flat + background).astype(np.float32)[:, :1024]
    raw[450:455, 400:410] = np.nan
    clean = cleaner(flat, background, bad).clean(raw)
    assert clean.nan_fraction == pytest.approx(50 / (160 * 200))
    np.testing.assert_allclose(clean.image, 50, rtol=1e-4)
    assert clean.good[50:55, 100:110].sum() == 0
    raw[:] = np.nan
    assert cleaner(flat, background, bad).clean(raw).nan_fraction == 1.0


def test_read_noise_falls_from_the_shortest_to_long_integrations():
    assert read_noise_e(0.8375, DEVICE, CONSTANTS) == pytest.approx(10.0)
    assert read_noise_e(64.0, DEVICE, CONSTANTS) == pytest.approx(4.4, rel=0.03)


def test_a_region_stays_within_its_window():
    window = (slice(15, 1013), slice(50, 941))
    region = Region.around((485.5, 520.0), 510.0, window)
    assert (region.rows, region.columns) == window
    small = Region.around((485.5, 520.0), 10.0, window)
    assert small.local((485.5, 520.0)) == (10.5, 10.0)
