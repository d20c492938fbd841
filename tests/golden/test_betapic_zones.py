"""Principal components in zones on the real NACO sequence of beta Pictoris, against others.

The literals are those of VIP 2.1.1 (Gomez Gonzalez et al. 2017, AJ 154, 7) and of pyKLIP 2.10.1
(Wang et al. 2015, ASCL 1506.001) on the frames as they are recentred here, in double precision;
``tests/bench/betapic_zones.py`` makes them again. VIP: annuli of one FWHM from 4 px on, motion of
half an FWHM, no centring, median; its outermost annulus begins a pixel too far in, so that the
last two are left out.
pyKLIP: 9 annuli of 4 sectors from 4 to 50 px, motion of half an FWHM, or the whole field and every
frame; each frame loses its mean over the zone; mean.
"""

import betapic
import numpy as np
import pytest

from spheredc_hpc.kernels.inject import Stamp
from spheredc_hpc.kernels.snr import aperture_map, t_statistic
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.sequence import Star
from spheredc_hpc.registry import ALGORITHMS

FWHM = betapic.FWHM
INNER = 4.0

# Pixels (y, x) and frames at which the residuals are compared, and their values.
# fmt: off
PLACES = [
    (50, 56), (43, 50), (40, 58), (36, 58), (50, 34), (66, 59), (30, 40), (50, 77), (74, 60),
    (81, 50), (28, 25), (50, 12), (80, 75), (20, 27),
]
ANNULAR = {
    5: {
        0: [-13.8951, -64.0102, 0.012058, -5.58163, 16.7666, 3.15722, -0.632283, -2.0655, 2.65407,
            4.06663, 0.542907, -0.899127, -0.915134, -4.23197],
        23: [-39.4301, -85.897, -25.6574, -13.8427, 12.7931, 10.0053, -0.310681, -0.297461,
             1.50858, 4.11854, -15.0914, -1.41656, -2.45267, -5.75162],
        41: [-119.671, 111.373, -14.4687, -6.78448, -17.1728, -1.10719, 3.07509, 5.31417,
             -0.936035, 2.04979, -1.7222, -2.5525, 3.95216, 1.59605],
        60: [-16.4722, -2.54264, 22.8576, 1.68251, 11.9927, 11.617, -2.40911, -10.1898,
             0.0468839, 6.44756, 7.47142, 1.64435, 3.37797, -3.43756],
    },
    20: {
        0: [1.38851, -17.36, 13.3845, 7.97243, 3.24726, 16.4166, -1.11493, -3.85333, -1.05226,
            3.97305, 3.12475, -1.41937, 0.0872183, -6.40363],
        23: [11.0771, -29.1, -1.08757, -1.66319, 4.95409, 2.05808, -1.41669, 0.642722, 3.81955,
             -2.66184, -1.1988, -0.341031, -1.28203, -4.39433],
        41: [-8.87921, 28.7066, -2.02716, 1.7641, -4.47946, 2.2091, -0.734976, 1.86571, -1.1273,
             3.52894, -2.53316, -0.485801, 1.42413, 0.69147],
        60: [13.1108, -11.7475, 19.3529, -0.19938, 5.31685, -0.825385, -1.16476, -6.61679,
             -2.12685, 3.16494, 3.7865, 1.58512, 5.70279, -3.05434],
    },
}
# Scatter of all residuals of each annulus.
ANNULAR_SCATTER = {
    5: [79.13141, 24.59983, 11.87314, 5.320748, 4.801912, 5.423555, 4.277302],
    20: [21.9875, 10.81165, 7.822439, 4.100532, 3.435493, 3.708423, 2.948103],
}
# Peak and S/N of b by modes and rotation: Fourier shears; Lanczos-4 of OpenCV.
ANNULAR_B = {
    (5, "fft"): (42.778, 6.557), (5, "interpolated"): (42.112, 6.673),
    (20, "fft"): (31.304, 8.535), (20, "interpolated"): (30.770, 8.545),
}
SECTORS = {
    5: {
        0: [14.8509, -9.95153, -7.20971, 4.43144, -7.82061, 0.283235, -1.97264, -2.68437, 1.29455,
            3.08293, -4.68947, -2.47336, 0.60696, -5.27498],
        23: [5.77622, -79.0585, -5.25235, -10.6953, 4.70395, 13.3312, -3.28092, 1.29036, 0.245193,
             -2.35615, 2.73226, 1.64838, -7.00445, -10.1392],
        41: [-37.8255, 14.1515, -14.2977, 11.4929, -5.67844, 1.27052, -0.0424278, 1.11183,
             -1.22153, 3.61188, 3.23541, -1.95837, 0.204714, -0.27039],
        60: [19.9911, -13.9529, 15.1071, -3.09886, 7.88325, 8.65376, -0.472457, -7.03125,
             -0.193545, 4.297, 0.317597, 0.950527, 4.78024, -3.50058],
    },
    20: {
        0: [5.98844, 2.02528, 2.37667, 1.42818, -2.49578, 6.14867, -1.22097, -2.20164, 0.244114,
            4.75533, -1.10738, -1.15918, -0.990687, -4.04805],
        23: [-4.86197, -3.83887, -2.59478, -1.75554, -1.53914, -6.63688, -2.26527, 3.39395,
             5.03425, -4.24737, -3.88745, -3.29771, -2.89518, -4.98161],
        41: [-3.8864, -6.56288, 3.78545, 2.84051, -0.542026, -2.69037, -1.16683, -1.36015,
             -0.363791, 0.724696, -0.183541, -0.448062, 1.0265, -2.01535],
        60: [0.316607, 1.82747, -1.71483, 2.56917, 5.69642, 6.27614, 0.142118, -4.10002, 0.191744,
             -0.312912, -2.02242, 0.968353, 4.74521, -2.30317],
    },
}
SECTORS_SCATTER = {
    5: [30.95995, 12.23856, 7.481275, 3.853475, 3.894204, 3.997584, 2.95625, 2.308574, 2.135819],
    20: [3.845431, 3.340962, 3.532438, 2.557256, 2.540445, 2.475002, 2.072101, 1.713895, 1.541604],
}
WHOLE = {
    0: [8.61418, -15.7404, 1.89305, -4.3229, 0.766426, 2.89024, 1.27745, -2.02635, -0.0331169,
        1.69779, 0.487434, 2.15591, -5.055, -1.33852],
    23: [-6.38777, 3.29433, -1.61147, -0.0815263, -3.74746, 0.349575, -0.464776, -1.49367,
         -1.92843, -1.53527, 2.7837, -0.390205, -1.89727, 1.23373],
    41: [6.65602, 10.8652, -0.729567, 0.559389, -1.01795, -3.80267, -3.27964, 2.30578, -0.294418,
         1.35289, 2.2886, 0.0617346, 4.66288, 3.15945],
    60: [-12.7788, -5.53309, 3.82311, 2.41709, 1.94122, 1.41136, -0.121558, -4.44055, -4.20649,
         1.1942, 5.61338, -0.18956, 1.69601, -2.8841],
}
WHOLE_SCATTER = [
    8.963137, 6.439867, 4.107942, 2.557904, 2.555474, 2.484222, 1.82437, 1.471023, 1.413586,
]
# fmt: on
# Highest pixel near b and the S/N of b there, on images turned by cubic splines.
SECTORS_B = {5: (29.657, 6.55), 20: (9.216, 9.53)}
WHOLE_B = (5.694, 8.75)


