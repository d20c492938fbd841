"""A simulated night through the calibration and Level 1 steps, against its truth."""

from dataclasses import replace

import numpy as np
import pytest

from spheredc_hpc.association.engine import Associator, Versions
from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.config import AssociationSettings, parse
from spheredc_hpc.errors import ConfigError, ExternalError
from spheredc_hpc.ingest.scan import scan
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.instrument.detectors import detector
from spheredc_hpc.kernels.gaussian import fit_gaussian
from spheredc_hpc.model.association import Missing
from spheredc_hpc.model.product import Status
from spheredc_hpc.simulate import load_scenario, simulate_irdis
from spheredc_hpc.simulate.truth import MAPS_FILE
from spheredc_hpc.steps.calibrate import make_calibration
from spheredc_hpc.steps.level1 import reduce_level1
from spheredc_hpc.store.calibrations import read_calibration
from spheredc_hpc.store.codec import write_record
from spheredc_hpc.store.cube import read_cube
from spheredc_hpc.store.receipt import verify

SIZE = 400
KINDS = ("background", "flat", "bad_pixels")
CONFIG = parse({"level1": {"irdis_dbi": {"crop_px": SIZE}}})
COMPANIONS = [
    {"name": "b", "separation_mas": 700.0, "position_angle_deg": 127.0, "contrast": [0.004, 0.002]},
    {
        "name": "c",
        "separation_mas": 1900.0,
        "position_angle_deg": 312.0,
        "contrast": [0.002, 0.004],
    },
]


