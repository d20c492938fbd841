from __future__ import annotations

import gzip

import numpy as np
import pytest

from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.instrument import filters
from spheredc_hpc.instrument.constants import default_constants


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("NB_ContH", "NB_CntH"),
        ("NB_CntH", "NB_CntH"),
        ("FILT_NBF_ContH", "NB_CntH"),
        ("N_CntH", "NB_CntH"),
        ("DP_0_NB_ContH", "DP_0_NB_CntH"),
        ("DP_45_BB_Ks", "DP_45_BB_Ks"),
        ("dp_0_bb_h", "DP_0_BB_H"),
        ("FILT_BBF_H", "BB_H"),
        ("B_Ks", "BB_Ks"),
        ("BB_KS", "BB_Ks"),
        (" DB_H23 ", "DB_H23"),
        ("db_k12", "DB_K12"),
        ("S_LR", "S_LR"),
        ("SOMETHING", "SOMETHING"),
        ("", ""),
    ],
)
def test_each_spelling_gives_the_one_name(spelling, name):
    assert filters.normalise_filter(spelling) == name
    assert filters.normalise_filter(name) == name


@pytest.mark.parametrize("combination", [*filters.DUAL_BAND, *filters.SINGLE_BAND])
def test_each_combination_has_bands_densities_and_a_zero_magnitude(combination):
    for band in filters.irdis_bands(combination):
        factors = [filters.nd_transmission(nd, band.name) for nd in ("ND_1.0", "ND_2.0", "ND_3.5")]
        assert 1 > factors[0] > factors[1] > factors[2] > 0
        assert default_constants().value("photon_rate_zero_mag", band=band.name) > 1e9


@pytest.mark.parametrize("polariser", filters.POLARISERS)
def test_polarisers_keep_the_band_in_both_fields(polariser):
    left, right = filters.irdis_bands(f"{polariser}BB_J")
    assert left == right
    assert left.name == "BB_J"


@pytest.mark.parametrize("combination", ["S_LR", "W_YJH", "DB_XX", ""])
def test_what_is_no_imaging_filter_is_refused(combination):
    with pytest.raises(DataError, match="expected DB_Y23"):
        filters.irdis_bands(combination)


def test_the_two_wavelength_tables_differ_by_at_most_13_nm():
    table = default_constants()
    infrared = [r for r in table.rows("filter_wavelength_um") if "arm" not in dict(r.selector)]
    assert len(infrared) == 23
    for row in infrared:
        band = dict(row.selector)["band"]
        eso = table.value("filter_wavelength_eso_um", band=band)
        assert abs(eso - row.value) <= 0.0131


@pytest.mark.parametrize(
    ("names", "broad"),
    [
        ("Cnt820", "N_I"),
        ("N_R", "N_R"),
        ("V+VBB", "V"),
        ("N_Ha+VBB", "N_R"),
        ("B_Ha+B_Ha", "N_R"),
        ("N_Ha", "N_R"),
        ("WHAT", ""),
    ],
)
def test_zimpol_filters_have_a_nearest_broad_band(names, broad):
    assert filters.zimpol_broad_band(names) == broad


@pytest.mark.parametrize(
    ("combination", "flat"),
    [("DP_0_BB_H", "BB_H"), ("DB_H23", "DB_H23"), ("S_LR", "W_YJHKs"), ("S_MR", "W_YJH")],
)
def test_filters_of_flats(combination, flat):
    assert filters.flat_filter(combination) == flat


def test_overridden_wavelengths_are_used():
    table = default_constants().with_overrides({"filter_wavelength_um[band=H2]": 1.5888})
    assert filters.irdis_bands("DB_H23", table)[0].wavelength_um == 1.5888


@pytest.mark.parametrize("nd", ["OPEN", "open", "", "CLEAR"])
def test_without_density_everything_passes(nd):
    assert filters.nd_transmission(nd, "anything") == 1.0


@pytest.mark.parametrize(("spelling", "name"), [("ND_2", "ND_2.0"), ("nd_3.5", "ND_3.5")])
def test_density_spelling(spelling, name):
    assert filters.normalise_nd(spelling) == name


def test_unknown_density_and_band_are_errors():
    with pytest.raises(DataError, match=r"'ND_7\.0' unknown; expected OPEN"):
        filters.nd_transmission("ND_7.0", "H2")
    with pytest.raises(ConfigError, match="no value of nd_transmission"):
        filters.nd_transmission("ND_2.0", "Q9")


