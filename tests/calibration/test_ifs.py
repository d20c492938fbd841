"""Calibrations of the spectrograph against places, widths and transmissions that were put in."""

from types import SimpleNamespace

import numpy as np
import pytest

from spheredc_hpc.calibration.ifs_det_flat import DetectorFlatSettings, ifs_det_flat
from spheredc_hpc.calibration.ifs_ifu_flat import LensletFlatSettings, ifs_ifu_flat
from spheredc_hpc.calibration.ifs_specpos import SpecposSettings, ifs_specpos
from spheredc_hpc.calibration.ifs_wave import WaveSettings, ifs_wave
from spheredc_hpc.calibration.io import CalibrationInputs
from spheredc_hpc.calibration.lenslet_solution import SpectralSolution
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.lenslets import (
    Dispersion,
    Placement,
    channel_wavelengths_um,
    crosstalk_kernel,
    lit_lenslets,
    spot_sigma_px,
)
from spheredc_hpc.kernels.columns import filled_along_columns
from spheredc_hpc.kernels.moments import spot_moments
from spheredc_hpc.simulate.ifs.spectra import Scatter, deposit

CONSTANTS = default_constants()
SIDE = 2048
WIDER = 1.06
NIGHT = Placement(2.37, -3.61, 0.02, 1.0002)


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(4)


def spots(prism, placement, waves, light, throughput=None):
    """Detector frame of lenslets that send `light` at each wavelength [adu], and scatter."""
    dispersion = Dispersion.of(prism)
    lenslets = lit_lenslets(dispersion, margin_px=-20)
    x, y = dispersion.at(lenslets, waves, placement)
    flux = np.repeat(np.asarray(light, float)[:, np.newaxis], len(lenslets), axis=1)
    if throughput is not None:
        flux = flux * throughput
    sigma = np.repeat(WIDER * spot_sigma_px(waves)[:, np.newaxis], len(lenslets), axis=1)
    plane = np.zeros((SIDE, SIDE), np.float32)
    deposit(plane, x, y, np.ascontiguousarray(flux), np.ascontiguousarray(sigma))
    Scatter(crosstalk_kernel(), 1.0).add_to(plane)
    return plane


def noisy(rng, plane, bad=0.005):
    """Photon and read noise, a background of 13 adu, bad pixels."""
    seen = plane + 13 + rng.normal(size=plane.shape) * np.sqrt(plane / 1.8 + 12)
    hot = rng.random(plane.shape) < bad
    return np.where(hot, 5000, seen).astype(np.float32), hot


def run(calibration, settings, planes, dark, setup="OBS_YJ", dits=(1.65,), **upstream):
    """Run a calibration on made-up files, one a list of planes."""
    held = dict(zip(map(str, range(len(planes))), zip(planes, dits, strict=True), strict=True))

    def read(ref):
        stack, dit = held[ref.archive_id]
        return {"ESO DET SEQ1 DIT": dit}, np.stack(stack)

    frames = tuple(SimpleNamespace(archive_id=name, dit_s=dit) for name, (_, dit) in held.items())
    job = SimpleNamespace(setup={"arm": "IFS", "filter": setup}, frames=frames)
    if dark is not None:
        variance = np.full(dark.shape, 2.0, np.float32)
        upstream["background"] = {"MEAN": dark, "VARIANCE": variance}
    return calibration(job, CalibrationInputs(read, CONSTANTS, upstream), settings)


def trace_errors(prism, images, placement):
    """Distances of the solution from the truth across and along [px], and along in nm."""
    solution = SpectralSolution.read(prism, images)
    dispersion = Dispersion.of(prism)
    lenslets = lit_lenslets(dispersion, margin_px=6)
    waves = channel_wavelengths_um(prism)
    x, y, sigma = solution.at(lenslets, waves, CONSTANTS)
    true_x, true_y = dispersion.at(lenslets, waves, placement)
    nm = (y - true_y) / np.gradient(true_y, waves * 1e3, axis=0)
    width = sigma / (WIDER * spot_sigma_px(waves)[:, np.newaxis])
    return np.abs(x - true_x).max(), np.abs(y - true_y).max(), np.abs(nm).max(), width


