import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.boxes import box_mean, box_scatter
from spheredc_hpc.kernels.counts import correct_counts


@pytest.fixture
def rng():
    return np.random.default_rng(20180323)


def boxes(image, width):
    """Yield place, values of the box, and those without the pixel itself."""
    half = width // 2
    for y, x in np.ndindex(image.shape):
        rows, columns = slice(max(y - half, 0), y + half + 1), slice(max(x - half, 0), x + half + 1)
        box = image[rows, columns].astype(np.float64)
        others = np.delete(box.ravel(), (y - rows.start) * box.shape[1] + x - columns.start)
        yield (y, x), box, others


@pytest.mark.parametrize("width", [3, 7])
def test_means_and_scatter_are_those_of_the_plain_loop(rng, width):
    # A bright star beside faint sky is what running sums could spoil.
    image = rng.normal(1, 2, size=(17, 23)).astype(np.float32)
    image[5:8, 9:12] += 30000
    mean, around, spread = (np.empty_like(image) for _ in range(3))
    box_mean(image, width, mean)
    box_scatter(image, width, around, spread)
    for place, box, others in boxes(image, width):
        assert mean[place] == pytest.approx(box.mean(), rel=1e-5, abs=1e-4)
        assert around[place] == pytest.approx(others.mean(), rel=1e-5, abs=1e-4)
        assert spread[place] == pytest.approx(others.std(), rel=1e-4, abs=1e-4)


def test_a_box_of_one_pixel_is_the_pixel(rng):
    image = rng.normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_array_equal(box_mean(image, 1, np.empty_like(image)), image)


def test_counts_are_corrected_and_tallied(rng):
    whole = rng.normal(100, 5, size=(30, 60)).astype(np.float32)
    raw = whole[5:25, 10:50]
    raw[3, 4], raw[5, 6], raw[7, 8] = np.nan, 40000, 40000
    background = np.full(raw.shape, 20, np.float32)
    gain = rng.normal(1, 0.01, size=raw.shape).astype(np.float32)
    bad = np.zeros(raw.shape, bool)
    bad[7, 8] = bad[9, 9] = True
    image, good = np.empty(raw.shape, np.float32), np.empty(raw.shape, np.float32)
    full = np.empty(raw.shape, bool)
    tally = correct_counts(raw, background, gain, bad, 35000.0, (image, good, full))
    assert tally == (1, 1)
    expected = np.where(np.isfinite(raw), (raw - background) * gain, 0)
    np.testing.assert_allclose(image, expected, rtol=1e-6)
    np.testing.assert_array_equal(good == 0, bad | np.isnan(raw))
    assert np.argwhere(full).tolist() == [[5, 6]]


def test_wrong_arguments_are_refused():
    image = np.zeros((4, 4), np.float32)
    with pytest.raises(KernelInputError, match="an odd number from 1"):
        box_mean(image, 4, np.empty_like(image))
    with pytest.raises(KernelInputError, match="an odd number from 3"):
        box_scatter(image, 1, np.empty_like(image), np.empty_like(image))
    with pytest.raises(KernelInputError, match="results"):
        box_mean(image, 3, np.zeros((3, 4), np.float32))
    with pytest.raises(KernelInputError, match="beside them"):
        correct_counts(image, image[:3], image, image > 0, 1.0, (image, image, image > 0))
