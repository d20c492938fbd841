from types import SimpleNamespace

import numpy as np
import pytest

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.level1.parts.coherence import tau0_relation
from spheredc_hpc.level1.parts.dither import dither_px
from spheredc_hpc.level1.parts.photometry import (
    PhotometrySettings,
    StarFrame,
    aperture_sum,
    cut_star,
    file_fluxes,
    find_star,
    judged_frames,
)
from spheredc_hpc.level1.parts.selection import (
    METRICS,
    Annuli,
    SelectionSettings,
    correlations,
    elongation,
    frame_figures,
    loop_closed,
    select,
)
from spheredc_hpc.level1.parts.setup import irdis_setup
from spheredc_hpc.level1.parts.telemetry import (
    TelemetrySettings,
    from_header,
    per_frame,
    read_telemetry,
    records,
    telemetry,
)
from spheredc_hpc.level1.parts.timing import FrameTimes
from spheredc_hpc.store.cube import AO_QUANTITIES

CONSTANTS = default_constants()
HEADER = {
    "ESO INS COMB IFLT": "DB_H23",
    "ESO INS COMB ICOR": "N_ALC_YJH_S",
    "ESO INS4 FILT2 NAME": "OPEN",
}


@pytest.fixture
def rng():
    return np.random.default_rng(20180321)


def star(shape, x, y, fwhm, peak):
    rows, columns = np.indices(shape)
    sigma = fwhm / 2.354820045
    return peak * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / sigma**2)


def test_scales_that_change_with_time_are_those_of_the_date():
    constants = CONSTANTS.with_overrides({"pixel_scale_mas[arm=IRDIS,band=H2]@2018-01-01": 12.0})
    before, after = (irdis_setup(HEADER, mjd, constants) for mjd in (58000.0, 58192.0))
    assert after.scale_mas[0] == 12.0
    assert after.scale_mas[1] == before.scale_mas[1]
    ratio = before.scale_mas[0] / 12.0
    assert after.resolution_px[0] == pytest.approx(before.resolution_px[0] * ratio)