@pytest.mark.parametrize(("prism", "setup"), [("YJ", "OBS_YJ"), ("YH", "OBS_H")])
def test_lasers_give_places_wavelengths_and_widths(rng, prism, setup):
    lasers = Dispersion.of(prism).laser_um
    plane, hot = noisy(rng, spots(prism, NIGHT, lasers, [9000.0] * len(lasers)))
    dark = np.where(hot, 5000, 13).astype(np.float32)
    found = run(ifs_wave, WaveSettings(), [[plane]], dark, setup)
    assert not found.rejected
    assert found.flags == ()
    across, along, nm, width = trace_errors(prism, found.images, NIGHT)
    # 0.1 px, and 1 nm in Y-J and 2 nm in Y-H are asked for.
    assert across < 0.02
    assert along < 0.02
    assert nm < 0.3
    np.testing.assert_allclose(width, 1.0, atol=0.03)
    assert found.quality["placement"]["dx_px"] == pytest.approx(NIGHT.dx_px, abs=0.02)


@pytest.mark.parametrize("dead", [0, 3])
def test_a_dead_laser_is_told_and_the_others_hold_the_wavelengths(rng, dead):
    lasers = Dispersion.of("YH").laser_um
    light = np.full(4, 9000.0)
    light[dead] = 0.0
    plane, hot = noisy(rng, spots("YH", NIGHT, lasers, light))
    dark = np.where(hot, 5000, 13).astype(np.float32)
    found = run(ifs_wave, WaveSettings(), [[plane]], dark, "OBS_H")
    assert f"{lasers[dead]:.4f} um" in dict(found.flags)["WAVE_LASER_MISSING"]
    assert found.quality["lasers_dark_um"] == [pytest.approx(lasers[dead])]
    across, _, nm, _ = trace_errors("YH", found.images, NIGHT)
    assert across < 0.05
    assert nm < 2.0


def test_frames_without_lasers_are_no_wavelength_calibration(rng):
    plane, _ = noisy(rng, np.zeros((SIDE, SIDE), np.float32))
    dark = np.full((SIDE, SIDE), 13, np.float32)
    found = run(ifs_wave, WaveSettings(), [[plane]], dark)
    assert "no pattern of laser spots" in found.rejected[0]
    one = [9000.0, 0.0, 0.0]
    plane, _ = noisy(rng, spots("YJ", NIGHT, Dispersion.of("YJ").laser_um, one), bad=0)
    found = run(ifs_wave, WaveSettings(), [[plane]], dark)
    assert found.rejected
    with pytest.raises(DataError, match="IFS setup"):
        run(ifs_wave, WaveSettings(), [[plane]], dark, setup="")


@pytest.fixture(scope="module")
def lamp():
    """Frame of a smooth lamp in Y-J, and the transmission of its lenslets."""
    dispersion = Dispersion.of("YJ")
    low, high = dispersion.range_um
    waves = np.linspace(low, high, 90)
    light = 60000.0 / len(waves) * (1 + 0.3 * np.sin((waves - low) * 6))
    lenslets = lit_lenslets(dispersion, margin_px=-20)
    throughput = 1 + 0.012 * np.random.default_rng(8).normal(size=len(lenslets))
    passed = dict(zip(zip(lenslets.i, lenslets.j, strict=True), throughput, strict=True))
    return spots("YJ", NIGHT, waves, light, throughput), passed


def test_positions_of_spectra_are_found(rng, lamp):
    plane, hot = noisy(rng, lamp[0])
    dark = np.where(hot, 5000, 13).astype(np.float32)
    found = run(ifs_specpos, SpecposSettings(), [[plane]], dark)
    assert not found.rejected
    across, along, _, _ = trace_errors("YJ", found.images, NIGHT)
    assert across < 0.05
    assert along < 0.4
    assert found.quality["spectra"] > 18000
    nothing, _ = noisy(rng, np.zeros((SIDE, SIDE), np.float32))
    assert "no spectra" in run(ifs_specpos, SpecposSettings(), [[nothing]], dark).rejected[0]


