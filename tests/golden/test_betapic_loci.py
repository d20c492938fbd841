"""LOCI on the real NACO sequence of beta Pictoris, against VIP on the same frames.

The literals are those of ``xloci`` of VIP 2.1.1 (Gomez Gonzalez et al. 2017, AJ 154, 7): FWHM
4.8 px, annuli of 5 px from 4 px on, 4 segments, motion of half an FWHM, truncated least squares
with 1e-2, median combination. Residuals are those of the frames as they are recentred here, in
double precision; for the outermost annulus that package takes the angle of a smaller radius, so it
is left out. The package is no dependency of the test.
"""

import betapic
import numpy as np
import pytest
from betapic import peak_and_snr

from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.zones import annulus
from spheredc_hpc.registry import ALGORITHMS

FWHM = betapic.FWHM
INNER, OUTER = 4.0, 49.0
REFERENCES = {"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"}
ZONES = {"annulus_fwhm": 5 / FWHM, "sectors": 4, "optimisation_area": None}
SAME = {"zones": ZONES, "references": REFERENCES, "tolerance": 1e-2}

# Pixels (y, x) and frames at which the residuals are compared, and their values.
# fmt: off
PLACES = [
    (50, 56), (43, 50), (40, 58), (36, 58), (50, 34), (66, 59), (30, 40), (50, 77), (74, 60),
    (81, 50), (28, 25), (50, 12), (80, 75), (20, 27),
]
RESIDUALS = {
    0: [15.0673, -11.1403, -6.98516, -2.84916, -8.21143, 3.62325, -1.20769, -3.24851, 0.482857,
        4.25509, -0.862372, -2.3783, -2.30832, -3.14636],
    23: [4.73498, -91.1697, -6.62053, -5.81608, 6.38874, 12.2249, -2.13124, 4.24473, -0.791168,
         -2.86795, 3.92324, 0.278782, -2.13005, -8.44465],
    41: [-27.5078, 67.0311, -12.903, 7.19691, -2.08412, 3.00508, -0.95683, 0.345432, -1.14936,
         0.79434, -0.409277, -1.84916, 2.23362, -2.88332],
    60: [3.98003, -50.844, 16.7328, 1.86399, 6.16887, 6.49062, 2.66933, -7.93557, -0.524812,
         2.54179, -2.67221, -0.791601, 7.24163, -1.64479],
}
# fmt: on
# Scatter of all residuals of each annulus.
SCATTER = [33.56943, 11.67902, 7.035668, 4.023388, 3.332366, 3.010402, 2.466456, 1.880843]
# Peak and S/N of b by rotation: with Fourier shears, and as published with OpenCV's Lanczos.
PUBLISHED = {"fft": (26.544, 8.535), "lanczos": (26.011, 8.472)}


@pytest.fixture(scope="module")
def channel(real_data):
    frames, angles, psf = betapic.read(real_data)
    # Nothing is subtracted elsewhere: residuals beside the star would ring far out.
    field = annulus(frames.shape[-1], INNER, OUTER)
    star = betapic.star_of(psf, 15)
    return betapic.channel_of(betapic.recentred(frames), angles, star, field, (INNER, OUTER))


def reduction(channel, algorithm="loci", combination="median", **settings):
    entry = ALGORITHMS[algorithm]
    return Reduction(channel, Method(entry, entry.settings(**settings), combination))


def test_residuals_are_those_of_vip(channel):
    residuals = reduction(channel, **SAME).residuals()
    for frame, values in RESIDUALS.items():
        found = [residuals[frame, y, x] for y, x in PLACES]
        # Frames in single precision: round-off of 3000 counts beside the star.
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=3e-4)
    y, x = np.mgrid[:101, :101] - 50
    radius = np.hypot(x, y)
    for number, scatter in enumerate(SCATTER):
        ring = (radius >= 4 + 5 * number) & (radius < 9 + 5 * number)
        assert residuals[:, ring].std() == pytest.approx(scatter, rel=1e-5)


def turned(frame, angle_deg, reach=4):
    """Frame turned counter-clockwise by Lanczos interpolation with 8 x 8 pixels, about b's ring."""
    middle = frame.shape[0] // 2
    y, x = np.mgrid[-25:26, -25:26]
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    xs, ys = cosine * x + sine * y + middle, cosine * y - sine * x + middle
    x0, y0 = np.floor(xs).astype(int), np.floor(ys).astype(int)
    padded = np.pad(frame, 32)
    total, weights = np.zeros(x.shape), np.zeros(x.shape)
    for j in range(1 - reach, reach + 1):
        for i in range(1 - reach, reach + 1):
            u, v = xs - x0 - i, ys - y0 - j
            weight = np.sinc(u) * np.sinc(u / reach) * np.sinc(v) * np.sinc(v / reach)
            total += weight * padded[y0 + j + 32, x0 + i + 32]
            weights += weight
    image = np.zeros(frame.shape)
    image[y + middle, x + middle] = total / weights
    return image


@pytest.mark.parametrize("rotation", PUBLISHED)
def test_peak_and_snr_of_b_are_the_published_ones(channel, rotation):
    found = reduction(channel, **SAME)
    if rotation == "fft":
        image = found.image()
    else:
        angles = channel.rotation.middle_deg
        frames = map(turned, found.residuals(), angles)
        image = np.median(np.stack(list(frames)), axis=0).astype(np.float32)
    peak, snr = peak_and_snr(image)
    assert peak == pytest.approx(PUBLISHED[rotation][0], rel=0.015)
    assert snr == pytest.approx(PUBLISHED[rotation][1], rel=0.02)


@pytest.mark.parametrize(
    ("algorithm", "settings", "least"),
    [
        # The published row of LOCI, which uses smaller optimisation zones.
        ("loci", {}, 8.47),
        ("loci", {"solution": "ridge"}, 8.47),
        # TLOCI keeps four fifths of b where LOCI keeps two: less of the noise is gone too.
        ("tloci", {}, 5.0),
        ("tloci", {"solution": "truncated"}, 5.0),
        ("tloci", {"zones": {"sectors": 4}}, 8.0),
    ],
)
def test_b_is_found_by_default_settings(channel, algorithm, settings, least):
    image = reduction(channel, algorithm, "mean", **settings).image()
    peak, snr = peak_and_snr(image)
    x, y = betapic.B
    assert peak == image[y - 1 : y + 2, x - 1 : x + 2].max()
    assert snr > least
