import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.badpixels import (
    HitFilter,
    fill_from_neighbours,
    find_hits,
    find_neighbours,
    median_background,
)


@pytest.fixture
def rng():
    return np.random.default_rng(20180316)


def plain_fill(image, bad, count):
    """Reference: loop over bad pixels, nearest good pixels within 2 px, ties in (dy, dx) order."""
    out = image.copy()
    for y, x in zip(*np.nonzero(bad), strict=True):
        found = []
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                inside = 0 <= y + dy < image.shape[0] and 0 <= x + dx < image.shape[1]
                if inside and not bad[y + dy, x + dx]:
                    found.append((dy * dy + dx * dx, dy, dx))
        found = sorted(found)[:count]
        weights = np.array([1 / item[0] for item in found])
        values = np.array([image[y + dy, x + dx] for _, dy, dx in found])
        out[y, x] = np.sum(weights * values) / weights.sum()
    return out


def test_filling_equals_the_plain_loop(rng):
    image = rng.normal(100, 5, size=(40, 50)).astype(np.float32)
    bad = rng.random(image.shape) < 0.05
    expected = plain_fill(image, bad, 12)
    image[bad] = np.nan
    fill_from_neighbours(image, find_neighbours(bad, count=12))
    np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_a_plane_is_filled_exactly_where_all_neighbours_are_good():
    rows, columns = np.indices((21, 21))
    image = (3.0 * columns - 2.0 * rows).astype(np.float32)
    expected = image[10, 10]
    bad = np.zeros(image.shape, bool)
    bad[10, 10] = True
    image[10, 10] = 1e6
    fill_from_neighbours(image, find_neighbours(bad))
    assert image[10, 10] == pytest.approx(expected, abs=1e-4)


def test_the_middle_of_a_large_cluster_takes_the_nearest_good_pixel():
    image = np.full((60, 60), 5.0, np.float32)
    bad = np.zeros(image.shape, bool)
    bad[15:45, 15:45] = True
    image[bad] = np.nan
    fill_from_neighbours(image, find_neighbours(bad))
    np.testing.assert_allclose(image, 5.0)


def test_pixels_outside_of_the_window_neither_serve_nor_are_served():
    image = np.full((30, 30), 5.0, np.float32)
    image[:, :10] = np.nan
    usable = np.isfinite(image)
    bad = ~usable
    bad[15, 10] = True
    image[15, 10] = -99
    fill_from_neighbours(image, find_neighbours(bad, usable))
    assert image[15, 10] == 5.0
    assert np.isnan(image[:, :10]).all()


def star(shape, x, y, fwhm, peak):
    rows, columns = np.indices(shape)
    sigma = fwhm / 2.354820045
    return peak * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / sigma**2)


@pytest.mark.parametrize(("fwhm", "sharpness"), [(2.2, 0.28), (3.4, 0.4)])
def test_hits_are_found_and_stars_are_kept(rng, fwhm, sharpness):
    image = rng.normal(size=(128, 128))
    for x, y, peak in ((30, 30, 1e4), (60.5, 90.5, 300.0), (100, 40.3, 30.0)):
        image += star(image.shape, x, y, fwhm, peak)
    hits = [(20, 100, 50.0), (21, 100, 80.0), (70, 70, 20.0), (110, 110, -40.0)]
    for y, x, size in hits:
        image[y, x] += size
    found = find_hits(image.astype(np.float32), HitFilter(7, 5.0, sharpness))
    assert all(found[y, x] for y, x, _ in hits)
    # Gaussian noise crosses 5 sigma of a box of 48 values about once in 10^5 pixels.
    assert found.sum() <= len(hits) + 3
    assert not found[25:36, 25:36].any()


def test_running_median_keeps_a_slope():
    rows, columns = np.indices((40, 40))
    image = (columns + 2 * rows).astype(np.float32)
    np.testing.assert_array_equal(median_background(image, 5)[5:-5, 5:-5], image[5:-5, 5:-5])


def test_wrong_arguments_are_refused():
    with pytest.raises(KernelInputError, match="no good pixel"):
        find_neighbours(np.ones((4, 4), bool))
    with pytest.raises(KernelInputError, match="neighbours of"):
        fill_from_neighbours(np.zeros((3, 3), np.float32), find_neighbours(np.zeros((4, 4), bool)))
