"""Strehl ratio: of images whose wave front is known, and of a real star."""

import json

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.filters import Band, irdis_bands
from spheredc_hpc.instrument.waffle import lambda_over_d_px
from spheredc_hpc.level1.parts.photometry import cut_star
from spheredc_hpc.level1.parts.strehl import (
    Diffraction,
    StrehlSettings,
    carried,
    marechal,
    scale_errors,
    strehl_ratio,
)
from spheredc_hpc.level1.parts.zero_point import star_magnitudes

CONSTANTS = default_constants()


@pytest.fixture
def rng():
    return np.random.default_rng(74985)


SIZE, STRETCH, PUPIL = 260, 1.0062, 192


def wave_front(rng, rms, highest=12):
    """Phase of random waves of up to `highest` cycles over the pupil [rad]."""
    axis = (np.arange(PUPIL) - (PUPIL - 1) / 2) / PUPIL
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    pupil = (radius <= 0.5) & (radius >= 1.116 / 16)
    phase = np.zeros_like(x)
    for _ in range(60):
        k, turn, start = rng.uniform(1, highest), *rng.uniform(0, 2 * np.pi, size=2)
        phase += np.cos(2 * np.pi * k * (x * np.cos(turn) + y * np.sin(turn)) + start)
    phase -= phase[pupil].mean()
    return axis, pupil, phase * (rms / phase[pupil].std() if rms else 0.0)


def image_of(front, resolution_px, xy, fine=3):
    """Image on detector pixels, `fine` samples a pixel and axis; light 1."""
    axis, pupil, phase = front
    step = (np.arange(SIZE * fine) - (fine - 1) / 2) / fine
    u = (step - xy[0]) / resolution_px
    v = (step - xy[1]) * STRETCH / resolution_px
    wave = pupil * np.exp(1j * phase)
    rows = np.exp(-2j * np.pi * np.outer(v, axis))
    columns = np.exp(-2j * np.pi * np.outer(axis, u))
    field = rows @ wave @ columns
    power = np.abs(field) ** 2 * STRETCH / (pupil.sum() * PUPIL**2 * (resolution_px * fine) ** 2)
    return power.reshape(SIZE, fine, SIZE, fine).sum(axis=(1, 3))


def measured(image, band, xy):
    resolution = float(lambda_over_d_px(band.wavelength_um, CONSTANTS, arm="IRDIS"))
    narrow = Band(band.name, band.wavelength_um, 1e-4)
    ideal = Diffraction.of(narrow, resolution, 12.255, CONSTANTS, StrehlSettings())
    image = image.astype(np.float32)
    peak = cut_star(np.pad(image, 40, mode="edge"), (xy[0] + 40, xy[1] + 40), (1.0, STRETCH), 64)
    good = np.ones(image.shape, bool)
    return strehl_ratio(image, good, xy, (1.0, STRETCH), float(peak[32, 32]), ideal)


@pytest.mark.parametrize(
    ("filters", "xy"),
    [
        ("DB_Y23", (130.0, 130.0)),
        ("DB_H23", (130.5, 129.5)),
        ("DB_H23", (128.31, 131.77)),
        ("DB_K12", (129.75, 130.25)),
    ],
)
def test_an_undisturbed_image_has_a_ratio_of_one(filters, xy, rng):
    band = irdis_bands(filters, CONSTANTS)[0]
    resolution = float(lambda_over_d_px(band.wavelength_um, CONSTANTS, arm="IRDIS"))
    image = 3e5 * image_of(wave_front(rng, 0.0), resolution, xy)
    # Noise, and a background that nobody subtracted.
    image += rng.normal(scale=3.0, size=image.shape) + 0.5
    ratio, error = measured(image, band, xy)
    assert ratio == pytest.approx(1.0, abs=0.012)
    assert error < 0.05


@pytest.mark.parametrize("rms", [0.3, 0.6, 0.9])
def test_a_disturbed_wave_front_has_the_ratio_of_its_phases(rms, rng):
    band = irdis_bands("DB_H23", CONSTANTS)[0]
    resolution = float(lambda_over_d_px(band.wavelength_um, CONSTANTS, arm="IRDIS"))
    front = wave_front(rng, rms)
    _, pupil, phase = front
    truth = np.abs(np.exp(1j * phase[pupil]).mean()) ** 2
    assert truth == pytest.approx(np.exp(-(rms**2)), rel=0.15)
    ratio, error = measured(1e6 * image_of(front, resolution, (130.4, 129.8)), band, (130.4, 129.8))
    # What the waves throw out of the radius, and the level of the ring, go into the error.
    assert ratio == pytest.approx(truth, rel=0.03)
    assert abs(ratio - truth) < 3 * error + 0.01