@pytest.fixture(scope="module")
def sequence(real_data):
    frames, angles, _ = betapic.read(real_data)
    return betapic.recentred(frames), angles


def radius_map():
    y, x = np.mgrid[:101, :101] - 50
    return np.hypot(x, y)


def reduced(sequence, outer, algorithm, combination, rotation="fft", **settings):
    frames, angles = sequence
    radius = radius_map()
    field = (radius >= INNER) & (radius < outer)
    y, x = np.mgrid[:15, :15] - 7
    stamp = Stamp.of(np.exp(-4 * np.log(2) * (x**2 + y**2) / FWHM**2))
    star = Star(stamp, FWHM, float("nan"), 0.0)
    channel = betapic.channel_of(frames, angles, star, field, (INNER, outer))
    entry = ALGORITHMS[algorithm]
    method = Method(entry, entry.settings(**settings), combination, rotation)
    return Reduction(channel, method)


def annular(sequence, rotation="fft"):
    return reduced(
        sequence,
        INNER + 9 * FWHM,
        "pca",
        "median",
        rotation,
        n_modes=20,
        also_modes=(5,),
        centre="none",
        zones={"annulus_fwhm": 1.0},
        references={"exclusion_fwhm": 0.5, "exclusion_measure": "tangent"},
    )


