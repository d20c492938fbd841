"""NMF and LLSG on the real NACO sequence of beta Pictoris, against other packages.

The literals come from the frames as they are recentred here. LLSG: VIP 2.1.1 (Gomez Gonzalez et
al. 2017, AJ 154, 7), annuli of 10 px in quarters, threshold of one root, ten iterations after the
first, median combination, Fourier rotation. NMF: scikit-learn 1.9.1 (Pedregosa et al. 2011, JMLR
12, 2825) in double precision, 200 iterations. Neither package is a dependency of the test.
"""

import betapic
import numpy as np
import pytest
from betapic import peak_and_snr

from spheredc_hpc.kernels.inject import Stamp
from spheredc_hpc.kernels.lowrank import sparse_part
from spheredc_hpc.kernels.nmf import factorise
from spheredc_hpc.kernels.polar import radius_map
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.sequence import Star
from spheredc_hpc.level2.zones import annulus
from spheredc_hpc.registry import ALGORITHMS

FWHM = betapic.FWHM
# Pixels (y, x) of the quarter that holds b, and the sparse part there, by rank and frame.
PLACES = [(36, 58), (35, 57), (38, 60), (36, 52), (40, 66), (32, 54)]
# fmt: off
SPARSE = {
    5: {
        0: [-3.19509, 0, -6.45627, 3.66312, 11.9088, -3.87693],
        23: [-2.48464, 0, 0, 0.202809, -2.3682, -2.80189],
        41: [0, 0, -10.8953, 1.88917, -0.0597664, 0],
        60: [0, 0, 0, -1.23901, 0.133231, 0],
    },
    10: {
        0: [0, 0, 0, 0, 0.905198, -1.09105],
        23: [0, 0, 6.3386, 0, -10.0516, -1.85456],
        41: [3.45884, 0.869209, -3.01697, 2.67606, -0.62789, -0.822523],
        60: [-1.28943, 0, 0, 0, 0, 0.190609],
    },
}
# fmt: on
SCATTER = {5: 6.029544, 10: 3.102717}
# Peak and S/N of b by rank.
PUBLISHED = {5: (20.158, 16.756), 10: (0.97756, 4.2737)}
# Misfit of the package's coordinate descent after 200 iterations, by number of modes.
MISFIT = {5: 6489.504, 20: 2268.539}


@pytest.fixture(scope="module")
def sequence(real_data):
    frames, angles, _ = betapic.read(real_data)
    return betapic.recentred(frames), angles


def image_of(sequence, algorithm, **settings):
    frames, angles = sequence
    field = annulus(frames.shape[-1], 0.0, 50.0)
    star = Star(Stamp.of(np.ones((3, 3))), FWHM, float("nan"), 0.0)
    channel = betapic.channel_of(frames, angles, star, field, (0.0, 50.0))
    entry = ALGORITHMS[algorithm]
    return Reduction(channel, Method(entry, entry.settings(**settings), "median")).image()


@pytest.mark.parametrize("rank", [5, 10])
def test_sparse_part_of_a_quarter_is_the_published_one(sequence, rank):
    radius = radius_map((101, 101))
    y, x = np.indices((101, 101)) - 50
    quarter = (radius >= 10) & (radius < 20) & (np.arctan2(y, x) % (2 * np.pi) >= 1.5 * np.pi)
    rows = sequence[0][:, quarter]
    left = np.zeros((len(rows), 101, 101))
    left[:, quarter] = sparse_part(rows, None, rank, threshold=1.0, iterations=11, root=True)
    # The package takes deviations from the median of what is left, which is not quite zero.
    assert left[:, quarter].std() == pytest.approx(SCATTER[rank], rel=1e-3)
    for frame, expected in SPARSE[rank].items():
        np.testing.assert_allclose(
            [left[frame][place] for place in PLACES], expected, atol=0.01 * SCATTER[rank]
        )


@pytest.mark.parametrize("rank", [5, 10])
def test_companion_of_the_sparse_part_is_the_published_one(sequence, rank):
    zones = {"annulus_fwhm": 10 / FWHM, "sectors": 4}
    settings = {"n_modes": rank, "threshold": 1.0, "unit": "root", "iterations": 11}
    peak, snr = peak_and_snr(image_of(sequence, "llsg", zones=zones, **settings))
    # Pixels on the edges of zones fall to either side; few of them count.
    assert peak == pytest.approx(PUBLISHED[rank][0], rel=0.01)
    assert snr == pytest.approx(PUBLISHED[rank][1], rel=0.02)


@pytest.mark.parametrize("n_modes", [5, 20])
def test_non_negative_fit_is_nearer_than_the_package_with_half_its_passes(sequence, n_modes):
    rows = sequence[0][:, radius_map((101, 101)) <= 50].astype(np.float64)
    rows -= rows.min()
    found = factorise(rows, n_modes, max_iterations=100, tolerance=0)
    misfit = np.linalg.norm(rows - found.weights @ found.modes)
    # No product of that rank is nearer than the leading singular vectors.
    values = np.linalg.eigvalsh(rows @ rows.T)
    bound = np.sqrt(values[:-n_modes].sum())
    assert bound < misfit < MISFIT[n_modes] + 0.05 * (MISFIT[n_modes] - bound)


def test_non_negative_modes_show_the_companion(sequence):
    # Principal modes, 20 of them, give an S/N of 10.9 and a peak of 6.04 on these frames.
    peak, snr = peak_and_snr(image_of(sequence, "nmf", n_modes=20))
    assert peak == pytest.approx(6.04, rel=0.25)
    assert snr > 8
