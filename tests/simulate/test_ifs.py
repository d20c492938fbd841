"""Raw frames of the spectrograph: light, places and signs against what is known by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.catalog.plan import plan
from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.config import parse
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.filters import irdis_bands
from spheredc_hpc.instrument.lenslets import Dispersion, Lenslets, Placement, crosstalk_kernel
from spheredc_hpc.model.association import Association
from spheredc_hpc.simulate import load_scenario
from spheredc_hpc.simulate.ifs.light import IfsIntegration, sky_light
from spheredc_hpc.simulate.ifs.night import prepare_ifs, simulate_ifs
from spheredc_hpc.simulate.ifs.optics import (
    STEP_U,
    STEP_V,
    LensletField,
    LensletOptics,
    hexagon_weights,
    smeared,
)
from spheredc_hpc.simulate.ifs.settings import IfsSettings
from spheredc_hpc.simulate.ifs.spectra import Scatter, deposit
from spheredc_hpc.simulate.ifs.timeline import plan_ifs_files
from spheredc_hpc.simulate.optics import Aberrations, Telescope
from spheredc_hpc.simulate.pupil import PUPIL_PX, pupil_axis
from spheredc_hpc.simulate.timeline import plan_files
from spheredc_hpc.store.codec import read_record

CONSTANTS = default_constants()
QUIET = {"effects": {"speckles": False, "noise": False, "detector": False, "motion": False}}
SHORT = {
    "object": {"ndit": 1},
    "center": {"dit_s": 32.0, "ndit": 1},
    "flux": {"dit_s": 4.0, "ndit": 1},
    "sky": {"ndit": 1},
    "calibrations": {
        "dark_ndit": 1,
        "background_ndit": 1,
        "specpos_ndit": 1,
        "wave_ndit": 1,
        "ifu_flat_ndit": 1,
        "det_flat_ndit": 1,
    },
}


def test_spots_keep_their_light_and_place():
    plane = np.zeros((60, 50), np.float32)
    x, y = np.array([[20.3], [31.9]]), np.array([[25.8], [40.1]])
    deposit(plane, x, y, np.array([[1000.0], [500.0]]), np.full((2, 1), 0.75))
    assert plane.sum() == pytest.approx(1500.0, rel=1e-5)
    one = plane[:33, :27]
    rows, columns = np.indices(one.shape)
    assert np.sum(one * columns) / one.sum() == pytest.approx(20.3, abs=1e-3)
    assert np.sum(one * rows) / one.sum() == pytest.approx(25.8, abs=1e-3)
    # Width of the Gaussian and of the pixel.
    variance = np.sum(one * (columns - 20.3) ** 2) / one.sum()
    assert variance == pytest.approx(0.75**2 + 1 / 12, rel=0.01)
    edge = np.zeros((10, 10), np.float32)
    deposit(edge, np.array([[-0.5]]), np.array([[5.0]]), np.ones((1, 1)), np.ones((1, 1)))
    assert edge.sum() == pytest.approx(0.5, abs=0.01)


def test_scattered_light_is_that_of_the_kernel():
    plane = np.zeros((2048, 2048), np.float32)
    plane[1000, 700] = 1000.0
    Scatter(crosstalk_kernel(), 0.5).add_to(plane)
    kernel = 500.0 * crosstalk_kernel()
    kernel[20, 20] += 1000.0
    np.testing.assert_allclose(plane[980:1021, 680:721], kernel, atol=2e-3)


def test_hexagons_cover_the_field_once():
    weights = hexagon_weights()
    area = sum(share for *_, share in weights) * STEP_U * STEP_V
    assert area == pytest.approx(np.sqrt(3) / 2, rel=2e-3)
    assert {(r, c): s for r, c, s in weights}[0, 0] == 1.0


def optics_of(companions=(), **changes):
    scenario = load_scenario("first-light-small").revise({**QUIET, **changes})
    field = LensletField.around(Lenslets.within(40), CONSTANTS)
    telescope = Telescope(scenario, irdis_bands("DB_H23", CONSTANTS), CONSTANTS, 58192.0)
    return field, LensletOptics(telescope, field, "N_NS_CLEAR", CONSTANTS, 100.48)


def test_a_star_puts_its_light_where_it_stands():
    field, optics = optics_of(coronagraph="N_NS_CLEAR")
    calm = Aberrations((np.zeros(1), np.zeros(1)), 0.0, 1e3, 1e3)
    path = np.zeros((1, PUPIL_PX, PUPIL_PX), np.float32)
    star = optics.star(1.2, (60.0, -35.0), calm, path, 0.0)
    light = field.collect(star.beside)
    assert light.sum() == pytest.approx(0.975, abs=0.015)
    assert star.strehl == pytest.approx(1.0)
    dx, dy = field.dx_mas[field.column], field.dy_mas[field.row]
    near = np.hypot(dx - 60, dy + 35) < 40
    assert np.sum(light[near] * dx[near]) / light[near].sum() == pytest.approx(60.0, abs=0.7)
    assert np.sum(light[near] * dy[near]) / light[near].sum() == pytest.approx(-35.0, abs=0.7)
    moved = field.collect(smeared(star.beside, np.array([2.0]), np.array([-3.0])))
    at = np.argmax(moved)
    step_x, step_y = np.diff(field.dx_mas[:2])[0], np.diff(field.dy_mas[:2])[0]
    assert dx[at] == pytest.approx(60.0 - 3 * step_x, abs=8)
    assert dy[at] == pytest.approx(-35.0 + 2 * step_y, abs=8)


def test_the_pupil_is_turned_counter_clockwise_on_the_lenslets():
    # A tilt that moves the star along +y on IRDIS moves it at 100.48 deg from +y towards -x here.
    field, optics = optics_of(coronagraph="N_NS_CLEAR")
    calm = Aberrations((np.zeros(1), np.zeros(1)), 0.0, 1e3, 1e3)
    axis = pupil_axis().astype(np.float32)
    # 200 mas over an aperture of 8 m.
    tilt = np.float32(200 / 206264806.2 * 8.0 * 1e9) * axis[:, None] * np.ones_like(axis)
    upright = optics.star(1.2, (0.0, 0.0), calm, tilt[np.newaxis], 0.0)
    row, column = np.unravel_index(np.argmax(upright.beside), upright.beside.shape)
    assert abs(field.dx_mas[column]) < 10
    assert abs(abs(field.dy_mas[row]) - 200) < 10
    sign = np.sign(field.dy_mas[row])
    turned = optics.star(1.2, (0.0, 0.0), calm, optics.turned(tilt[np.newaxis]), 0.0)
    row, column = np.unravel_index(np.argmax(turned.beside), turned.beside.shape)
    angle = np.radians(100.48)
    assert field.dx_mas[column] == pytest.approx(-sign * 200 * np.sin(angle), abs=12)
    assert field.dy_mas[row] == pytest.approx(sign * 200 * np.cos(angle), abs=12)


def test_files_run_beside_those_of_irdis_and_calibrations_follow():
    scenario = load_scenario("first-light-small")
    irdis = plan_files(scenario, CONSTANTS)
    files = plan_ifs_files(irdis, IfsSettings(setup="OBS_H"), scenario.date, CONSTANTS)
    on_sky = [file for file in files if file.on_sky]
    assert [f.kind for f in on_sky] == [f.kind for f in irdis if f.on_sky]
    for ours, theirs in zip(on_sky, (f for f in irdis if f.on_sky), strict=True):
        assert 0 < ours.start_mjd - theirs.start_mjd < 1 / 86400
    flats = {file.setup for file in files if file.kind == "DET_FLAT"}
    assert flats == {f"CAL_{n}_YJH" for n in ("BB_2", "NB1_1", "NB2_1", "NB3_1", "NB4_2")}
    darks = {file.dit_s for file in files if file.kind == "DARK"}
    assert darks >= {file.dit_s for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["OBS_H"])
def test_a_night_is_classified_associated_and_lies_where_the_truth_says(tmp_path, setup):
    scenario = load_scenario("first-light-small")
    settings = IfsSettings.model_validate({**SHORT, "setup": setup})
    truth = simulate_ifs(scenario, settings, tmp_path / "raw", threads=2)
    assert truth == json.loads((tmp_path / "raw" / "truth_ifs.json").read_text())
    by_kind = {entry["kind"]: entry for entry in truth["files"]}

    config = parse({})
    scan([tmp_path / "raw"], tmp_path / "root", config)
    plan(tmp_path / "root", "ifs", config, [tmp_path / "raw"])
    (path,) = (tmp_path / "root" / "plan" / "ifs" / "associations").glob("*.json")
    association = read_record(Association, path)
    assert association.observation.key.arm == "IFS"
    # Telemetry is written beside IRDIS.
    assert {missing.role for missing in association.missing} == {"SPARTA"}
    assert {use.tier for use in association.calibrations} == {"nominal"}

    # Laser lines where the dispersion and the placement of the night put them.
    wave = by_kind["WAVE"]
    plane = fits.getdata(tmp_path / "raw" / wave["file"])[0]
    dispersion = Dispersion.of(truth["prism"])
    middle = Lenslets.within(30)
    x, y = dispersion.at(middle, dispersion.laser_um[1:2], Placement(**wave["placement"][0]))
    off, level = [], np.median(plane)
    for column, row in zip(x[0], y[0], strict=True):
        c, r = round(column), round(row)
        cut = plane[r - 2 : r + 3, c - 2 : c + 3] - level
        rows, columns = np.indices(cut.shape)
        off.append(
            (
                np.sum(cut * columns) / cut.sum() - 2 + c - column,
                np.sum(cut * rows) / cut.sum() - 2 + r - row,
            )
        )
    assert np.abs(np.median(off, axis=0)).max() < 0.03

    # The lamp: whole light of a spectrum, and the average level that ESO asks for.
    lamp = fits.getdata(tmp_path / "raw" / by_kind["SPECPOS"]["file"])[0]
    assert 400 < np.mean(lamp) < 1300


def test_companions_stand_by_hand_where_the_truth_has_them():
    scenario = load_scenario("first-light-small").revise(
        {
            **QUIET,
            "companions": [
                {
                    "name": "b",
                    "separation_mas": 500.0,
                    "position_angle_deg": 30.0,
                    "contrast": [1e-2, 1e-2],
                }
            ],
        }
    )
    settings = IfsSettings.model_validate({**SHORT, "spectrograph": {"nodes": 4}})
    night, _ = prepare_ifs(scenario, settings)
    file = next(f for f in night.files if f.kind == "OBJECT")
    turn = float(night.sky[file.index].derotation_deg[0].mean())
    # Parallactic angle + 135.99 - 100.48 - 1.75.
    parang = float(night.sky[file.index].parang_deg[0].mean())
    assert turn - parang == pytest.approx(33.76)
    truth = IfsIntegration()
    _, light = sky_light(night, file, 0, truth)
    expected = (-500 * np.sin(np.radians(30 - turn)), 500 * np.cos(np.radians(30 - turn)))
    assert truth.companions["b"]["offset_mas"] == pytest.approx(expected, abs=2.0)
    star = np.array(truth.star_mas[0])
    field = night.field
    dx, dy = field.dx_mas[field.column] - star[0], field.dy_mas[field.row] - star[1]
    near = np.hypot(dx - expected[0], dy - expected[1]) < 30
    brightest = np.flatnonzero(near)[np.argmax(light[1][near])]
    away = np.hypot(dx - expected[0], dy - expected[1])[brightest]
    assert away < 13