def in_sectors(sequence, rotation="fft"):
    return reduced(
        sequence,
        50.0,
        "klip",
        "mean",
        rotation,
        n_modes=20,
        also_modes=(5,),
        zones={"annuli": 9, "sectors": 4},
        references={"exclusion_fwhm": 0.5},
    )


def whole(sequence, rotation="fft"):
    return reduced(
        sequence,
        50.0,
        "klip",
        "mean",
        rotation,
        n_modes=20,
        zones={"annulus_fwhm": None},
        references={"exclusion_fwhm": None},
    )


def assert_residuals(residuals, expected, scatter, edges):
    for frame, values in expected.items():
        found = [residuals[frame, y, x] for y, x in PLACES]
        # Frames in single precision: round-off of 3000 counts beside the star.
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=3e-4)
    radius = radius_map()
    for low, high, value in zip(edges[:-1], edges[1:], scatter, strict=True):
        ring = (radius >= low) & (radius < high)
        assert residuals[:, ring].std() == pytest.approx(value, rel=1e-5)


def peak_near_b(image):
    """Highest pixel near b and the S/N there."""
    x, y = betapic.B
    near = image[y - 2 : y + 3, x - 2 : x + 3]
    dy, dx = np.unravel_index(int(np.argmax(near)), near.shape)
    t, _ = t_statistic(aperture_map(image, FWHM))
    return near.max(), t[y - 2 + dy, x - 2 + dx]


@pytest.mark.parametrize("modes", [5, 20])
def test_residuals_in_annuli_are_those_of_vip(sequence, modes):
    reduction = annular(sequence)
    residuals = reduction.residuals(reduction.counts.index(modes))
    edges = INNER + FWHM * np.arange(8)
    assert_residuals(residuals, ANNULAR[modes], ANNULAR_SCATTER[modes], edges)


@pytest.mark.parametrize("rotation", ["fft", "interpolated"])
def test_b_in_annuli_is_that_of_vip(sequence, rotation):
    for modes, image in annular(sequence, rotation).by_count().items():
        peak, snr = ANNULAR_B[modes, rotation]
        found = peak_near_b(image[0])
        assert found[0] == pytest.approx(peak, rel=0.015)
        assert found[1] == pytest.approx(snr, rel=0.02)


@pytest.mark.parametrize("modes", [5, 20])
def test_residuals_in_sectors_are_those_of_pyklip(sequence, modes):
    reduction = in_sectors(sequence)
    residuals = reduction.residuals(reduction.counts.index(modes))
    edges = np.linspace(INNER, 50.0, 10)
    assert_residuals(residuals, SECTORS[modes], SECTORS_SCATTER[modes], edges)


def test_residuals_of_the_whole_field_are_those_of_pyklip(sequence):
    residuals = whole(sequence).residuals()
    assert_residuals(residuals, WHOLE, WHOLE_SCATTER, np.linspace(INNER, 50.0, 10))


def test_b_in_sectors_and_whole_field_is_that_of_pyklip(sequence):
    found = in_sectors(sequence, "interpolated").by_count()
    cases = [(found[5][0], SECTORS_B[5]), (found[20][0], SECTORS_B[20])]
    cases.append((whole(sequence, "interpolated").image(), WHOLE_B))
    for image, (peak, snr) in cases:
        measured = peak_near_b(image)
        assert measured[0] == pytest.approx(peak, rel=0.015)
        assert measured[1] == pytest.approx(snr, rel=0.02)