def test_the_star_is_found_fitted_and_recentred(rng):
    image = rng.normal(size=(200, 200)) + star((200, 200), 120.31, 87.62, 3.4, 5000)
    image = image.astype(np.float32)
    fit = find_star(image, (100.0, 100.0), 60.0, 3.4, np.ones(image.shape, bool))
    np.testing.assert_allclose([fit.x, fit.y], [120.31, 87.62], atol=0.01)
    for size in (32, 33):
        cut = cut_star(image, (fit.x, fit.y), (1.0, 1.0), size)
        rows, columns = np.indices(cut.shape)
        bright = np.where(cut > 50, cut, 0)
        where = [np.sum(bright * columns), np.sum(bright * rows)] / bright.sum()
        np.testing.assert_allclose(where, size // 2, atol=0.02)


def test_a_star_beyond_the_search_is_not_taken(rng):
    image = (rng.normal(size=(200, 200)) + star((200, 200), 20, 20, 3.4, 5000)).astype(np.float32)
    image += star((200, 200), 110, 104, 3.4, 500).astype(np.float32)
    fit = find_star(image, (100.0, 100.0), 60.0, 3.4, np.ones(image.shape, bool))
    np.testing.assert_allclose([fit.x, fit.y], [110, 104], atol=0.05)


def test_a_saturated_star_is_centred_by_its_wings(rng):
    image = star((120, 120), 60.37, 58.81, 3.4, 2e5) + rng.normal(size=(120, 120))
    image = np.minimum(image, 37000).astype(np.float32)
    fit = find_star(image, (60.0, 60.0), 30.0, 3.4, image < 20000)
    np.testing.assert_allclose([fit.x, fit.y], [60.37, 58.81], atol=0.1)


def test_a_star_at_the_edge_is_refused():
    image = np.ones((60, 60), np.float32)
    with pytest.raises(KernelInputError, match="edge"):
        cut_star(image, (10.0, 30.0), (1.0, 1.0), 32)


def test_aperture_sum_of_a_gaussian_is_its_flux():
    image = star((65, 65), 32, 32, 3.4, 1.0)
    sigma = 3.4 / 2.354820045
    assert aperture_sum(image.astype(np.float32), 12.0) == pytest.approx(2 * np.pi * sigma**2)


def test_frames_of_odd_flux_are_left_out_in_both_channels():
    flux = np.array([[100.0, 101, 99, 100, 40, 100], [200.0, 202, 198, np.nan, 200, 199]])
    steady = np.full(flux.shape, 4.0)
    why = judged_frames(flux, steady, PhotometrySettings())
    assert [not text for text in why] == [True, True, True, False, False, True]
    assert why[3] == "no star was measured"
    assert why[4].startswith("flux -60.0 % from that of the file")
    pair = np.array([[100.0, 101.5], [50.0, 50.2]])
    assert judged_frames(pair, steady[:, :2], PhotometrySettings()) == ["", ""]


def test_a_first_integration_that_is_smeared_is_left_out_by_its_width():
    flux = np.array([[99.0, 100, 101, 100, 100], [199.0, 200, 202, 200, 201]])
    width = np.array([[5.1, 4.0, 4.1, 4.0, 3.95], [4.9, 4.2, 4.2, 4.3, 4.2]])
    why = judged_frames(flux, width, PhotometrySettings())
    assert [bool(text) for text in why] == [True, False, False, False, False]
    assert why[0].startswith("width +27.5 %")


@pytest.mark.parametrize(
    ("nd", "h2", "h3"), [("ND_1.0", 0.116, 0.140), ("ND_2.0", 0.0123, 0.0179), ("OPEN", 1, 1)]
)
def test_neutral_density_of_both_channels_is_the_published_one(nd, h2, h3):
    setup = irdis_setup(HEADER, 58192.0, CONSTANTS)
    values, flags = setup.nd_of(nd)
    np.testing.assert_allclose(values, [h2, h3], rtol=0.005)
    assert flags == ()


def test_an_unknown_density_counts_as_one_and_is_flagged():
    values, flags = irdis_setup(HEADER, 58192.0, CONSTANTS).nd_of("ND_9.9")
    assert values == (1.0, 1.0)
    assert "ND_UNKNOWN" in dict(flags)


def test_channels_of_swapped_filters_are_swapped():
    normal = irdis_setup(HEADER, 58192.0, CONSTANTS)
    swapped = irdis_setup({**HEADER, "ESO INS COMB IFLT": "DB_H32"}, 58192.0, CONSTANTS)
    assert [band.name for band in normal.bands] == ["H2", "H3"]
    assert [band.name for band in swapped.bands] == ["H3", "H2"]
    assert normal.resolution_px[0] == pytest.approx(3.353, abs=0.002)
    assert normal.occulted
    clear = irdis_setup({**HEADER, "ESO INS COMB ICOR": "N_NS_CLEAR"}, 58192.0, CONSTANTS)
    assert not clear.occulted


def test_dither_is_the_encoder_over_the_pitch():
    header = {"ESO INS1 PAC X": -36.083, "ESO INS1 PAC Y": -35.869}
    np.testing.assert_allclose(dither_px(header, "IRDIS", CONSTANTS), [-2.0046, -1.9927], atol=1e-4)
    asked = {"ESO INS1 DITH POSX": -2.0, "ESO INS1 DITH POSY": 1.0}
    np.testing.assert_allclose(dither_px(asked, "IRDIS", CONSTANTS), [-2.0, 1.0])
    assert dither_px({}, "IRDIS", CONSTANTS) == (0.0, 0.0)


def times_at(*mjd, dit_s=64.0):
    mid = np.array(mjd)
    half = dit_s / 2 / 86400
    return FrameTimes(mid - half, mid, mid + half, dit_s, dit_s + 1)


def table(mjd, r0, wind, strehl):
    seconds = (np.asarray(mjd, float) - 40587.0) * 86400
    whole = np.floor(seconds)
    n = len(seconds)
    return {
        "Sec": whole,
        "USec": (seconds - whole) * 1e6,
        "R0": np.broadcast_to(np.asarray(r0, float), n),
        "WindSpeed": np.broadcast_to(np.asarray(wind, float), n),
        "StrehlRatio": np.broadcast_to(np.asarray(strehl, float), n),
    }


def ao(values, name):
    return values[:, AO_QUANTITIES.index(name)]


def test_telemetry_gives_seeing_and_coherence_time_of_each_integration():
    mjd = 58192.1 + np.arange(0, 600, 20) / 86400
    rows = records([table(mjd, 0.147, 9.0, 0.85)])
    values = per_frame(rows, times_at(58192.1 + 300 / 86400), 90.0)
    # Facts: seeing = 206265 x 500e-9 / r0, tau0 = 0.314 r0 / v.
    assert ao(values, "seeing_arcsec")[0] == pytest.approx(0.70158, abs=1e-4)
    assert ao(values, "tau0_ms")[0] == pytest.approx(5.1287, abs=1e-3)
    assert ao(values, "strehl")[0] == pytest.approx(0.85)


def test_incredible_records_are_left_out():
    mjd = 58192.1 + np.arange(5) * 20 / 86400
    rows = records([table(mjd, [0.15, -1, 2.0, 0.15, 0.15], 9, [0.8, 0.8, 0.8, 0.99, 0.03])])
    assert len(rows) == 1


def test_gaps_between_records_stay_gaps():
    at = 58192.1 + np.array([0, 60, 120, 1000, 1060]) / 86400
    rows = records([table(at, 0.15, 9, 0.8)])
    seconds = np.array([30.0, 90.0, 200.0, 560.0, 920.0, 1030.0, 1100.0])
    values = per_frame(rows, times_at(*(58192.1 + seconds / 86400), dit_s=2.0), 90.0)
    # Beside a gap, in it, and beyond the last record nothing is known.
    known = np.isfinite(values[:, 0])
    assert known.tolist() == [True, True, False, False, False, True, False]


def test_a_file_given_twice_counts_once():
    at = 58192.1 + np.array([0.0, 20.0]) / 86400
    once, odd = table(at, 0.15, 9, 0.8), table(at[::-1] + 5 / 86400, 0.10, 9, 0.8)
    assert len(records([once, once])) == 2
    rows = records([odd, once, once])
    assert (np.diff(rows[:, 0]) > 0).all()
    assert len(rows) == 4


def test_big_endian_records_of_several_files_are_joined_over_midnight():
    at = 58193.0 + np.array([-30, -10, 10, 30]) / 86400
    parts = [table(at[:2], 0.1, 9, 0.8), table(at[2:], 0.2, 9, 0.8)]
    parts = [{k: np.asarray(v, ">f8") for k, v in part.items()} for part in parts]
    values = per_frame(records(parts), times_at(58193.0, dit_s=64.0), 90.0)
    assert ao(values, "r0_m")[0] == pytest.approx(0.15)


def test_frames_in_gaps_take_the_header_and_are_flagged():
    at = 58192.1 + np.arange(0, 100, 20) / 86400
    header = {"ESO TEL AMBI FWHM START": 0.9, "ESO TEL AMBI FWHM END": -1.0}
    times = times_at(58192.1 + 50 / 86400, 58192.1 + 900 / 86400)
    held = read_telemetry(
        [SimpleNamespace(archive_id="SPHER.a")], lambda ref, name: table(at, 0.15, 9, 0.8)
    )
    values, flags = telemetry(held, [(header, times)], TelemetrySettings())
    assert dict(flags).keys() == {"SPARTA_GAPS"}
    assert flags[0][1].startswith("1 of 2 frames lie in gaps")
    assert ao(values, "seeing_arcsec")[1] == pytest.approx(0.9)
    assert np.isnan(ao(values, "strehl")[1])


def test_a_table_without_a_column_is_named():
    damaged = {k: v for k, v in table([58192.1], 0.15, 9, 0.8).items() if k != "R0"}
    held = read_telemetry([SimpleNamespace(archive_id="SPHER.a")], lambda ref, name: damaged)
    _, flags = telemetry(held, [({}, times_at(58192.1))], TelemetrySettings())
    assert "SPHER.a: table AtmPerfParams lacks R0" in dict(flags)["NO_SPARTA"]


def test_without_telemetry_the_header_serves_and_the_product_is_flagged():
    header = {
        "ESO TEL AMBI FWHM START": 0.8,
        "ESO TEL AMBI FWHM END": 1.0,
        "ESO TEL AMBI TAU0": 0.0035,
    }
    times = times_at(58192.1, 58192.1 + 65 / 86400)

    def read_table(ref, name):
        raise DataError("broken")

    held = read_telemetry([object()], read_table)
    values, flags = telemetry(held, [(header, times)], TelemetrySettings())
    assert dict(flags).keys() == {"NO_SPARTA"}
    assert "broken" in flags[0][1]
    assert 0.8 < ao(values, "seeing_arcsec")[0] < ao(values, "seeing_arcsec")[1] < 1.0
    np.testing.assert_allclose(ao(values, "tau0_ms"), 3.5)
    assert np.isnan(ao(values, "strehl")).all()
    absent = from_header({"ESO TEL AMBI TAU0": -1.0}, times)
    assert np.isnan(absent).all()


def test_figures_of_a_frame_are_sums_over_annuli(rng):
    frame = np.full((400, 400), 2.0, np.float32)
    annuli = Annuli.of(400, 12.25, SelectionSettings(), 3.36)
    figures = frame_figures(frame, annuli)
    assert figures.flux == pytest.approx(2.0 * annuli.halo.sum())
    assert figures.flux == pytest.approx(2 * np.pi * (500**2 - 150**2) / 12.25**2, rel=0.01)
    assert figures.asymmetry == 0
    assert figures.background == 2.0
    small = frame_figures(frame[100:300, 100:300], Annuli.of(200, 12.25, SelectionSettings(), 3.36))
    assert np.isnan(small.background)
    lopsided = frame.copy()
    lopsided[:, 200:] *= 3
    assert frame_figures(lopsided, annuli).asymmetry > 0.5


def test_asymmetry_is_about_the_middle_pixel():
    annuli = Annuli.of(401, 12.25, SelectionSettings(), 3.36)
    image = star((401, 401), 200, 200, 60, 100).astype(np.float32)
    assert frame_figures(image, annuli).asymmetry < 1e-6


def test_correlation_singles_out_the_odd_frame(rng):
    pattern = rng.normal(size=500)
    frames = np.stack([pattern + 0.1 * rng.normal(size=500) for _ in range(5)])
    frames[3] = rng.normal(size=500)
    found = correlations(frames.astype(np.float32))
    assert np.all(np.delete(found, 3) > 0.95)
    assert abs(found[3]) < 0.2


def quality_of(flux, correlation):
    quality = np.zeros((len(flux), len(METRICS)))
    quality[:, METRICS.index("flux")] = flux
    quality[:, METRICS.index("correlation")] = correlation
    return quality


def test_frames_without_star_or_with_a_broken_halo_are_left_out():
    flux = [100, 101, 99, 20, 100, 400, 100]
    match = [0.98, 0.97, 0.98, 0.9, 0.05, 0.9, 0.98]
    names = [f"frame {i}" for i in range(7)]
    kept, reasons, _ = select(quality_of(flux, match), names, SelectionSettings())
    np.testing.assert_array_equal(kept, [True, True, True, False, False, False, True])
    assert [reason.split(":")[0] for reason in reasons] == ["frame 3", "frame 4", "frame 5"]


def test_a_halo_lost_in_noise_is_no_reason_to_leave_frames_out(rng):
    quality = quality_of(rng.normal(0, 10, size=20), rng.normal(0.05, 0.05, size=20))
    kept, _, _ = select(quality, [""] * 20, SelectionSettings())
    assert kept.all()


def test_clouds_are_flagged():
    flux = [100.0] * 10 + [50.0] * 6
    kept, _, flags = select(quality_of(flux, [0.98] * 16), [""] * 16, SelectionSettings())
    assert kept.all()
    assert "HALO_VARIABLE" in dict(flags)


@pytest.mark.parametrize(
    ("state", "closed"), [("CLOSED_LOOP", True), ("OPEN_LOOP", False), ("", True)]
)
def test_loop_state_is_read(state, closed):
    assert loop_closed({"ESO AOS HOLOOP STATE": state}) is closed


def test_a_halo_along_the_wind_tells_its_direction():
    y, x = np.indices((401, 401)) - 200
    wind = np.radians(35.0)
    along, across = x * np.cos(wind) + y * np.sin(wind), y * np.cos(wind) - x * np.sin(wind)
    image = np.exp(-0.5 * ((along / 40) ** 2 + (across / 25) ** 2)).astype(np.float32)
    annuli = Annuli.of(401, 12.25, SelectionSettings(), 3.36)
    amplitude, direction = elongation([frame_figures(image, annuli).stretch] * 2)
    assert direction == pytest.approx(35.0, abs=0.5)
    assert amplitude > 0.15
    even = np.exp(-0.5 * (x**2 + y**2) / 30.0**2).astype(np.float32)
    assert elongation([frame_figures(even, annuli).stretch])[0] < 1e-3
    ring = frame_figures(even, annuli).intensity_10
    assert ring == pytest.approx(np.exp(-0.5 * (10 * 3.36 / 30) ** 2), rel=0.02)


def test_light_beside_the_mask_follows_the_coherence_time(rng):
    tau0 = np.exp(rng.normal(np.log(4.0), 0.4, size=60))
    light = 3.0 * tau0**-1.4 * np.exp(rng.normal(scale=0.05, size=60))
    found = tau0_relation(light, tau0)
    assert abs(found["slope"] - 1.4) < 3 * found["slope_err"]
    assert found["correlation"] > 0.95
    assert found["frames"] == len(found["log_intensity"]) == 60
    nothing = tau0_relation(light, np.full(60, np.nan))
    assert (nothing["frames"], nothing["slope"]) == (0, None)


def test_flux_files_that_differ_are_told_apart():
    def star(flux):
        return StarFrame(np.zeros((4, 4), np.float32), np.zeros(2), flux, 4.0, 1e3)

    row = [star(100.0), star(102.0), star(80.0)]
    files, change = file_fluxes([row, row], ["a", "a", "b"])
    assert [item["frames"] for item in files] == [2, 1]
    assert files[0]["flux"] == [101.0, 101.0]
    assert change == pytest.approx(21 / 90.5)
    assert file_fluxes([row[:2], row[:2]], ["a", "a"])[1] == 0