def test_light_of_a_halo_beyond_the_radius_counts_and_background_does_not(rng):
    band = irdis_bands("DB_H23", CONSTANTS)[0]
    resolution = float(lambda_over_d_px(band.wavelength_um, CONSTANTS, arm="IRDIS"))
    xy = (129.7, 130.2)
    y, x = np.indices((SIZE, SIZE))
    square = (x - xy[0]) ** 2 + ((y - xy[1]) * STRETCH) ** 2
    # As the phases of the atmosphere make it: radius^(-11/3) beyond 40 px; light 1 over the plane.
    halo = STRETCH * (5 / 6) / (np.pi * 40.0**2) * (1 + square / 40.0**2) ** (-11 / 6)
    core = image_of(wave_front(rng, 0.0), resolution, xy)
    image = 1e6 * (0.8 * core + 0.2 * halo) + 3.0 + rng.normal(size=halo.shape)
    ratio, error = measured(image, band, xy)
    truth = 0.8 + 0.2 * halo.max() / core.max()
    assert ratio == pytest.approx(truth, abs=0.02)
    assert error < 0.03


def test_a_star_near_the_edge_is_measured_by_what_is_there_and_one_at_the_edge_not_at_all(rng):
    band = irdis_bands("DB_H23", CONSTANTS)[0]
    resolution = float(lambda_over_d_px(band.wavelength_um, CONSTANTS, arm="IRDIS"))
    image = 1e6 * image_of(wave_front(rng, 0.0), resolution, (40.0, 130.0))
    assert measured(image, band, (40.0, 130.0))[0] == pytest.approx(1.0, abs=0.012)
    beside = image[:, 32:]
    assert np.isnan(measured(beside, band, (8.0, 130.0))).all()


def test_a_real_star_against_its_telemetry(real_data):
    folder = real_data / "sphere-irdis-flux-hip74985"
    told = json.loads((folder / "telemetry.json").read_text())
    image = fits.getdata(folder / "psf.fits.gz").astype(np.float32)
    band = Band("K", told["spectrum"]["lambda"] * 1e6, told["spectrum"]["bandwidth"] * 1e6)
    scale = told["Detector"]["psInMas"]
    resolution = told["spectrum"]["lambda"] / 8.0 * 206264806.2 / scale
    ideal = Diffraction.of(band, resolution, scale, CONSTANTS, StrehlSettings())
    xy = (127.48, 127.52)  # of a fitted Gaussian
    peak = float(cut_star(image, xy, (1.0, 1.0), 64)[32, 32])
    ratio, error = strehl_ratio(image, np.ones(image.shape, bool), xy, (1.0, 1.0), peak, ideal)
    at_h = told["Strehl"]
    at_k = float(marechal(at_h, 1.6, band.wavelength_um))
    assert (at_h, at_k) == pytest.approx((0.704, 0.828), abs=0.001)
    assert ratio == pytest.approx(0.645, abs=0.01)
    assert error < 0.03
    # 0.18 below the telemetry: the telemetry sees neither the aberrations behind it, nor the
    # wider core (8 % in width) that stop, jitter and the sum of 1024 exposures make.
    assert at_k - ratio == pytest.approx(0.183, abs=0.01)


def test_conditions_of_flux_and_science_make_a_factor_in_every_band():
    bands = irdis_bands("DB_K12", CONSTANTS)
    found = carried(np.full(5, 0.6), np.array([0.8, 0.8, np.nan]), bands, CONSTANTS)
    assert (found["flux"], found["science"]) == (0.6, 0.8)
    k1 = bands[0].wavelength_um
    assert found["factor"][0] == pytest.approx((0.8 / 0.6) ** ((1.6 / k1) ** 2))
    assert found["factor"][0] > found["factor"][1] > 1
    nothing = carried(np.full(3, np.nan), np.full(3, 0.8), bands, CONSTANTS)
    assert nothing["factor"] is None
    quality = {"frames": 4, "change": 0.06, "flux_rms": [0.02, 0.04]}
    assert scale_errors(quality, nothing) == pytest.approx(
        [np.hypot(0.03, 0.01), np.hypot(0.03, 0.02)]
    )
    assert scale_errors(quality, found)[0] > found["factor"][0] - 1


def test_the_zero_point_gives_back_the_magnitude_of_a_star():
    bands = irdis_bands("DB_H23", CONSTANTS)
    # A star of 7.0 mag, counted by hand: 9.6e9 photons, 49.3 m2, 8 %, 1.75 e- per adu.
    rates = [
        9.6e9 * 10 ** (-0.4 * 7.0) * 49.3 * band.bandwidth_um * 0.08 / 1.75 * 0.1 for band in bands
    ]
    found = star_magnitudes(rates, (0.1, 0.1), bands, ("DB_H23", "IRDIS"), CONSTANTS)
    assert found["star_mag"] == pytest.approx([7.0, 7.0])
    assert 0.3 < found["zero_point_err_mag"][0] < 0.5
    assert (
        star_magnitudes([0.0, 1.0], (1, 1), bands, ("DB_H23", "IRDIS"), CONSTANTS)["star_mag"][0]
        is None
    )
