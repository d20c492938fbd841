"""Each failure of real archives appears where it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.simulate import load_scenario, simulate_irdis
from spheredc_hpc.simulate.timeline import plan_files


def planned(**defects):
    scenario = load_scenario("first-light").revise({"defects": defects})
    return plan_files(scenario, default_constants())


def of_kind(files, kind):
    return [file for file in files if file.kind == kind]


@pytest.mark.parametrize(
    ("defect", "kind"),
    [
        ("missing_center", "CENTER"),
        ("missing_flux", "FLUX"),
        ("missing_flat", "FLAT"),
        ("missing_background", "BACKGROUND"),
        ("missing_background", "SKY"),
    ],
)
def test_class_is_missing(defect, kind):
    assert of_kind(planned(), kind)
    assert not of_kind(planned(**{defect: True}), kind)


def test_aborted_file_holds_fewer_planes_than_planned():
    last = of_kind(planned(aborted_file=True), "OBJECT")[-1]
    assert last.n_planes < last.ndit


def test_calibrations_can_have_the_wrong_dit_density_or_night():
    science = {(file.dit_s, file.nd) for file in planned() if file.on_sky}
    wrong = planned(dark_wrong_dit=True)
    assert not {file.dit_s for file in of_kind(wrong, "DARK")} & {dit for dit, _ in science}
    other = {(file.dit_s, file.nd) for file in of_kind(planned(nd_mismatch=True), "BACKGROUND")}
    assert (2.0, "ND_1.0") in science - other
    late = of_kind(planned(calibrations_next_night=True), "FLAT")[0]
    assert late.start_mjd - of_kind(planned(), "FLAT")[0].start_mjd == pytest.approx(4.0, abs=1e-6)


def test_integration_times_can_be_mixed():
    assert len({file.dit_s for file in of_kind(planned(mixed_dit=True), "OBJECT")}) == 2


def test_dither_follows_a_grid_or_not():
    grid = {tuple(round(v) for v in f.dither_px) for f in of_kind(planned(), "OBJECT")}
    assert len(grid) == 6
    still = load_scenario("first-light").revise({"pointing": {"dither": False}})
    files = of_kind(plan_files(still, default_constants()), "OBJECT")
    assert {tuple(round(v) for v in f.dither_px) for f in files} == {(0, 0)}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """One night with everything that can be wrong with files at once."""
    scenario = load_scenario("first-light-small").revise(
        {
            "sequence": {
                "center_after": {"files": 0},
                "object": {"files": 5, "ndit": 2, "dit_s": 8.0},
                "sky": {"files": 0},
            },
            "calibrations": {"dark_ndit": 0, "background_ndit": 0, "flat_dits_s": []},
            "defects": {
                "nan_plane": True,
                "truncated_file": True,
                "wrong_checksum": True,
                "duplicate_file": True,
                "old_spelling": True,
                "missing_fram_utc": True,
                "open_loop": True,
                "foreign_target": True,
                "clouds": True,
                "saturated_flux": True,
            },
        }
    )
    return simulate_irdis(scenario, tmp_path_factory.mktemp("spoilt"), threads=2)


def opened(truth, entry):
    return fits.open(truth.folder / entry["file"], memmap=False)


def test_one_plane_is_nan(spoilt):
    with opened(spoilt, spoilt.of_kind("OBJECT")[1]) as units:
        assert np.isfinite(units[0].data[0]).all()
        assert np.isnan(units[0].data[1]).all()


def test_one_file_ends_early(spoilt):
    path = spoilt.folder / spoilt.of_kind("OBJECT")[2]["file"]
    assert path.stat().st_size < 2 * 1024 * 2048 * 4


def test_one_checksum_is_wrong(spoilt):
    good, bad = spoilt.of_kind("OBJECT")[0], spoilt.of_kind("OBJECT")[3]
    with opened(spoilt, good) as units:
        assert units[0].verify_datasum() == 1
    with opened(spoilt, bad) as units:
        assert units[0].verify_datasum() == 0


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_one_archive_id_is_there_twice(spoilt):
    ids = [fits.getheader(path)["ARCFILE"] for path in spoilt.folder.glob("SPHER*.fits")]
    assert len(ids) - len(set(ids)) == 1


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_headers_tell_of_old_spelling_open_loop_and_foreign_target(spoilt):
    head = fits.getheader(spoilt.folder / spoilt.of_kind("CENTER")[0]["file"])
    assert head["ESO DPR TYPE"] == "OBJECT,CENTRE"
    assert "ESO DET FRAM UTC" not in head
    first, *_, last = (
        fits.getheader(spoilt.folder / entry["file"]) for entry in spoilt.of_kind("OBJECT")
    )
    assert first["ESO AOS HOLOOP STATE"] == "OPEN_LOOP"
    assert last["ESO OBS TARG NAME"] != first["ESO OBS TARG NAME"]
    assert last["DEC"] - first["DEC"] > 1


def test_open_loop_ruins_the_image_and_clouds_dim_it(spoilt):
    shots = [shot for entry in spoilt.of_kind("OBJECT") for shot in entry["integrations"]]
    assert shots[0]["strehl"][0] < 0.2 < 0.7 < shots[-1]["strehl"][0]
    clear = [shot["transparency"] for shot in shots]
    assert min(clear) == pytest.approx(0.5 * max(clear), rel=0.1)


def test_flux_without_density_saturates(spoilt):
    with opened(spoilt, spoilt.of_kind("FLUX")[0]) as units:
        x, y = spoilt.of_kind("FLUX")[0]["integrations"][0]["star_px"][0]
        box = units[0].data[0, round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
    assert (box > 33000).sum() > 9
