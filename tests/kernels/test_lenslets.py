"""From spectra on a detector to square images: light is kept, errors are those of the noise."""

import math

import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.crosstalk import CrosstalkCorrection
from spheredc_hpc.kernels.extraction import TraceExtractor, Traces
from spheredc_hpc.kernels.hexagons import HEXAGON_AREA, HexagonGrid
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.kernels.templates import TemplateExtractor

SIDE = 160
CHANNELS = np.linspace(0.96, 1.34, 39)
WIDTH = CHANNELS[1] - CHANNELS[0]
RANGE = (0.93, 1.37)


@pytest.fixture
def rng():
    return np.random.default_rng(290)


def traces(samples=120):
    """Interleaved spectra, five columns apart and 41 rows long, on a small detector."""
    wave = np.linspace(*RANGE, samples)
    along = 105.0 * np.log(wave / 1.0)
    k, m = np.meshgrid(np.arange(-4, 26), np.arange(-3, 4), indexing="ij")
    x0 = 8.3 + 5.083 * k.ravel() + 0.35 * m.ravel()
    y0 = 52.0 + 26.45 * (k.ravel() % 14) + 41.15 * m.ravel() - 14 * (k.ravel() % 7)
    keep = (y0 > 12) & (y0 < SIDE - 42) & (x0 > 6) & (x0 < SIDE - 6)
    x0, y0 = x0[keep], y0[keep]
    # Spectra on top of each other are left out.
    chosen = []
    for i in range(x0.size):
        if all(abs(x0[i] - x0[j]) > 4.5 or abs(y0[i] - y0[j]) > 52 for j in chosen):
            chosen.append(i)
    x0, y0 = x0[chosen], y0[chosen]
    x = x0 - 0.4 * (wave - 1.1)[:, np.newaxis]
    y = y0 + along[:, np.newaxis]
    sigma = np.repeat((0.75 * (1 + 0.31 * (wave - 1.15)))[:, np.newaxis], x0.size, axis=1)
    return Traces(wave, x, y, sigma)


def image_of(held, spectrum, samples=900):
    """Spots of Gaussians integrated over pixels; `spectrum` is per channel, shape (samples, n)."""
    wave = np.linspace(*RANGE, samples)
    image = np.zeros((SIDE, SIDE))
    rows = np.arange(SIDE)

    def part(centre, sigma):
        edges = (rows[:, np.newaxis] + np.array([-0.5, 0.5]) - centre) / (math.sqrt(2) * sigma)
        low, high = (np.array([math.erf(v) for v in column]) for column in edges.T)
        return 0.5 * (high - low)

    values = spectrum(wave)
    for k in range(held.x.shape[1]):
        x, y, sigma = (
            np.interp(wave, held.wavelength_um, a[:, k]) for a in (held.x, held.y, held.sigma)
        )
        spots = slice(None, None, 3)
        high = np.stack([part(c, s) for c, s in zip(y[spots], sigma[spots], strict=True)])
        wide = np.stack([part(c, s) for c, s in zip(x[spots], sigma[spots], strict=True)])
        weight = values[spots, k] * (wave[3] - wave[0]) / WIDTH
        image += (high * weight[:, np.newaxis]).T @ wide
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def flat():
    """Traces, a frame of smooth spectra and their light at the channels."""
    held = traces()
    level = np.random.default_rng(1).uniform(0.3, 3, held.x.shape[1])

    def spectrum(wave):
        return (1000 + 400 * np.sin((wave - 0.95) * 9))[:, np.newaxis] * level

    return held, image_of(held, spectrum), spectrum(CHANNELS)


INNER = slice(2, -2)
GOOD = np.ones((SIDE, SIDE), bool)


@pytest.mark.parametrize("method", ["box", "optimal"])
def test_smooth_spectra_are_recovered(flat, method):
    held, frame, truth = flat
    extractor = TraceExtractor(held, CHANNELS, WIDTH, frame.shape, method)
    found, _ = extractor.extract(frame, np.ones_like(frame), GOOD)
    # A box takes the wings of its neighbours in.
    assert np.abs(found / truth - 1)[INNER].max() < (0.02 if method == "box" else 0.006)
    assert np.std((found / truth)[INNER]) < (0.004 if method == "box" else 0.001)


def test_least_squares_recovers_spectra_and_the_light_of_neighbours(flat):
    held, frame, truth = flat
    once, twice = (
        TemplateExtractor(held, CHANNELS, WIDTH, frame.shape, rounds=rounds).extract(
            frame, np.ones_like(frame), GOOD
        )[0]
        for rounds in (0, 2)
    )
    assert np.abs(twice / truth - 1)[INNER].max() < 0.01
    off = [np.std((found / truth)[INNER], axis=1).mean() for found in (once, twice)]
    assert off[1] < 0.5 * off[0]