@pytest.mark.parametrize(
    ("wavelength_um", "factor"), [(0.95, 2.008e-2), (1.25, 3.110e-3), (1.65, 1.656e-2)]
)
def test_monochromatic_density_at_its_samples(wavelength_um, factor):
    assert filters.nd_transmission_at("ND_2.0", wavelength_um) == pytest.approx(factor)


def test_monochromatic_density_between_samples_is_the_geometric_mean():
    middle = filters.nd_transmission_at("ND_1.0", 1.45)
    assert middle == pytest.approx((7.141e-2 * 8.970e-2) ** 0.5)


def test_monochromatic_density_is_not_extrapolated():
    with pytest.raises(DataError, match=r"outside of 950 to 1650 nm"):
        filters.nd_transmission_at("ND_2.0", 2.1)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"ESO INS COMB IFLT": "DB_H23", "ESO INS1 FILT NAME": "B_J"}, "DB_H23"),
        ({"ESO INS1 FILT NAME": "B_H", "ESO INS1 OPTI2 NAME": "D_H23"}, "DB_H23"),
        ({"ESO INS1 FILT NAME": "B_ND-H", "ESO INS1 OPTI2 NAME": "D_H23"}, "DB_NDH23"),
        ({"ESO INS1 FILT NAME": "B_Ks", "ESO INS1 OPTI2 NAME": "CLEAR"}, "BB_Ks"),
        ({"ESO INS1 FILT NAME": "N_CntH", "ESO INS1 OPTI2 NAME": "CLEAR"}, "NB_CntH"),
        ({"ESO INS1 FILT NAME": "B_H", "ESO INS1 OPTI2 NAME": "P0-90"}, "DP_0_BB_H"),
        ({"ESO INS1 FILT NAME": "B_H", "ESO INS1 OPTI2 NAME": "P45-135"}, "DP_45_BB_H"),
        ({}, ""),
    ],
)
def test_combination_from_the_header_or_the_wheels(header, name):
    assert filters.irdis_combination(header) == name


CURVES = [
    *((band, band.replace("BB_", "B_"), None) for band in ("BB_Y", "BB_J", "BB_H", "BB_Ks")),
    *((name, name.replace("NB_", "N_"), None) for name in filters.SINGLE_BAND if "NB_" in name),
    *((f"Y{field + 1}", "B_Y", ("D_Y23", field)) for field in (1, 2)),
    *((f"J{field + 1}", "B_J", ("D_J23", field)) for field in (1, 2)),
    *((f"H{field + 1}", "B_H", ("D_H23", field)) for field in (1, 2)),
    ("H4", "B_Hcmp2", ("D_H34", 2)),
    *((f"K{field}", "B_Ks", ("D_K12", field)) for field in (1, 2)),
]


@pytest.mark.parametrize(("band", "common", "dual"), CURVES)
def test_densities_are_the_laboratory_curve_averaged_over_the_filter(real_data, band, common, dual):
    def curve(name):
        with gzip.open(real_data / "sphere-transmission" / f"SPHERE_{name}.txt.gz", "rt") as file:
            return np.loadtxt(file)

    densities = curve("CPI_ND")
    at = densities[:, 0]
    filter_curve = curve(f"IRDIS_{common}")
    weight = np.interp(at, filter_curve[:, 0], filter_curve[:, 1], left=0, right=0)
    if dual:
        second = curve(f"IRDIS_{dual[0]}")
        weight = weight * np.interp(at, second[:, 0], second[:, dual[1]], left=0, right=0)
    mean = densities[:, 2:].T @ weight / weight.sum()
    table = [filters.nd_transmission(nd, band) for nd in ("ND_1.0", "ND_2.0", "ND_3.5")]
    # The tabulated averages over H2 used a slightly different filter: 4 % and 6 %.
    assert np.all(np.abs(np.array(table) / mean - 1) < [0.02, 0.045, 0.065])


@pytest.mark.parametrize(("band", "column"), [("H2", 1), ("H3", 2)])
def test_the_density_of_the_ndh_filter_is_that_of_its_curve(real_data, band, column):
    def curve(name):
        path = real_data / "sphere-transmission" / f"SPHERE_IRDIS_{name}.txt.gz"
        with gzip.open(path, "rt") as file:
            return np.loadtxt(file)

    dual, dense, open_ = curve("D_H23"), curve("B_ND-H"), curve("B_H")
    sums = [
        np.sum(np.interp(dual[:, 0], *common.T[:2], left=0, right=0) * dual[:, column])
        for common in (dense, open_)
    ]
    row = default_constants().get("filter_density", filter="DB_NDH23", band=band)
    assert row.value == pytest.approx(sums[0] / sums[1], abs=0.002)
