"""FLUX exposures of a made-up star: scale of the point-spread function, and what is left out."""

from types import SimpleNamespace

import numpy as np
import pytest

from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.kernels.airy import airy_enclosed, airy_peak
from spheredc_hpc.level1.io import Level1Inputs
from spheredc_hpc.level1.parts.centres import CentreModel, CentreSolution
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings
from spheredc_hpc.level1.parts.flux_frames import reduce_flux
from spheredc_hpc.level1.parts.photometry import PhotometrySettings
from spheredc_hpc.level1.parts.setup import Bench, background_role, irdis_setup
from spheredc_hpc.model.frame import FrameRef

CONSTANTS = default_constants()
HEADER = {
    "DATE-OBS": "2018-03-15T03:47:02.616",
    "ESO DET FRAM UTC": "2018-03-15T03:47:05.616",
    "ESO DET SEQ1 DIT": 2.0,
    "ESO INS COMB IFLT": "DB_H23",
    "ESO INS COMB ICOR": "N_ALC_YJH_S",
    "ESO INS4 FILT2 NAME": "OPEN",
}
COUNTS = 1.0e5


def reduced(offset_px, factors=(1.0,), brightness=1.0, **changes):
    """Reduce FLUX files of one integration each, stars of `COUNTS` at an offset from the mask."""
    setup = irdis_setup(HEADER, 58192.0, CONSTANTS)
    plane = np.zeros((1, *setup.device.shape), np.float32)
    rows, columns = np.indices((1024, 1024))
    for part, (x, y) in zip(setup.device.fields, setup.guesses, strict=True):
        square = (columns - x - offset_px) ** 2 + (1.0062 * (rows - y)) ** 2
        sigma = 1.45
        light = np.exp(-0.5 * square / sigma**2) / (2 * np.pi * sigma**2)
        plane[0, :, part] = brightness * COUNTS * light
    plane = np.minimum(plane, np.float32(setup.device.saturation_adu))
    header = {**HEADER, "ESO INS4 FILT2 NAME": "ND_1.0", **changes}
    inputs = Level1Inputs(
        association=SimpleNamespace(
            frames={
                "FLUX": tuple(
                    FrameRef(f"{i}:{factor}", "", 0, "") for i, factor in enumerate(factors)
                )
            },
            calibrations=(),
            missing=(),
        ),
        constants=CONSTANTS,
        read_header=lambda ref: header,
        read=lambda ref: (header, plane * np.float32(ref.archive_id.split(":")[1])),
        read_table=lambda ref, name: None,
    )
    models = tuple(
        CentreModel(np.array([58192.0]), np.array([guess]), np.zeros((1, 2)), 0.0, 0.0)
        for guess in setup.guesses
    )
    bench = Bench(inputs, setup, CosmeticSettings())
    return reduce_flux(bench, CentreSolution(models, "waffle"), PhotometrySettings())


def test_flux_is_divided_by_time_and_density_of_each_channel_and_by_the_transmission():
    # 37 px are 453 mas, where the published curve of this coronagraph passes 0.996.
    solution = reduced(37.0)
    sums = solution.psf.sum(axis=(1, 2, 3), dtype=np.float64)
    expected = [COUNTS / 2.0 / nd / 0.996 for nd in (0.116, 0.140)]
    np.testing.assert_allclose(sums, expected, rtol=0.002)
    assert solution.flags == ()


def test_star_behind_the_mask_is_no_measure_of_flux():
    # At 49 mas the mask of this coronagraph, 92.5 mas in radius, hides most of the star.
    solution = reduced(4.0)
    assert dict(solution.flags).keys() == {"FLUX_MISSING"}
    assert np.isnan(solution.psf).all()


def test_star_on_axis_counts_if_the_mask_was_taken_out():
    solution = reduced(0.0, **{"ESO INS COMB ICOR": "N_NS_CLEAR"})
    sums = solution.psf.sum(axis=(1, 2, 3), dtype=np.float64)
    assert sums[0] == pytest.approx(COUNTS / 2.0 / 0.116, rel=0.002)


def test_flux_files_that_differ_are_kept_and_flagged():
    steady = reduced(37.0, factors=(1.0, 1.02))
    assert "FLUX_UNSTABLE" not in dict(steady.flags)
    assert steady.quality["change"] == pytest.approx(0.02 / 1.01, rel=0.02)
    changed = reduced(37.0, factors=(1.0, 1.0, 0.8))
    assert changed.psf.shape[1] == 3
    assert "differs by 21 %" in dict(changed.flags)["FLUX_UNSTABLE"]
    assert [item["frames"] for item in changed.quality["files"]] == [1, 1, 1]


def test_a_star_without_core_is_no_measure_of_flux():
    solution = reduced(37.0, brightness=30.0)
    assert {"FLUX_SAT", "FLUX_MISSING"} <= set(dict(solution.flags))
    assert np.isnan(solution.psf).all()
    assert "lost in saturation" in dict(solution.flags)["FLUX_MISSING"]


def test_every_integration_is_listed_with_the_reason_why_it_is_left_out():
    behind = reduced(4.0)
    (row,) = behind.quality["integrations"]
    assert "passes the coronagraph" in row["left_out"]
    assert "passes the coronagraph" in dict(behind.flags)["FLUX_MISSING"]
    lost = reduced(37.0, brightness=30.0).quality["integrations"][0]
    assert lost["left_out"].startswith("core lost in saturation")
    assert lost["strehl"] == [None, None]
    good = reduced(37.0).quality["integrations"][0]
    assert (good["archive_id"], good["plane"], good["left_out"]) == ("0:1.0", 0, None)
    # A Gaussian of 1.45 px is no image of a telescope: its peak is above that of one without rings.
    resolution = 1.593e-6 / 8.0 * 206264806.2 / 12.255
    gaussian = 1 / (2 * np.pi * 1.45**2)
    expected = (
        gaussian / airy_peak([resolution], 0.1395) * airy_enclosed(73.0, [resolution], 0.1395)
    )
    assert good["strehl"][0] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("found", "missing", "dit_s", "nd", "role"),
    [
        (("FLUX",), (), 2.0, "ND_1.0", "FLUX"),
        (("FLUX", "FLUX@2.00"), (), 2.0, "ND_1.0", "FLUX@2.00"),
        (("FLUX", "FLUX@2.00@ND_1.0"), (), 2.0, "ND_1.0", "FLUX@2.00@ND_1.0"),
        (("FLUX", "FLUX@2.00@ND_1.0"), (), 2.0, "ND_2.0", "FLUX"),
        (("FLUX",), ("FLUX@2.00@ND_1.0",), 2.0, "ND_1.0", "FLUX@2.00@ND_1.0"),
        (("FLUX",), ("FLUX@4.00",), 4.0, "ND_1.0", "FLUX@4.00"),
    ],
)
def test_a_background_is_that_of_the_time_and_density(found, missing, dit_s, nd, role):
    made, lacking = (
        tuple(SimpleNamespace(role=f"background:{name}") for name in names)
        for names in (found, missing)
    )
    association = SimpleNamespace(calibrations=made, missing=lacking)
    assert background_role(association, "FLUX", dit_s, nd) == f"background:{role}"
