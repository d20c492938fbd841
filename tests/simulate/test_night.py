"""Raw nights: files, headers, truth, noise, and what may not change them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import map_coordinates

from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.headers import mjd_from_iso, unpack_dms_deg, unpack_hms_deg
from spheredc_hpc.simulate import load_scenario, load_truth, simulate_irdis
from spheredc_hpc.simulate.atmosphere import make_weather
from spheredc_hpc.simulate.frames import sky_files
from spheredc_hpc.simulate.irdis import prepare
from spheredc_hpc.simulate.light import light_of
from spheredc_hpc.simulate.timeline import plan_files

WRITTEN_FOR_THE_IFS = {"PIXSCAL"}
NOT_CHECKED = {"CHECKSUM", "DATASUM"}


def planes(truth, entry):
    with fits.open(truth.folder / entry["file"], memmap=False) as units:
        return units[0].data.astype(np.float64)


def header(truth, entry):
    return fits.getheader(truth.folder / entry["file"])


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("SPHER*.fits"))
    }


def test_all_classes_are_there_with_their_sizes(small_night):
    kinds = [entry["kind"] for entry in small_night.files]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "CENTER": 2,
        "FLUX": 1,
        "OBJECT": 2,
        "SKY": 1,
        "DARK": 2,
        "BACKGROUND": 2,
        "FLAT": 5,
    }
    for entry in small_night.files:
        head = header(small_night, entry)
        assert head["BITPIX"] == -32
        assert (head["NAXIS1"], head["NAXIS2"]) == (2048, 1024)
        assert head["NAXIS3"] == entry["n_planes"] == head["ESO DET NDIT"]


def test_files_are_intact_and_named_after_their_start(small_night):
    for path in small_night.folder.glob("SPHER*.fits"):
        with fits.open(path, checksum=True) as units:
            units.verify("exception")
            assert units[0].verify_datasum() == 1
            assert units[0].verify_checksum() == 1
            head = units[0].header
        assert head["ARCFILE"] == path.name
        assert path.name == f"SPHER.{head['DATE-OBS'][:-1]}.fits"


def test_every_keyword_of_the_real_object_frame_is_there(small_night, real_data):
    folder = real_data / "sphere-ifs-raw-headers"
    real = json.loads((folder / "SPHER.2020-03-08T07-20-53.733.hdr.json").read_text("utf-8"))
    head = header(small_night, small_night.of_kind("OBJECT")[0])
    wrong = {}
    for key, value, _ in real:
        if key in WRITTEN_FOR_THE_IFS or key in NOT_CHECKED:
            continue
        if key not in head or type(head[key]) is not type(value):
            wrong[key] = (value, head.get(key))
    assert wrong == {}
    assert len(head) > 960


def test_calibrations_have_no_telescope_cards(small_night):
    head = header(small_night, small_night.of_kind("FLAT")[0])
    assert not any(key in head for key in ("RA", "DEC", "LST", "ESO TEL ALT"))
    assert head["ESO INS4 DROT2 MODE"] == "STAT"
    assert head["ESO INS4 SHUT ST"] is False


def test_times_in_the_header_agree(small_night):
    for entry in small_night.files:
        head = header(small_night, entry)
        start = mjd_from_iso(head["DATE-OBS"])
        assert head["MJD-OBS"] == pytest.approx(start, abs=2e-8)
        length = (mjd_from_iso(head["ESO DET FRAM UTC"]) - start) * 86400
        # IRDIS spends 0.938 s beside each integration.
        assert length == pytest.approx(entry["n_planes"] * (entry["dit_s"] + 0.938), abs=2e-3)
        assert head["EXPTIME"] == head["ESO DET SEQ1 DIT"] == entry["dit_s"]


def test_angles_in_the_header_follow_from_its_own_position_and_time(small_night):
    """Closed formula with the apparent place and the sidereal time of the header."""
    for entry in small_night.of_kind("OBJECT"):
        head = header(small_night, entry)
        ra = unpack_hms_deg(head["ESO INS4 DROT2 RA"])
        dec = np.radians(unpack_dms_deg(head["ESO INS4 DROT2 DEC"]))
        lat = np.radians(head["ESO TEL GEOLAT"])
        hour = np.radians(head["LST"] / 240 - ra)
        parang = np.degrees(
            np.arctan2(np.sin(hour), np.cos(dec) * np.tan(lat) - np.sin(dec) * np.cos(hour))
        )
        altitude = np.degrees(
            np.arcsin(np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour))
        )
        # The first angle is sampled 1 s early; near the zenith it moves 0.021 deg/s.
        early = head["ESO TEL PARANG START"] - parang
        assert abs((early + 180) % 360 - 180) < 0.04
        assert head["ESO TEL ALT"] == pytest.approx(altitude, abs=0.003)
        assert head["ESO TEL AIRM START"] == pytest.approx(
            1 / np.sin(np.radians(altitude)), abs=2e-3
        )
        law = 2 * head["ESO INS4 DROT2 BEGIN"] - head["ESO TEL ALT"]
        assert abs((law + 180) % 360 - 180) < 2e-3


def test_position_in_the_header_is_apparent_not_mean(small_night):
    head = header(small_night, small_night.of_kind("OBJECT")[0])
    ra = unpack_hms_deg(head["ESO INS4 DROT2 RA"])
    # 18 years of precession at RA 11h: 3.07 s + 1.34 s sin(RA) tan(dec) a year, 0.2 deg.
    assert 0.19 < ra - head["RA"] < 0.25
    assert head["ESO TEL TARG ALPHA"] == pytest.approx(110151.905, abs=0.01)
    assert head["ESO TEL TARG DELTA"] == pytest.approx(-344217.03, abs=0.05)


def test_noise_has_the_variance_of_photons_and_readout(small_night):
    first, last = small_night.of_kind("FLAT")[0], small_night.of_kind("FLAT")[-1]
    # Neighbouring columns differ by noise and 1 % pixel response; the response cancels in
    # the ratio of two levels. Window: illuminated part of the left field.
    window = (slice(300, 700), slice(200, 800))
    a, b = planes(small_night, first)[0][window], planes(small_night, last)[0][window]
    scale = np.median(b) / np.median(a)
    difference = b - scale * a
    mad = np.median(np.abs(difference - np.median(difference))) * 1.4826
    level, ratio = np.median(b), scale
    expected = np.sqrt(level / 1.75 + ratio**2 * np.median(a) / 1.75)
    assert mad == pytest.approx(expected, rel=0.03)


def test_flat_levels_are_linear_and_end_near_20000_adu(small_night):
    entries = small_night.of_kind("FLAT")
    window = (slice(200, 800), slice(200, 800))
    levels = [np.median(planes(small_night, entry)[0][window]) for entry in entries]
    slopes = np.diff(levels) / np.diff([entry["dit_s"] for entry in entries])
    np.testing.assert_allclose(slopes, slopes[0], rtol=0.01)
    assert 18000 < levels[-1] < 22000


def test_unlit_bands_are_dark(small_night):
    plane = planes(small_night, small_night.of_kind("FLAT")[-1])[0]
    for band in (plane[:10], plane[1018:], plane[:, :44], plane[:, 950:1070], plane[:, 1975:]):
        assert np.median(band) < 0.1 * 20000


def test_bad_pixels_are_one_per_cent(small_night):
    bad = np.load(small_night.folder / "truth_maps.npz")["bad"]
    assert 0.007 < bad.mean() < 0.013


def test_flux_star_peaks_in_the_linear_range_at_its_true_place(small_night):
    entry = small_night.of_kind("FLUX")[0]
    plane = planes(small_night, entry)[0] - planes(
        small_night, small_night.of_kind("BACKGROUND")[0]
    ).mean(0)
    for which in (0, 1):
        x, y = entry["integrations"][0]["star_px"][which]
        mask = entry["integrations"][0]["mask_px"][which]
        assert np.hypot(x - mask[0], (y - mask[1]) * 1.0062) * 12.25 == pytest.approx(450, abs=1)
        column = round(x) + 1024 * which
        box = plane[round(y) - 2 : round(y) + 3, column - 2 : column + 3]
        assert 8000 < box.max() < 20000
        yy, xx = np.mgrid[-2:3, -2:3]
        assert (box * xx).sum() / box.sum() == pytest.approx(x - round(x), abs=0.25)
        assert (box * yy).sum() / box.sum() == pytest.approx(y - round(y), abs=0.25)


def test_counts_of_the_star_follow_the_photometric_model(small_night):
    """Aperture of 1 arcsec on the FLUX frame."""
    entry = small_night.of_kind("FLUX")[0]
    background = planes(small_night, small_night.of_kind("BACKGROUND")[0]).mean(0)
    maps = np.load(small_night.folder / "truth_maps.npz")
    plane = (planes(small_night, entry).mean(0) - background) / entry["dit_s"]
    x, y = entry["integrations"][0]["star_px"][0]
    yy, xx = np.mgrid[:1024, :1024]
    aperture = (np.hypot(xx - x, yy - y) < 82) & ~maps["bad"][:, :1024]
    response = np.median(maps["response"][:, :1024][aperture])
    counts = plane[:, :1024][aperture].sum() / response
    # H = 7.56: 1.125e9 x 10^(-0.4 x 7.56) x 0.116 = 1.234e5 ADU/s in H2 with ND_1.0; the
    # aperture lacks 5 % of the halo and 2 % of bad pixels, the counts have 1 % of noise.
    assert counts == pytest.approx(1.234e5 * 0.95, rel=0.06)


def test_truth_file_reads_back(small_night):
    again = load_truth(small_night.folder)
    assert again.values == json.loads(json.dumps(small_night.values))
    shot = again.of_kind("OBJECT")[0]["integrations"][0]
    assert set(shot["companions_px"]) == {c["name"] for c in again.values["companions"]}


def test_true_companions_lie_at_their_separation_and_angle(small_night):
    scale = {0: 12.255, 1: 12.250}
    for shot in small_night.of_kind("OBJECT")[0]["integrations"]:
        for companion in small_night.values["companions"]:
            for which in (0, 1):
                x, y = np.subtract(
                    shot["companions_px"][companion["name"]][which], shot["star_px"][which]
                )
                y *= 1.0062
                size = np.hypot(x, y) * scale[which]
                angle = np.degrees(np.arctan2(-x, y)) + shot["derotation_mean_deg"]
                # A mean over an arc lies a little inside of it.
                assert size == pytest.approx(companion["separation_mas"], rel=3e-4)
                off = angle - companion["position_angle_deg"]
                assert abs((off + 180) % 360 - 180) < 0.01


def test_telemetry_gives_the_true_conditions(small_night):
    rows = []
    for name in small_night.values["telemetry"]:
        with fits.open(small_night.folder / name) as units:
            assert units[0].header["ESO DPR TYPE"] == "OBJECT,AO"
            names = [unit.name.upper() for unit in units[1:]]
            assert names == ["ATMPERFPARAMS", "VISLOOPPARAMS", "IRLOOPPARAMS", "IRPIXELAVGFRAME"]
            rows += [tuple(float(v) for v in row) for row in units["AtmPerfParams"].data]
            assert units["IRPixelAvgFrame"].data["Pixels"].shape[1] == 32 * 32
    sec, usec, r0, wind, strehl = np.array(rows).T
    mjd = 40587 + (sec + usec / 1e6) / 86400
    shot = small_night.of_kind("OBJECT")[0]["integrations"][0]
    near = np.abs(mjd - shot["mjd_mid"]) < 0.01
    assert near.sum() > 10
    # 5 % of noise a row, tens of rows, and conditions that wander by a few per cent.
    assert np.median(0.10313 / r0[near]) == pytest.approx(shot["seeing_arcsec"], rel=0.05)
    tau0 = 314 * r0[near] / wind[near]
    assert np.median(tau0) == pytest.approx(shot["tau0_ms"], rel=0.08)
    assert np.median(strehl[near]) == pytest.approx(shot["strehl"][0], abs=0.03)


def test_flux_conditions_are_those_of_the_science_frames():
    scenario, constants = load_scenario("first-light"), default_constants()
    files = plan_files(scenario, constants)
    weather = make_weather(scenario, files[0].start_mjd, files[-1].end_mjd)
    sky = sky_files(scenario, constants, files, weather)
    of = {
        kind: [sky[f.index].conditions for f in files if f.kind == kind]
        for kind in ("OBJECT", "FLUX")
    }
    strehl = {k: np.mean(np.exp(-np.concatenate([c.variance for c in v]))) for k, v in of.items()}
    clear = {k: np.mean(np.concatenate([c.transparency for c in v])) for k, v in of.items()}
    assert strehl["FLUX"] == pytest.approx(strehl["OBJECT"], rel=0.03)
    assert clear["FLUX"] == pytest.approx(clear["OBJECT"], rel=0.02)


def test_number_of_threads_changes_no_byte(brief, tmp_path):
    more = brief.revise({"sequence": {"object": {"files": 2, "ndit": 1}}})
    one, two = tmp_path / "one", tmp_path / "two"
    assert (
        simulate_irdis(more, one, threads=1).values == simulate_irdis(more, two, threads=2).values
    )
    assert digests(one) == digests(two)
    assert len(digests(one)) == 3


def test_twin_without_companions_differs_by_the_companions_only(brief, tmp_path):
    with_planets = simulate_irdis(brief, tmp_path / "with")
    twin = simulate_irdis(brief.without_companions(), tmp_path / "without")
    assert [e["file"] for e in with_planets.files] == [e["file"] for e in twin.files]
    entry = with_planets.of_kind("OBJECT")[0]
    difference = planes(with_planets, entry)[0] - planes(twin, entry)[0]
    near = np.zeros(difference.shape, dtype=bool)
    bands = with_planets.values["bands"]
    response = np.load(with_planets.folder / "truth_maps.npz")["response"]
    for which in (0, 1):
        shot = entry["integrations"][0]
        for companion in with_planets.values["companions"]:
            x, y = shot["companions_px"][companion["name"]][which]
            x, y = round(x) + 1024 * which, round(y)
            box = (slice(y - 15, y + 16), slice(x - 15, x + 16))
            near[y - 140 : y + 141, x - 140 : x + 141] = True
            # A 31-pixel box holds nine tenths of the light; photon noise of the companion
            # shares its normals with the twin, so little is left of it.
            rate = bands[which]["star_rate_adu_s"] * companion["contrast"][which] * 64.0
            rate *= shot["companion_transmission"][companion["name"]] * shot["transparency"]
            rate *= np.median(response[box])
            if rate > 500:
                assert difference[box].sum() == pytest.approx(0.9 * rate, rel=0.12)
    assert np.all(difference[~near] == 0)


def test_another_seed_gives_other_speckles_and_other_noise(brief):
    lights, noises = [], []
    for seed in (1, 2):
        night = prepare(brief.revise({"seed": seed}))
        file = night.files[-1]
        lights.append(light_of(night, file, 0)[0])
        noises.append(night.readout.expose(0.0, 64.0, (file.index, 0)))
    assert file.kind == "OBJECT"
    ring = (slice(540, 560), slice(460, 510))
    assert np.corrcoef(lights[0][ring].ravel(), lights[1][ring].ravel())[0, 1] < 0.8
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.1


def test_folder_with_raw_files_is_left_alone(brief, tmp_path):
    (tmp_path / "SPHER.2018-01-01T00:00:00.000.fits").touch()
    with pytest.raises(ConfigError, match="already holds raw files"):
        simulate_irdis(brief, tmp_path)


@pytest.mark.parametrize(
    ("changes", "bands"),
    [
        ({"filter": "DB_K12"}, ("K1", "K2")),
        ({"filter": "BB_H"}, ("BB_H", "BB_H")),
        ({"filter": "DB_Y23", "coronagraph": "N_NS_CLEAR"}, ("Y2", "Y3")),
        ({"pointing": {"tracking": "FIELD", "posang_deg": 30.0}}, ("H2", "H3")),
        ({"date": "2015-03-15"}, ("H2", "H3")),
        ({"target": {"r_magnitude": 12.0}, "atmosphere": {"tau0_ms": 30.0}}, ("H2", "H3")),
    ],
)
def test_other_setups_give_finite_light_and_valid_headers(brief, changes, bands):
    night = prepare(brief.revise(changes))
    file = next(file for file in night.files if file.kind == "OBJECT")
    light, integration = light_of(night, file, 0)
    assert np.isfinite(light).all()
    assert light.min() >= 0
    assert tuple(band.name for band in night.bands) == bands
    assert all(0 < strehl < 1 for strehl in integration.strehl)
    cards = {
        card.keyword: card.value for card in map(fits.Card.fromstring, night.headers.cards(file))
    }
    assert cards["ESO INS COMB IFLT"] == night.scenario.filter
    assert ("DUAL" in cards["ESO DPR TECH"]) is night.scenario.filter.startswith("DB")


def test_spiders_keep_their_direction_on_the_sky(brief):
    """North-up wings of field and pupil tracking agree; derotation is typed out for both."""
    quiet = {
        "coronagraph": "N_NS_CLEAR",
        "effects": {"speckles": False, "motion": False, "noise": False, "detector": False},
        "companions": [],
        "hour_angle_h": 0.5,
        "sequence": {"object": {"dit_s": 2.0}},
    }
    wings = {}
    for tracking in ("PUPIL", "FIELD"):
        pointing = {"tracking": tracking, "posang_deg": 30.0}
        night = prepare(brief.revise({**quiet, "pointing": pointing}))
        file = next(file for file in night.files if file.kind == "OBJECT")
        light, _ = light_of(night, file, 0)
        parang = night.sky[file.index].parang_deg[0].mean()
        derotation = parang + 135.99 - 1.75 if tracking == "PUPIL" else 30.0 - 1.75
        wings[tracking] = _round_the_star(light, *night.sky[file.index].star_px[0, 0], derotation)
        if tracking == "PUPIL":
            turned = _round_the_star(light, *night.sky[file.index].star_px[0, 0], -derotation)
    same = np.corrcoef(wings["PUPIL"], wings["FIELD"])[0, 1]
    assert same > 0.9
    assert same > np.corrcoef(turned, wings["FIELD"])[0, 1] + 0.2


def _round_the_star(light, x, y, derotation_deg):
    """Mean light between 40 and 80 px by position angle, in steps of 2 deg."""
    angle = np.radians(np.arange(0, 360, 2)[:, None] - derotation_deg)
    radius = np.arange(40, 80, 0.5)[None, :]
    at = (y + radius * np.cos(angle), x - radius * np.sin(angle))
    return map_coordinates(light[:, :1024].astype(float), at, order=1).mean(axis=1)