class Night:
    """The frames, their plan and truth, and a root with all calibrations."""

    def __init__(self, folder, root):
        scenario = load_scenario("first-light-small").revise(
            {
                "companions": COMPANIONS,
                "sequence": {"object": {"files": 2, "ndit": 2}, "center_after": {"ndit": 2}},
                "defects": {"old_spelling": True},
            }
        )
        self.truth = simulate_irdis(scenario, folder, threads=1)
        frames = scan([folder]).frames
        versions = Versions(dict.fromkeys(KINDS, ""), "")
        associator = Associator(FrameIndex(frames), AssociationSettings(), versions)
        (group,) = group_frames(frames).groups
        self.association = associator.associate(group)
        self.jobs = associator.jobs
        self.root = root
        self.receipts = {}
        for kind in KINDS:
            for product, job in self.jobs.items():
                if job.kind == kind:
                    self.receipts[product] = self.calibrate(job)

    def calibrate(self, job, threads=1):
        plan = self.root / "plan" / f"{job.kind}-{job.key}.json"
        write_record(job, plan)
        return make_calibration(plan, self.root / job.product / "receipt.json", CONFIG, threads)

    def reduce(self, association, name, threads=1):
        plan = self.root / "plan" / f"{name}.json"
        write_record(association, plan)
        target = self.root / "observations" / name / "level1"
        return reduce_level1(plan, target / "receipt.json", CONFIG, threads), target

    def integrations(self, kind):
        return {
            f"{entry['archive_id']} plane {k}": item
            for entry in self.truth.of_kind(kind)
            for k, item in enumerate(entry["integrations"])
        }


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return Night(tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def product(night):
    receipt, target = night.reduce(night.association, "whole")
    return receipt, target, read_cube(target / "cube.zarr")


def test_calibrations_are_sound_and_find_what_the_simulator_put_there(night):
    assert {receipt.status for receipt in night.receipts.values()} == {Status.OK}
    maps = np.load(night.truth.folder / MAPS_FILE)
    lit = np.concatenate(list(detector("IRDIS").illuminated_mask()), axis=1)
    (name,) = [p for p in night.receipts if "bad_pixels" in p]
    found = read_calibration(night.root / name)["MASK"] > 0
    assert (found & maps["bad"])[lit].sum() > 0.99 * maps["bad"][lit].sum()
    assert (found & ~maps["bad"])[lit].mean() < 1e-3
    (name,) = [p for p in night.receipts if "/flat/" in p]
    flat = read_calibration(night.root / name)["FLAT"]
    good = lit & ~maps["bad"]
    ratio = flat[good] / maps["response"][good]
    # Five levels of one plane: photon noise of 0.6 %.
    assert np.std(ratio / np.median(ratio)) < 0.01


def test_receipt_names_inputs_with_digests_and_all_outputs(night, product):
    receipt, target, _ = product
    assert receipt.status is Status.OK
    assert receipt.flags == ()
    assert verify(target) == []
    assert {output.path.partition("/")[0] for output in receipt.outputs} == {
        "cube.zarr",
        "preview.png",
    }
    roles = {ref.role for ref in receipt.inputs}
    assert {"OBJECT", "CENTER", "FLUX", "flat", "bad_pixels", "background:OBJECT"} <= roles
    pixels = {ref.id: ref.sha256 for ref in receipt.inputs if ref.role in ("OBJECT", "CENTER")}
    assert all(len(digest) == 64 for digest in pixels.values())
    assert str(night.truth.folder) not in (target / "receipt.json").read_text()


def test_angles_and_times_are_those_of_the_truth(night, product):
    _, _, cube = product
    truth = [night.integrations("OBJECT")[name] for name in cube.attrs["frames"]]
    for name, key in (("parang_deg", "parang_mean_deg"), ("derotation_deg", "derotation_mean_deg")):
        expected = np.array([item[key] for item in truth])
        difference = (getattr(cube, name) - expected + 180) % 360 - 180
        np.testing.assert_allclose(difference, 0, atol=0.01)
    seconds = (cube.mjd - [item["mjd_mid"] for item in truth]) * 86400
    np.testing.assert_allclose(seconds, 0, atol=1e-3)
    assert np.all(np.abs(cube.derotation_end_deg - cube.derotation_start_deg) < 2)


def test_centres_lie_within_their_errors(night, product):
    _, _, cube = product
    center = night.integrations("CENTER")
    for row in cube.attrs["centres_measured"]:
        star = center[f"{row['archive_id']} plane {row['plane']}"]["star_px"][row["channel"]]
        np.testing.assert_allclose([row["x_px"], row["y_px"]], star, atol=0.1)
    truth = [night.integrations("OBJECT")[name]["star_px"] for name in cube.attrs["frames"]]
    pull = (cube.centre_px - np.moveaxis(truth, 1, 0)) / cube.centre_err_px
    assert np.abs(pull).max() < 3
    assert np.nanmax(cube.centre_err_px) < 0.15


def aperture(image, x, y):
    """Sum within 7 px less the median of the ring from 9 to 12 px."""
    rows, columns = np.indices(image.shape)
    radius = np.hypot(columns - x, rows - y)
    inside = radius <= 7
    return image[inside].sum() - inside.sum() * np.median(image[(radius > 9) & (radius < 12)])


@pytest.mark.parametrize("companion", COMPANIONS, ids=lambda companion: companion["name"])
def test_companions_stand_and_shine_where_psf_contrast_and_angle_say(product, companion):
    _, _, cube = product
    middle, separation = SIZE // 2, companion["separation_mas"]
    mask = off_axis_transmission(cube.attrs["coronagraph"], "IRDIS", [separation])[0]
    for channel in (0, 1):
        psf = cube.psf[channel].mean(axis=0)
        n = psf.shape[0] // 2
        core = fit_gaussian(psf[n - 6 : n + 7, n - 6 : n + 7], (6.0, 6.0), 1.4)
        np.testing.assert_allclose([core.x, core.y], 6.0, atol=0.02)
        for i, angle in enumerate(cube.derotation_deg):
            turn = np.radians(companion["position_angle_deg"] - angle)
            radius = separation / cube.pixel_scale_mas[channel]
            x, y = middle - radius * np.sin(turn), middle + radius * np.cos(turn)
            x0, y0 = round(x) - 6, round(y) - 6
            cut = cube.science[channel, i, y0 : y0 + 13, x0 : x0 + 13]
            fit = fit_gaussian(cut, (x - x0, y - y0), 1.4)
            # Errors of the centre and speckles beneath the companion.
            np.testing.assert_allclose([fit.x + x0, fit.y + y0], [x, y], atol=0.15)
            flux = aperture(cube.science[channel, i], x, y)
            expected = companion["contrast"][channel] * mask * aperture(psf, n, n)
            # Smearing over the integration carries 1 % out of the aperture.
            assert flux == pytest.approx(expected, rel=0.03)


def test_frames_weights_and_telemetry_are_complete(product):
    _, _, cube = product
    assert cube.science.shape == (2, 4, SIZE, SIZE)
    assert np.isfinite(cube.science).all()
    assert np.all(cube.weight >= 0)
    assert (cube.weight > 0).mean() > 0.99
    assert np.isfinite(cube.ao).all()
    assert cube.psf.shape == (2, 2, 64, 64)
    names = dict(zip(cube.metrics, cube.quality.T, strict=True))
    assert np.all(names["correlation"] > 0.9)
    assert np.all(names["loop_closed"] == 1)
    outer = cube.science[0, :, :40, :40] - cube.science[0, :, :40, :40].mean(axis=0)
    # The median: next to a cluster of bad pixels hardly any weight is left.
    expected = np.median(1 / cube.weight[0, :, :40, :40])
    # Differences of two files and two planes; the error of the background is common to all.
    assert 0.4 < outer.var() / expected < 1.1


def test_two_threads_give_the_same_bytes(night, product):
    receipt, _, _ = product
    again, target = night.reduce(night.association, "whole-again", threads=2)
    assert [o.sha256 for o in again.outputs] == [o.sha256 for o in receipt.outputs]
    assert verify(target) == []


def without(association, **roles):
    frames = {role: refs for role, refs in association.frames.items() if role not in roles}
    missing = tuple(
        Missing(role, "exposure", {}, "as planned", flag) for role, flag in roles.items() if flag
    )
    flags = tuple(flag for flag in roles.values() if flag)
    return replace(association, frames=frames, missing=missing, flags=flags)


def test_without_center_and_telemetry_the_product_is_flagged_and_nearly_as_good(night):
    association = without(night.association, CENTER="CENTER_ASSUMED", SPARTA="NO_SPARTA")
    receipt, target = night.reduce(association, "no-center")
    assert receipt.status is Status.FLAGGED
    assert receipt.flags == ("CENTER_ASSUMED", "NO_SPARTA")
    cube = read_cube(target / "cube.zarr")
    truth = [night.integrations("OBJECT")[name]["star_px"] for name in cube.attrs["frames"]]
    error = cube.centre_px - np.moveaxis(truth, 1, 0)
    assert np.abs(error).max() < 0.3
    assert np.abs(error / cube.centre_err_px).max() < 3
    assert cube.attrs["centre_method"] == "halo"


def test_without_calibrations_and_flux_everything_that_is_left_is_done(night):
    association = replace(without(night.association, FLUX="FLUX_MISSING"), calibrations=())
    receipt, target = night.reduce(association, "bare")
    assert receipt.status is Status.FLAGGED
    wanted = {"FLUX_MISSING", "BG_MISSING", "FLAT_MISSING", "BAD_PIXELS_MISSING"}
    assert wanted <= set(receipt.flags)
    cube = read_cube(target / "cube.zarr")
    assert np.isnan(cube.psf).all()
    assert cube.attrs["psf_calibrated"] is False
    assert np.isfinite(cube.science).all()


def test_a_planned_refusal_gives_a_rejected_product_without_cube(night):
    association = replace(night.association, rejected_because=("one frame only",))
    receipt, target = night.reduce(association, "refused")
    assert receipt.status is Status.REJECTED
    assert receipt.reasons == ("one frame only",)
    assert receipt.outputs == ()
    assert verify(target) == []


def test_a_rejected_calibration_is_passed_over(night):
    job = next(job for job in night.jobs.values() if job.kind == "bad_pixels")
    lone = replace(job, key="lone", upstream={})
    receipt = night.calibrate(lone)
    assert receipt.status is Status.REJECTED
    uses = tuple(
        replace(use, product=lone.product) if use.kind == "bad_pixels" else use
        for use in night.association.calibrations
    )
    receipt, _ = night.reduce(replace(night.association, calibrations=uses), "no-map")
    assert receipt.flags == ("BAD_PIXELS_MISSING",)
    assert any("bad_pixels was rejected" in reason for reason in receipt.reasons)


def test_an_absent_raw_file_is_an_error_that_names_it(night):
    first, *rest = night.association.frames["OBJECT"]
    gone = replace(first, path=str(night.root / "gone.fits"))
    frames = {**night.association.frames, "OBJECT": (gone, *rest)}
    with pytest.raises(ExternalError, match=r"gone\.fits is not there; mount it, or give reduce"):
        night.reduce(replace(night.association, frames=frames), "gone")


def test_a_receipt_in_a_foreign_place_is_refused(night):
    job = next(iter(night.jobs.values()))
    plan = night.root / "plan" / "foreign.json"
    write_record(job, plan)
    with pytest.raises(ConfigError, match="belongs to"):
        make_calibration(
            plan, night.root / "calibrations" / "flat" / "other" / "receipt.json", CONFIG, 1
        )
