"""The t map, pixel by pixel against a plain version."""

import numpy as np
import pytest
from scipy import ndimage

from spheredc_hpc.kernels import snr
from spheredc_hpc.kernels.aperture import aperture_sums
from spheredc_hpc.kernels.parallel import worker_threads


def plain_t(image, apertures, skip):
    """Every pixel on its own, with the spline of SciPy."""
    sums, label = apertures.sums, apertures.label
    ny, nx = sums.shape
    all_sums = aperture_sums(np.nan_to_num(image), apertures.diameter_px / 2)
    filled = ndimage.spline_filter(all_sums, 3, mode="mirror")
    t, references = np.full(sums.shape, np.nan), np.zeros(sums.shape, int)
    for y, x in np.argwhere(label >= 0):
        dx, dy = x - nx // 2, y - ny // 2
        radius = np.hypot(dx, dy)
        if 2 * radius <= apertures.diameter_px:
            continue
        step = 2 * np.arcsin(apertures.diameter_px / 2 / radius)
        number = int(np.floor(2 * np.pi / step + 1e-9))
        angle = np.arctan2(dy, dx) - step * np.arange(1 + skip, number - skip)
        px, py = nx // 2 + radius * np.cos(angle), ny // 2 + radius * np.sin(angle)
        inside = (px >= 1) & (py >= 1) & (px < nx - 2) & (py < ny - 2)
        px, py = px[inside], py[inside]
        found = label[np.floor(py + 0.5).astype(int), np.floor(px + 0.5).astype(int)]
        own = label[y, x]
        used = (found == 0) | ((found == own) & (own > 0))
        values = ndimage.map_coordinates(
            filled, [py[used], px[used]], order=3, prefilter=False, mode="mirror"
        )
        references[y, x] = values.size
        if values.size >= 3:
            noise = values.std(ddof=1) * np.sqrt(1 + 1 / values.size)
            t[y, x] = (sums[y, x] - values.mean()) / noise
    return t, references


@pytest.mark.parametrize("shape", [(34, 34), (35, 35), (30, 37)])
@pytest.mark.parametrize("skip", [0, 1])
def test_every_pixel_has_the_statistic_of_its_own_ring(shape, skip):
    # Four pixels at a time share weights; edges, invalid pixels and sources break the symmetry.
    image = np.random.default_rng(5).standard_normal(shape)
    image[4, 9:12] = np.nan
    sources = np.zeros(shape, np.int32)
    sources[20:25, 6:11] = 1
    sources[8:12, 22:26] = 2
    apertures = snr.aperture_map(image, 3.6, sources)
    t, references = snr.t_statistic(apertures, skip)
    expected, count = plain_t(image, apertures, skip)
    np.testing.assert_array_equal(references, count)
    # Round-off of sums over up to thirty apertures.
    np.testing.assert_allclose(t, expected, rtol=1e-9, atol=1e-10)


def test_rings_without_obstacles_are_those_of_the_plain_version():
    image = np.random.default_rng(6).standard_normal((61, 61))
    apertures = snr.aperture_map(image, 4.8)
    t, references = snr.t_statistic(apertures)
    expected, count = plain_t(image, apertures, 0)
    np.testing.assert_array_equal(references, count)
    np.testing.assert_allclose(t, expected, rtol=1e-9, atol=1e-10)


def test_threads_change_no_bit_of_the_map():
    image = np.random.default_rng(7).standard_normal((81, 81))
    maps = []
    for threads in (1, 2):
        with worker_threads(threads):
            maps.append(snr.t_statistic(snr.aperture_map(image, 4.0))[0])
    np.testing.assert_array_equal(*maps)