@pytest.mark.parametrize("kind", ["box", "optimal", "templates"])
def test_stated_variances_are_those_of_the_noise(rng, kind):
    held = traces()
    variance = np.full((SIDE, SIDE), 25.0, np.float32)
    good = rng.random((SIDE, SIDE)) > 0.03
    if kind == "templates":
        extractor = TemplateExtractor(held, CHANNELS, WIDTH, variance.shape)
    else:
        extractor = TraceExtractor(held, CHANNELS, WIDTH, variance.shape, kind)
    ratio = []
    for _ in range(30):
        noise = rng.normal(scale=5.0, size=variance.shape).astype(np.float32)
        found, stated = extractor.extract(noise, variance, good)
        known = np.isfinite(found)
        ratio.append(np.mean(found[known] ** 2 / stated[known]))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


def test_bad_pixels_cost_signal_and_not_light(flat, rng):
    held, frame, truth = flat
    good = rng.random(frame.shape) > 0.03
    spoilt = np.where(good, frame, 1e7).astype(np.float32)
    for extractor in (
        TraceExtractor(held, CHANNELS, WIDTH, frame.shape),
        TemplateExtractor(held, CHANNELS, WIDTH, frame.shape),
    ):
        found, stated = extractor.extract(spoilt, np.ones_like(frame), good)
        known = np.isfinite(found)
        assert known.mean() > 0.98
        assert np.isinf(stated[~known]).all()
        assert np.std((found / truth)[INNER][known[INNER]]) < 0.02


def test_lenslets_without_any_pixel_have_no_light(flat):
    held, frame, _ = flat
    nothing = np.zeros(frame.shape, bool)
    for extractor in (
        TraceExtractor(held, CHANNELS, WIDTH, frame.shape),
        TemplateExtractor(held, CHANNELS, WIDTH, frame.shape),
    ):
        found, stated = extractor.extract(frame, np.ones_like(frame), nothing)
        assert np.isnan(found).all()
        assert np.isinf(stated).all()


def test_threads_change_nothing(flat):
    held, frame, _ = flat
    for extractor in (
        TraceExtractor(held, CHANNELS, WIDTH, frame.shape),
        TemplateExtractor(held, CHANNELS, WIDTH, frame.shape),
    ):
        alone = extractor.extract(frame, np.ones_like(frame), GOOD)
        with worker_threads(2):
            together = extractor.extract(frame, np.ones_like(frame), GOOD)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other)


def test_traces_that_are_none_are_refused(flat):
    held, frame, _ = flat
    with pytest.raises(KernelInputError, match="must rise"):
        Traces(held.wavelength_um, held.x, held.y[::-1], held.sigma)
    with pytest.raises(KernelInputError, match="shapes"):
        Traces(held.wavelength_um, held.x[:, :3], held.y, held.sigma)
    with pytest.raises(KernelInputError, match="channels of"):
        TraceExtractor(held, CHANNELS + 0.2, WIDTH, frame.shape)
    with pytest.raises(KernelInputError, match="channels of"):
        TemplateExtractor(held, CHANNELS + 0.2, WIDTH, frame.shape)
    extractor = TraceExtractor(held, CHANNELS, WIDTH, frame.shape)
    with pytest.raises(KernelInputError, match="mask of shape"):
        extractor.extract(frame, frame, GOOD[:10])


def halo():
    axis = np.arange(-20, 21.0)
    distance = np.hypot(axis, axis[:, np.newaxis])
    kernel = 1 / (1 + (distance / 0.40444) ** 3)
    kernel[19:22, 19:22] = 0
    return kernel


def test_scattered_light_is_taken_out_exactly_and_by_one_pass_to_first_order(rng):
    truth = np.zeros((200, 180), np.float32)
    for row, column in rng.integers(25, 155, size=(40, 2)):
        truth[row : row + 20, column] = rng.uniform(100, 1000)
    seen = truth.astype(np.float64)
    kernel = halo()
    for row, column in zip(*np.nonzero(truth), strict=True):
        top, left = max(row - 20, 0), max(column - 20, 0)
        part = kernel[top - row + 20 : 41, left - column + 20 : 41]
        part = part[: 200 - top, : 180 - left]
        seen[top : top + part.shape[0], left : left + part.shape[1]] += truth[row, column] * part
    seen = seen.astype(np.float32)
    inner = np.s_[20:-20, 20:-20]
    exact = CrosstalkCorrection(kernel, truth.shape).apply(seen)
    once = CrosstalkCorrection(kernel, truth.shape, "one-pass").apply(seen)
    assert np.abs(exact - truth)[inner].max() < 2e-3 * truth.max()
    # K * K is what one pass leaves.
    assert 0.005 < np.abs(once - truth)[inner].max() / truth.max() < 0.05
    assert np.abs(seen - truth)[inner].max() > 0.015 * truth.max()


