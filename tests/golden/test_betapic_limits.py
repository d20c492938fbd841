"""Contrast of annular PCA on the real beta Pictoris sequence, as VIP defines it and as it is.

The literals are those of ``contrast_curve`` of VIP 2.1.1 with ``pca_annular`` (Gomez Gonzalez et
al. 2017, AJ 154, 7): five modes, annuli of 5 px from 4 px on, motion of half an FWHM, b removed.
That package is no dependency of the test.
"""

import betapic
import numpy as np
import pytest
from scipy.signal import savgol_filter

from spheredc_hpc.kernels.aperture import aperture_sum
from spheredc_hpc.kernels.inject import Rotation, add_companion
from spheredc_hpc.kernels.snr import aperture_map, ring_noise
from spheredc_hpc.level2.contrast import contrast_curves
from spheredc_hpc.level2.engine import Companion, Method, Reduction
from spheredc_hpc.level2.injecting import Plan, pushed
from spheredc_hpc.level2.zones import annulus
from spheredc_hpc.registry import ALGORITHMS

FWHM = betapic.FWHM
RADII = np.array([12.0, 16.6, 20.0, 30.0, 40.0])
GAUSSIAN = [1.27e-3, 5.62e-4, 2.73e-4, 9.8e-5, 7.0e-5]
STUDENT = [2.25e-3, 8.33e-4, 3.74e-4, 1.19e-4, 8.0e-5]
# Throughput of the same run, line of companions.
THROUGHPUT = {16.6: 0.405, 30.0: 0.767}


@pytest.fixture(scope="module")
def reduction(real_data):
    frames, angles, psf = betapic.read(real_data)
    wide, star = (betapic.star_of(psf, side, betapic.STAR) for side in (19, 15))
    moved, reach = betapic.recentred(frames), (4.0, 49.0)
    betapic.take_b_out(moved, angles, wide)
    channel = betapic.channel_of(moved, angles, star, (None, annulus(101, *reach)), reach)
    entry = ALGORITHMS["klip"]
    settings = entry.settings(
        n_modes=5,
        centre="none",
        zones={"annulus_fwhm": 5 / FWHM},
        references={"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"},
    )
    return Reduction(channel, Method(entry, settings, "median", "interpolated"))


def median_image(reduction, companions=()):
    """Image that is not blanked beside the star: the published apertures begin there."""
    changed = Reduction(reduction.rows, reduction.method, companions)
    return np.median(changed.derotated(), axis=0)


def line_of_companions(reduction, image, radii, noise):
    """Companions of 100 sigma on the positive x axis, every third pixel, in three patterns."""
    star = reduction.channel.star
    still = Rotation(*(np.zeros(1),) * 3)
    throughput = np.zeros(radii.size)
    for first in range(3):
        pick = np.arange(first, radii.size, 3)
        added = [Companion(radii[k], 0.0, 100 * noise[k] / star.flux) for k in pick]
        change = median_image(reduction, added) - image
        truth = np.zeros((1, *image.shape), np.float32)
        for companion in added:
            add_companion(truth, star.stamp, companion[:2], still, companion.contrast)
        for k in pick:
            place = (50 + radii[k], 50.0, FWHM / 2)
            throughput[k] = aperture_sum(change, *place) / aperture_sum(truth[0], *place)
    return throughput


def test_contrast_of_annular_pca_is_the_published_one(reduction):
    image = median_image(reduction)
    radii = FWHM + np.arange(42)
    # One starting angle, the scatter over n apertures and not n - 1, and a parabola over two FWHM
    # through the scatter itself.
    noise, number = ring_noise(aperture_map(image, FWHM), radii, 1)
    noise *= np.sqrt(1 - 1 / number)
    throughput = line_of_companions(reduction, image, radii, noise)
    for radius, expected in THROUGHPUT.items():
        assert np.interp(radius, radii, throughput) == pytest.approx(expected, rel=0.05)
    smooth = savgol_filter(noise, 9, 2, mode="nearest")
    elements = 2 * np.pi * radii / FWHM
    curves = contrast_curves(smooth, elements, betapic.STAR, throughput, np.ones_like(radii))
    for curve, expected in zip(curves, (GAUSSIAN, STUDENT), strict=True):
        np.testing.assert_allclose(np.interp(RADII, radii, curve), expected, rtol=0.05)


def test_a_companion_by_itself_keeps_more_than_one_of_a_line(reduction):
    # b itself, 42 counts by annular PCA against 31 by classical ADI (throughput 0.76), could not
    # be that bright at a throughput of 0.4: neighbours 3 px away take it from each other.
    plan = Plan.of(reduction, reduction.images(), np.tile([16.6, 30.0], (4, 1)), 5.0)
    alone = pushed(plan, "resolved")[0].reshape(4, 2).mean(axis=0)
    assert alone[0] > 1.5 * THROUGHPUT[16.6]
    assert alone[1] == pytest.approx(THROUGHPUT[30.0], rel=0.1)
