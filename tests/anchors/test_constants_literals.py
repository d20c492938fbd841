"""Typed literals of the instrument: a constant changed in one place only fails here.

Neither the simulator nor Level 1 is imported; both take their numbers from `instrument`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from spheredc_hpc.instrument import coronagraphs, detectors, filters, headers, site, waffle
from spheredc_hpc.instrument.constants import default_constants


@pytest.mark.parametrize(
    ("name", "selector", "value"),
    [
        ("pupil_offset_deg", {}, 135.99),
        ("true_north_deg", {"arm": "IRDIS"}, -1.75),
        ("true_north_deg", {"arm": "IFS"}, -1.75),
        ("instrument_offset_deg", {"arm": "IRDIS"}, 0.0),
        ("instrument_offset_deg", {"arm": "IFS"}, -100.48),
        ("anamorphism_x", {"arm": "IRDIS"}, 1.0),
        ("anamorphism_y", {"arm": "IRDIS"}, 1.0062),
        ("anamorphism_x", {"arm": "IFS"}, 1.0059),
        ("anamorphism_y", {"arm": "IFS"}, 1.0011),
        ("derotator_fix_mjd", {}, 57581.0),
        ("derotator_eps_limit_deg", {}, 0.5),
        ("half_wave_plate_zero_deg", {}, 152.15),
        ("waffle_radius_lambda_over_d", {}, 13.72),
        ("telescope_diameter_m", {}, 8.0),
        ("telescope_obscuration_m", {}, 1.116),
        ("telescope_spider_width_m", {}, 0.05),
        ("telescope_spider_count", {}, 4),
        ("telescope_area_m2", {}, 49.3),
        ("telemetry_strehl_wavelength_um", {}, 1.6),
        ("pixel_pitch_um", {"arm": "IRDIS"}, 18.0),
        ("pixel_pitch_um", {"arm": "IFS"}, 18.0),
        ("dit_delay_s", {"arm": "IRDIS"}, 0.2),
        ("dit_delay_s", {"arm": "IFS"}, 0.2),
        ("detector_overhead_s", {"arm": "IRDIS"}, 0.938),
        ("detector_overhead_s", {"arm": "IFS"}, 1.91),
        ("file_overhead_s", {"arm": "IRDIS"}, 2.4),
        ("file_overhead_s", {"arm": "IFS"}, 2.7),
        ("min_dit_s", {"arm": "IRDIS"}, 0.8375),
        ("detector_gain_e_per_adu", {"arm": "IRDIS"}, 1.75),
        ("detector_gain_e_per_adu", {"arm": "IFS"}, 1.80),
        ("detector_read_noise_e", {"arm": "IRDIS"}, 4.4),
        ("detector_read_noise_e", {"arm": "IFS"}, 6.0),
        ("linear_limit_adu", {"arm": "IRDIS"}, 20000),
        ("saturation_adu", {"arm": "IRDIS"}, 35000),
        ("linear_limit_adu", {"arm": "IFS"}, 40000),
        ("saturation_adu", {"arm": "IFS"}, 60000),
        ("system_throughput", {"arm": "IRDIS"}, 0.08),
        ("photon_rate_zero_mag", {"band": "H2"}, 9.6e9),
        ("photon_rate_zero_mag", {"band": "BB_H"}, 9.6e9),
        ("photon_rate_zero_mag", {"band": "K1"}, 4.6e9),
        ("photon_rate_zero_mag", {"band": "J3"}, 1.94e10),
        ("photon_rate_zero_mag", {"band": "Y2"}, 2.6e10),
        ("laser_wavelength_um", {"laser": 1}, 0.98772),
        ("laser_wavelength_um", {"laser": 2}, 1.12371),
        ("laser_wavelength_um", {"laser": 3}, 1.30937),
        ("laser_wavelength_um", {"laser": 4}, 1.54507),
        ("ao_control_radius_lambda_over_d", {}, 20.0),
        ("pinhole_pitch_px", {"arm": "IRDIS"}, 13.963),
    ],
)
def test_constant_is_the_published_number(name, selector, value):
    assert default_constants().value(name, **selector) == value


@pytest.mark.parametrize(
    ("band", "scale"),
    [
        *(("Y2", 12.287), ("Y3", 12.283), ("J2", 12.266), ("J3", 12.261)),
        *(("H2", 12.255), ("H3", 12.250), ("K1", 12.267), ("K2", 12.263)),
        *(("BB_Y", 12.283), ("BB_J", 12.263), ("BB_H", 12.251), ("BB_Ks", 12.265)),
        ("H4", 12.250),
    ],
)
def test_pixel_scale_of_each_irdis_band(band, scale):
    assert default_constants().value("pixel_scale_mas", arm="IRDIS", band=band) == scale


def test_pixel_scale_of_the_other_arms():
    assert default_constants().value("pixel_scale_mas", arm="IFS") == 7.46
    assert default_constants().value("pixel_scale_mas", arm="ZIMPOL") == 3.6


@pytest.mark.parametrize(
    ("band", "nd_1", "nd_2", "nd_35"),
    [
        ("BB_Y", 9.29e-2, 7.96e-3, 2.84e-4),
        ("BB_J", 6.26e-2, 3.36e-3, 6.03e-5),
        ("BB_H", 1.26e-1, 1.50e-2, 8.46e-4),
        ("BB_Ks", 1.45e-1, 2.24e-2, 1.43e-3),
        ("Y2", 9.93e-2, 8.83e-3, 3.12e-4),
        ("Y3", 7.78e-2, 5.32e-3, 1.32e-4),
        ("J2", 6.14e-2, 3.22e-3, 5.64e-5),
        ("J3", 6.10e-2, 3.18e-3, 5.48e-5),
        ("H2", 1.16e-1, 1.23e-2, 5.56e-4),
        ("H3", 1.40e-1, 1.79e-2, 1.06e-3),
        ("H4", 1.56e-1, 2.26e-2, 1.57e-3),
        ("K1", 1.48e-1, 2.21e-2, 1.39e-3),
        ("K2", 1.40e-1, 2.21e-2, 1.44e-3),
    ],
)
def test_neutral_density_of_each_band(band, nd_1, nd_2, nd_35):
    assert filters.nd_transmission("ND_1.0", band) == nd_1
    assert filters.nd_transmission("ND_2.0", band) == nd_2
    assert filters.nd_transmission("ND_3.5", band) == nd_35
    assert filters.nd_transmission("OPEN", band) == 1.0


@pytest.mark.parametrize(
    ("combination", "wavelengths_nm", "widths_nm"),
    [
        ("DB_Y23", (1022, 1076), (49, 50)),
        ("DB_J23", (1190, 1273), (42, 46)),
        ("DB_H23", (1593, 1667), (52, 54)),
        ("DB_H32", (1667, 1593), (54, 52)),
        ("DB_NDH23", (1593, 1667), (52, 54)),
        ("DB_H34", (1667, 1733), (54, 57)),
        ("DB_K12", (2110, 2251), (102, 109)),
        ("BB_Y", (1043, 1043), (140, 140)),
        ("BB_J", (1245, 1245), (240, 240)),
        ("BB_H", (1625, 1625), (290, 290)),
        ("BB_Ks", (2182, 2182), (300, 300)),
        ("NB_HeI", (1085, 1085), (14, 14)),
        ("NB_CntJ", (1213, 1213), (17, 17)),
        ("NB_PaB", (1283, 1283), (18, 18)),
        ("NB_CntH", (1573, 1573), (23, 23)),
        ("NB_FeII", (1642, 1642), (24, 24)),
        ("NB_CntK1", (2091, 2091), (34, 34)),
        ("NB_H2", (2124, 2124), (31, 31)),
        ("NB_BrG", (2170, 2170), (31, 31)),
        ("NB_CntK2", (2266, 2266), (32, 32)),
        ("NB_CO", (2290, 2290), (33, 33)),
    ],
)
def test_wavelengths_of_each_filter(combination, wavelengths_nm, widths_nm):
    bands = filters.irdis_bands(combination)
    assert [round(band.wavelength_um * 1000, 6) for band in bands] == list(wavelengths_nm)
    assert [round(band.bandwidth_um * 1000, 6) for band in bands] == list(widths_nm)


@pytest.mark.parametrize(
    ("wavelength_um", "radius_px"),
    [
        *((1.593, 46.0), (1.667, 48.1), (1.733, 50.0), (1.190, 34.4), (1.273, 36.8)),
        *((1.022, 29.5), (1.076, 31.1), (2.110, 60.9), (2.251, 65.0)),
        *((1.625, 46.9), (2.182, 63.0), (1.245, 36.0), (1.043, 30.1)),
    ],
)
def test_spot_radius_with_the_mean_irdis_scale(wavelength_um, radius_px):
    assert round(float(waffle.spot_radius_px(wavelength_um)), 1) == radius_px


@pytest.mark.parametrize(
    ("wavelength_um", "radius_px"), [(0.957, 45.4), (1.2, 56.9), (1.346, 63.8), (1.635, 77.5)]
)
def test_spot_radius_in_ifs_cubes(wavelength_um, radius_px):
    radius = float(waffle.spot_radius_px(wavelength_um, arm="IFS"))
    assert radius == pytest.approx(radius_px, abs=0.06)


def test_spot_directions_on_the_irdis_detector():
    np.testing.assert_allclose(waffle.spot_angles_deg("+"), [0, 90, 180, 270])
    np.testing.assert_allclose(waffle.spot_angles_deg("x"), [45, 135, 225, 315])


def test_spot_directions_in_ifs_cubes_are_those_of_the_published_spots():
    published = math.degrees(math.atan2(181 - 103, 171 - 117))  # (117,103) to (171,181)
    angles = waffle.spot_angles_deg("x", arm="IFS")
    assert np.min(np.abs(angles - published)) < 0.5


@pytest.mark.parametrize(
    ("pac_um", "shift_px"),
    [((18.0, 0.0), (1.0, 0.0)), ((0.0, -36.0), (0.0, -2.0)), ((-36.083, -35.869), (-2.0, -2.0))],
)
def test_dither_moves_the_star_along_with_the_stage(pac_um, shift_px):
    # The last case is a real header: it asks for a dither of (-2, -2) px.
    assert detectors.dither_offset_px(*pac_um) == pytest.approx(shift_px, abs=0.01)


def test_declination_between_minus_one_and_zero_keeps_its_sign():
    assert headers.unpack_dms_deg(-3000.0) == -0.5
    assert headers.pack_dms(-0.5) == -3000.0


@pytest.mark.parametrize(
    ("arm", "separation_mas", "transmission"),
    [
        *(("IRDIS", 0, 0.004), ("IRDIS", 60, 0.050), ("IRDIS", 92, 0.361), ("IRDIS", 100, 0.524)),
        *(("IRDIS", 120, 0.829), ("IRDIS", 160, 0.957), ("IRDIS", 1000, 0.996)),
        *(("IFS", 0, 0.006), ("IFS", 92, 0.443), ("IFS", 120, 0.874), ("IFS", 1000, 0.999)),
    ],
)
def test_transmission_beside_the_apodised_mask(arm, separation_mas, transmission):
    value = coronagraphs.off_axis_transmission("N_ALC_YJH_S", arm, [separation_mas])
    assert value == pytest.approx([transmission])


def test_radius_of_the_apodised_mask():
    assert coronagraphs.mask_radius_mas("N_ALC_YJH_S") == 92.5


def test_paranal():
    assert (site.latitude_deg, site.longitude_deg, site.elevation_m) == (-24.6268, -70.4045, 2648)


def test_star_position_guesses():
    table = default_constants()
    expected = {
        (0, "H2"): (485.81, 523.54),
        (1, "H3"): (487.95, 514.36),
        (0, "K1"): (480.0, 524.7),
        (1, "K2"): (482.5, 511.4),
        (0, "J2"): (485.0, 520.0),
        (1, "J3"): (486.0, 508.0),
    }
    for (field, band), position in expected.items():
        found = [
            table.value(f"star_position_{axis}_px", arm="IRDIS", field=field, band=band)
            for axis in "xy"
        ]
        assert tuple(found) == position


def test_illuminated_windows_of_irdis():
    left, right = detectors.detector("IRDIS").illuminated
    assert left == (slice(15, 1013), slice(50, 941))
    assert right == (slice(15, 1013), slice(54, 942))  # columns 1078 to 1966 of the raw plane


def test_the_table_of_this_version_is_this_one():
    # Changed on purpose? Then raise `version` in constants.yaml, and both literals here.
    table = default_constants()
    digest = "4d0a785f75b99b93fede2f2546ea1b70d64d70849193240a47fd1d9922891b49"
    assert (table.version, table.digest) == ("2026.5", digest)