def test_scatter_that_cannot_be_undone_is_refused():
    with pytest.raises(KernelInputError, match="odd square"):
        CrosstalkCorrection(np.zeros((4, 4)), (50, 50))
    kernel = np.zeros((3, 3))
    kernel[1, 0] = kernel[1, 2] = 0.5
    with pytest.raises(KernelInputError, match="cannot be inverted"):
        CrosstalkCorrection(kernel, (50, 50))
    correction = CrosstalkCorrection(halo(), (60, 60))
    with pytest.raises(KernelInputError, match="not finite"):
        correction.apply(np.full((60, 60), np.nan, np.float32))
    with pytest.raises(KernelInputError, match="shape"):
        correction.apply(np.zeros((50, 60), np.float32))


def lattice(reach=24):
    j, i = (a.ravel() for a in np.meshgrid(*(np.arange(-reach, reach + 1),) * 2, indexing="ij"))
    u, v = i + 0.5 * (j % 2 == 0), j * np.sqrt(3) / 2
    return 30.0 + u * np.sqrt(3), 30.0 + v * np.sqrt(3)


def test_hexagons_share_their_light_among_squares():
    x, y = lattice()
    grid = HexagonGrid(x, y, 60)
    coverage = grid.coverage()
    np.testing.assert_allclose(coverage, 1.0, atol=1e-5)
    image, _ = grid.image(np.ones((1, x.size), np.float32), np.ones((1, x.size), np.float32))
    np.testing.assert_allclose(image[0], 1 / HEXAGON_AREA, rtol=1e-5)
    one = np.zeros((1, x.size), np.float32)
    middle = np.argmin(np.hypot(x - 30, y - 30))
    one[0, middle] = 700.0
    alone, _ = grid.image(one, np.ones_like(one))
    assert alone.sum() == pytest.approx(700.0, rel=1e-5)
    rows, columns = np.indices(alone[0].shape)
    assert np.sum(alone[0] * columns) / 700 == pytest.approx(x[middle], abs=0.03)
    assert np.sum(alone[0] * rows) / 700 == pytest.approx(y[middle], abs=0.03)


def test_a_point_source_keeps_its_light_wherever_it_falls(rng):
    x, y = lattice()
    grid = HexagonGrid(x, y, 60)
    for _ in range(12):
        at = 30 + rng.uniform(-1, 1, size=2)
        # lambda/D of 3.2 px; light of each hexagon by samples within it.
        fine = rng.uniform(-1, 1, size=(400, 2))
        inside = (np.abs(fine[:, 0]) <= np.sqrt(3) / 2) & (
            np.abs(fine[:, 1]) + np.abs(fine[:, 0]) / np.sqrt(3) <= 1
        )
        fine = fine[inside]
        square = (x[:, None] + fine[:, 0] - at[0]) ** 2 + (y[:, None] + fine[:, 1] - at[1]) ** 2
        light = np.exp(-square / 2 / 1.6**2).mean(axis=1) * HEXAGON_AREA
        image, _ = grid.image(light[np.newaxis].astype(np.float32), np.ones((1, x.size)))
        assert image.sum() == pytest.approx(light.sum(), rel=1e-4)
        rows, columns = np.indices(image[0].shape)
        near = np.hypot(columns - at[0], rows - at[1]) <= 8
        assert image[0][near].sum() == pytest.approx(2 * np.pi * 1.6**2, rel=0.005)


def test_variance_of_apertures_knows_what_pixels_share(rng):
    x, y = lattice()
    grid = HexagonGrid(x, y, 60)
    variance = rng.uniform(1, 3, size=(1, x.size))
    rows, columns = np.indices((60, 60))
    aperture = (np.hypot(columns - 30.3, rows - 29.8) <= 2.0).astype(float)
    sums = []
    for _ in range(1500):
        noise = rng.normal(size=variance.shape) * np.sqrt(variance)
        image, stated = grid.image(noise.astype(np.float32), variance.astype(np.float32))
        sums.append(np.sum(image[0] * aperture))
    true = np.var(sums)
    assert grid.aperture_variance(aperture, variance)[0] == pytest.approx(true, rel=0.12)
    # Single pixels alone would tell too little.
    assert np.sum(stated[0] * aperture) < 0.6 * true


def test_lost_lenslets_are_made_up_for_or_leave_holes():
    x, y = lattice()
    grid = HexagonGrid(x, y, 60)
    values = np.ones((1, x.size), np.float32)
    middle = np.argmin(np.hypot(x - 30, y - 30))
    values[0, middle] = np.nan
    image, variance = grid.image(values, np.ones_like(values))
    hole = np.isnan(image[0])
    assert 1 <= hole.sum() <= 4
    assert np.isinf(variance[0][hole]).all()
    np.testing.assert_allclose(image[0][~hole], 1 / HEXAGON_AREA, rtol=1e-5)


def test_stretched_lattices_cover_the_field_too():
    x, y = lattice()
    grid = HexagonGrid((x - 30) * 1.0059 + 30, (y - 30) * 1.0011 + 30, 60, (1.0059, 1.0011))
    np.testing.assert_allclose(grid.coverage(), 1.0, atol=1e-4)
    with pytest.raises(KernelInputError, match="not finite"):
        HexagonGrid(x * np.nan, y, 60)