def test_transmission_of_lenslets_is_found(rng, lamp):
    plane, hot = noisy(rng, lamp[0])
    dark = np.where(hot, 5000, 13).astype(np.float32)
    placed = SpectralSolution.placed("YJ", NIGHT).images()
    found = run(ifs_ifu_flat, LensletFlatSettings(), [[plane]], dark, wave=placed)
    assert not found.rejected
    throughput, error = found.images["THROUGHPUT"]
    i, j = found.images["LENSLETS"]
    truth = np.array([lamp[1][pair] for pair in zip(i, j, strict=True)])
    known = np.isfinite(throughput)
    assert known.mean() > 0.995
    off = (throughput / truth)[known]
    off = off / np.median(off) - 1
    assert 1.4826 * np.median(np.abs(off)) < 0.006
    assert np.nanmedian(error) < 0.005
    bare = run(ifs_ifu_flat, LensletFlatSettings(), [[plane]], dark)
    assert "SPECPOS_MISSING" in dict(bare.flags)


def test_detector_flats_are_the_response_of_the_pixels(rng):
    response = (1 + 0.01 * rng.normal(size=(SIDE, SIDE))).astype(np.float32)
    dead = rng.random((SIDE, SIDE)) < 1e-3
    response[dead] = 0.2
    y, x = np.indices(response.shape)
    lit = 1 + 0.1 * (x / SIDE - 0.5)
    corner = np.hypot(x, y) < 200
    lit = np.where(corner, 0.02, lit)
    levels = [
        [
            (
                t * 3000 * lit * response
                + 20
                + rng.normal(scale=3 + np.sqrt(t * 1600), size=lit.shape)
            ).astype(np.float32)
        ]
        for t in (2.0, 4.0)
    ]
    found = run(ifs_det_flat, DetectorFlatSettings(), levels, None, "CAL_BB_2_YJ", (2.0, 4.0))
    flat, error = found.images["FLAT"], found.images["ERROR"]
    inner = np.s_[300:, 300:]
    assert np.isnan(flat[inner][dead[inner]]).mean() > 0.99
    good = ~dead[inner] & np.isfinite(flat[inner])
    assert good.mean() > 0.99
    off = (flat[inner] - response[inner])[good]
    assert np.std(off) == pytest.approx(np.median(error[inner][good]), rel=0.35)
    np.testing.assert_array_equal(flat[:60, :60], 1.0)
    single = run(ifs_det_flat, DetectorFlatSettings(), levels[1:], None, "CAL_BB_2_YJ", (4.0,))
    assert "FLAT_FEW_LEVELS" in dict(single.flags)


def test_moments_follow_spots(rng):
    image = np.zeros((120, 120), np.float32)
    x, y = rng.uniform(20, 100, size=(2, 6))
    x, y = np.round(x / 16) * 16 + 0.3, np.round(y / 16) * 16 - 0.2
    sigma = np.full((1, 6), 0.8)
    deposit(image, x[np.newaxis], y[np.newaxis], np.full((1, 6), 5000.0), sigma)
    good = np.ones(image.shape, bool)
    found = spot_moments(image, good, x + 0.6, y - 0.5, 0.85)
    unique = np.unique(np.stack([x, y]), axis=1).shape[1] == 6
    np.testing.assert_allclose(found[0], x, atol=0.01)
    np.testing.assert_allclose(found[1], y, atol=0.01)
    if unique:
        np.testing.assert_allclose(found[2], 0.8, atol=0.02)
        np.testing.assert_allclose(found[3], 5000, rtol=0.03)
    good[round(y[0]), round(x[0])] = False
    assert np.isnan(spot_moments(image, good, x, y, 0.85)[0][0])
    assert np.isnan(spot_moments(image, good, x[:1] + 40, y[:1], 0.85)).all()


def test_bad_pixels_are_bridged_along_columns():
    image = np.repeat(np.arange(40.0, dtype=np.float32)[:, np.newaxis], 5, axis=1)
    good = np.ones(image.shape, bool)
    good[10:14, 2] = good[0, 1] = False
    good[:, 4] = False
    spoilt = np.where(good, image, 1e6).astype(np.float32)
    made, filled = filled_along_columns(spoilt, good)
    np.testing.assert_allclose(made[:, 2], image[:, 2])
    assert made[0, 1] == 1.0
    assert not filled[:, 4].any()
    assert not made[:, 4].any()
    assert filled[:, :4].all()
