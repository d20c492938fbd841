"""Nights other than the friendly one: two stars, no mask, waffle throughout, bad spells."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.filters import irdis_bands
from spheredc_hpc.simulate import load_scenario
from spheredc_hpc.simulate.atmosphere import make_weather
from spheredc_hpc.simulate.frames import sky_files
from spheredc_hpc.simulate.irdis import prepare
from spheredc_hpc.simulate.keywords import HeaderMaker
from spheredc_hpc.simulate.light import light_of
from spheredc_hpc.simulate.photometry import filter_density
from spheredc_hpc.simulate.setup import setup_values
from spheredc_hpc.simulate.sparta import write_sparta
from spheredc_hpc.simulate.spells import kinds_at, stretches_of
from spheredc_hpc.simulate.thermal import thermal_level, thermal_map
from spheredc_hpc.simulate.timeline import plan_files

REFERENCE = {"name": "HIP_54155", "ra_deg": 166.2, "dec_deg": -34.1, "magnitude": 7.1}
HOPPING = {
    "target": REFERENCE,
    "ob_id": 1801299,
    "container_id": 990017,
    "visits": 3,
    "object": {"files": 1, "ndit": 2, "dit_s": 64.0},
}


def files_of(scenario):
    return plan_files(scenario, default_constants())


def weather_of(scenario, files, stretches=()):
    on_sky = [file for file in files if file.on_sky]
    span = (on_sky[0].start_mjd - 0.01, on_sky[-1].end_mjd + 0.01)
    return make_weather(scenario, *span, stretches)


def sky_of(scenario):
    files, constants = files_of(scenario), default_constants()
    weather = weather_of(scenario, files, stretches_of(scenario, files))
    return files, sky_files(scenario, constants, files, weather)


def headers_of(scenario):
    files = files_of(scenario)
    fix = default_constants().value("derotator_fix_mjd")
    maker = HeaderMaker(scenario, files, weather_of(scenario, files), fix, 18.0, 1.75)
    return [(file, fits.Header.fromstring("".join(maker.cards(file)))) for file in files]


@pytest.fixture(scope="module")
def hopping():
    changes = {
        "hopping": HOPPING,
        "sequence": {"object": {"files": 1}},
        "calibrations": {"dark_ndit": 0, "background_ndit": 0, "flat_dits_s": []},
    }
    return load_scenario("first-light-small").revise(changes)


def test_two_stars_take_turns_in_one_container(hopping):
    found = [(file, head) for file, head in headers_of(hopping) if file.on_sky]
    science = [(f, head) for f, head in found if f.kind == "OBJECT"]
    targets = [head["ESO OBS TARG NAME"] for _, head in science]
    assert targets == ["TW_Hya", "HIP_54155"] * 3
    assert {head["ESO OBS CONTAINER ID"] for _, head in found} == {990017}
    blocks = {head["ESO OBS TARG NAME"]: head["ESO OBS ID"] for _, head in science}
    assert blocks == {"TW_Hya": hopping.ob_id, "HIP_54155": 1801299}
    for kind in ("CENTER", "FLUX"):
        stars = {head["OBJECT"] for f, head in found if f.kind == kind}
        assert stars == {"TW_Hya", "HIP_54155"}
    for file, head in science:
        star = hopping.of_star(file.star).target
        assert head["RA"] == pytest.approx(star.ra_deg, abs=1e-5)


def test_the_reference_star_has_its_own_light_and_no_companion(hopping):
    night = prepare(hopping)
    target, reference = (
        next(f for f in night.files if f.kind == "FLUX" and f.star == star) for star in (0, 1)
    )
    _, seen = light_of(night, target, 0)
    _, other = light_of(night, reference, 0)
    assert set(seen.companions) == {"b", "c", "d", "e"}
    assert not other.companions
    ratio = night.star_rates[1][0] / night.star_rates[0][0]
    # H = 7.10 against 7.56.
    assert ratio == pytest.approx(10 ** (0.4 * 0.46), rel=1e-6)


def test_waffle_that_stays_on_leaves_no_object_frame(brief):
    night = brief.revise({"sequence": {"continuous_waffle": True}})
    kinds = [file.kind for file in files_of(night)]
    assert kinds == ["FLUX", "CENTER"]
    # The sequence is still centred on the meridian.
    plain = next(f for f in files_of(brief) if f.kind == "OBJECT")
    assert files_of(night)[1].start_mjd == pytest.approx(plain.start_mjd, abs=1e-6)


def test_without_mask_the_star_shows_and_the_header_says_so(brief):
    clear = brief.revise({"coronagraph": "N_NS_CLEAR"})
    night = prepare(clear)
    file = next(f for f in night.files if f.kind == "OBJECT")
    x, y = (round(float(v)) for v in night.sky[file.index].star_px[0, 0])
    box = (slice(y - 2, y + 3), slice(x - 2, x + 3))
    peak = light_of(night, file, 0)[0][box].max()
    # Share of the brightest pixel: 0.0685 x Strehl in H2; the mask would leave 1/100 of it.
    assert peak > 0.5 * 0.0685 * night.star_rates[0][0]
    head = fits.Header.fromstring("".join(night.headers.cards(file)))
    assert head["ESO DPR TECH"] == "IMAGE,DUAL"
    assert head["ESO INS4 OPTI11 NAME"] == "CLEAR"


@pytest.mark.parametrize(
    ("combination", "wheels", "technique"),
    [
        ("DB_H32", ("B_H", "D_H32"), "IMAGE,DUAL,CORONOGRAPHY"),
        ("DB_H34", ("B_Hcmp2", "D_H34"), "IMAGE,DUAL,CORONOGRAPHY"),
        ("DB_NDH23", ("B_ND-H", "D_H23"), "IMAGE,DUAL,CORONOGRAPHY"),
        ("DB_K12", ("B_Ks", "D_K12"), "IMAGE,DUAL,CORONOGRAPHY"),
        ("BB_Ks", ("B_Ks", "CLEAR"), "IMAGE,CORONOGRAPHY"),
        ("NB_BrG", ("N_BrG", "CLEAR"), "IMAGE,CORONOGRAPHY"),
    ],
)
def test_filters_stand_in_their_wheels(brief, combination, wheels, technique):
    night = brief.revise({"filter": combination})
    head = setup_values(night, files_of(night)[0], 18.0)
    assert (head["ESO INS1 FILT NAME"], head["ESO INS1 OPTI2 NAME"]) == wheels
    assert head["ESO DPR TECH"] == technique


def test_common_filter_with_density_dims_the_star():
    constants = default_constants()
    for combination, passed in (("DB_H23", 1.0), ("DB_NDH23", 0.289)):
        for band in irdis_bands(combination, constants):
            assert filter_density(combination, band, constants) == passed


def test_thermal_light_has_an_arc_and_swings(brief):
    warm = brief.revise(
        {
            "filter": "DB_K12",
            "detector": {"background_arc": 0.3, "background_swing": 0.1},
        }
    )
    assert thermal_map(brief) is None
    arc = thermal_map(warm)
    assert arc.min() == pytest.approx(1.0, abs=1e-3)
    assert arc.max() == pytest.approx(1.3, abs=1e-3)
    levels = [thermal_level(warm, 58000 + hour / 24) for hour in np.arange(0, 11, 0.1)]
    assert max(levels) == pytest.approx(1.1, abs=1e-3)
    assert np.mean(levels) == pytest.approx(1.0, abs=1e-3)


def test_further_exposures_keep_their_time_and_density(brief):
    more = [{"files": 1, "ndit": 2, "dit_s": 16.0, "nd": "ND_1.0"}]
    files = files_of(brief.revise({"sequence": {"object_more": more}}))
    assert [(f.dit_s, f.nd) for f in files if f.kind == "OBJECT"] == [
        (64.0, "OPEN"),
        (16.0, "ND_1.0"),
    ]


def test_calibrations_of_several_mornings():
    night = load_scenario("first-light-small").revise({"calibrations": {"days": [-2, 1]}})
    flats = [file.start_mjd for file in files_of(night) if file.kind == "FLAT"]
    assert len(flats) == 10
    assert flats[5] - flats[0] == pytest.approx(3.0, abs=1e-6)
    starts = [file.start_mjd for file in files_of(night)]
    assert starts == sorted(starts)


def test_backgrounds_can_bracket_the_integration_time():
    night = load_scenario("first-light-small").revise({"defects": {"dark_bracketing": True}})
    dits = {(f.dit_s, f.nd) for f in files_of(night) if f.kind == "BACKGROUND"}
    assert dits == {(32.0, "OPEN"), (128.0, "OPEN"), (1.0, "ND_1.0"), (4.0, "ND_1.0")}


@pytest.fixture(scope="module")
def degraded():
    return load_scenario("first-light").revise(
        {"atmosphere": {"degraded": {"share": 0.3, "run": 3}, "flux_at_science_mean": False}}
    )


def test_bad_frames_are_the_share_asked_for_and_worse(degraded):
    files, sky = sky_of(degraded)
    _, still = sky_of(degraded.revise({"atmosphere": {"degraded": {"share": 0.0}}}))
    science = [file for file in files if file.kind == "OBJECT"]
    kinds = np.array([kind for file in science for kind in sky[file.index].bad])
    assert (kinds != "").sum() == round(0.3 * 48)
    assert set(kinds) == {"", "seeing", "wind", "clouds"}

    def ratio(name):
        worse = np.concatenate([getattr(sky[f.index].conditions, name) for f in science])
        return worse / np.concatenate([getattr(still[f.index].conditions, name) for f in science])

    np.testing.assert_allclose(ratio("seeing_arcsec"), np.where(kinds == "seeing", 2.2, 1))
    np.testing.assert_allclose(ratio("tau0_ms"), np.where(kinds == "wind", 0.2, 1))
    np.testing.assert_allclose(ratio("transparency"), np.where(kinds == "clouds", 0.35, 1))
    assert kinds_at((), np.array([1.0, 2.0])) == ["", ""]


def test_a_spell_meets_the_exposures_it_names():
    spell = {"frames": "FLUX", "file": 1, "seeing_factor": 1.5, "transmission": 0.7}
    changes = {"atmosphere": {"spells": [spell], "flux_at_science_mean": False}}
    files, sky = sky_of(load_scenario("first-light").revise(changes))
    first, last = (sky[f.index] for f in files if f.kind == "FLUX")
    assert last.conditions.transparency.max() < 0.8 < first.conditions.transparency.min()
    assert (last.conditions.variance > first.conditions.variance.max()).all()
    assert not any(last.bad)


def test_first_flux_integration_can_be_unstable(brief):
    changes = {"sequence": {"flux_before": {"ndit": 3}}, "defects": {"unstable_flux": True}}
    files, found = sky_of(brief.revise(changes))
    sky = found[next(f.index for f in files if f.kind == "FLUX")]
    away = np.hypot(*(sky.star_px[:, 0] - sky.star_px[1:, 0].mean(axis=0)).T)
    assert away[0] > 2 > 0.5 > away[1:].max()
    assert sky.conditions.transparency[0] < 0.75 * sky.conditions.transparency[1]


def test_headers_can_lack_the_seeing(brief):
    for _, head in headers_of(brief.revise({"defects": {"missing_header_seeing": True}})):
        assert not any(key in head for key in ("ESO TEL AMBI FWHM START", "ESO TEL AMBI TAU0"))


def test_telemetry_has_its_sampling_its_gaps_and_bad_records(brief, tmp_path):
    settings = {
        "sampling_s": 10.0,
        "gaps": [[0.1, 0.25]],
        "missing_files": [1],
        "invalid_share": 0.2,
    }
    night = brief.revise({"telemetry": settings})
    start = files_of(night)[0].start_mjd
    span = (start, start + 1799 / 86400)
    weather = make_weather(night, *span)
    (path,) = write_sparta(night, weather, 0.03, span, tmp_path)
    with fits.open(path) as units:
        table = units["AtmPerfParams"].data
        seconds = table["Sec"] + table["USec"] / 1e6
        invalid = np.mean((table["R0"] == 0) & (table["StrehlRatio"] == 0))
    steps = np.diff(seconds)
    assert np.median(steps) == pytest.approx(10, abs=1e-3)
    assert steps.max() == pytest.approx(0.15 * 1799, abs=11)
    # 63 records: 0.2 +- 0.05.
    assert invalid == pytest.approx(0.2, abs=0.15)
