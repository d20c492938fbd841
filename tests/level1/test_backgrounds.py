from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from thermal_frames import DIT_S, ThermalField, cleaned, companion_error, inner_level

from spheredc_hpc.calibration.templates import background_templates
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.detectors import detector
from spheredc_hpc.level1.io import Calibration
from spheredc_hpc.level1.parts.backgrounds import (
    BackgroundModel,
    background_models,
    column_pattern,
    fit_quality,
)
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings, FieldCleaner, Region
from spheredc_hpc.model.association import CalibrationUse

DEVICE = detector("IRDIS")
WINDOW = Region(slice(300, 620), slice(200, 600))
STAR = (400.0, 460.0)


@pytest.fixture
def rng():
    return np.random.default_rng(20180324)


def model(images, kind, **settings):
    """Model of a rectangle of the left field."""
    chosen = CosmeticSettings(**settings)
    products = {"background": Calibration(images)}
    context = (DEVICE, default_constants(), chosen)
    whole = FieldCleaner.of(0, WINDOW, products, DIT_S, context)
    return BackgroundModel.of(whole, kind, chosen)


def background(rng, **more):
    columns = np.indices(DEVICE.shape)[1]
    mean = (20 + 10 * np.sin(columns / 60)).astype(np.float32)
    mean += rng.normal(scale=0.5, size=mean.shape).astype(np.float32)
    ones = np.ones_like(mean)
    return {"MEAN": mean, "VARIANCE": 0.1 * ones, "COUNT": ones, **more}


def raw_frame(rng, images, scale, offset, halo=2000.0):
    """Scaled background, a star with its halo, and a companion in the fitted part."""
    y, x = np.indices((1024, 1024))
    radius = np.maximum(np.hypot(x - STAR[0], y - STAR[1]), 3)
    raw = scale * images["MEAN"][:, :1024] + offset + halo * (radius / 10) ** -2.5
    raw += 1000 * np.exp(-0.5 * np.hypot(x - 550, y - 350) ** 2 / 2)
    return (raw + rng.normal(size=raw.shape)).astype(np.float32)


def test_scale_and_offset_are_found_beside_a_star_and_its_halo(rng):
    images = background(rng)
    used = model(images, "scale")
    raw = raw_frame(rng, images, 1.3, 4.0)
    extra, fit = used.correction(raw, STAR, 100.0, WINDOW)
    # What is beyond the background of the calibration: 0.3 of it and the offset.
    assert fit.terms["scale"] == pytest.approx(0.3, abs=0.01)
    cut = images["MEAN"][:, :1024][WINDOW.rows, WINDOW.columns]
    assert np.abs(extra - (0.3 * cut + 4)).max() < 0.5
    assert fit.scatter_adu < 0.3
    assert fit_quality({"plane": [fit, None]})["frames"]["plane"][1] is None


def test_terms_are_those_of_the_kind(rng):
    images = background(rng, TEMPLATE1=np.ones(DEVICE.shape, np.float32))
    assert model(images, "none").names == ()
    assert model(images, "scale").names == ("offset", "scale")
    assert model(images, "templates").names == ("offset", "thermal", "template1")


@pytest.mark.parametrize(
    ("wavelengths_um", "flags", "settings", "terms"),
    [
        ((1.59, 1.67), (), {}, None),
        ((2.11, 2.25), (), {}, ("offset", "thermal")),
        ((2.11, 2.25), (), {"background_fit": "none"}, None),
        ((1.59, 1.67), ("BG_DARK",), {}, ("offset", "scale")),
        ((1.59, 1.67), ("BG_AGE",), {"background_fit": "none"}, None),
        ((1.59, 1.67), None, {}, ("offset",)),
    ],
)
def test_band_and_origin_of_the_background_decide_what_is_fitted(
    rng, wavelengths_um, flags, settings, terms
):
    chosen = CosmeticSettings(**settings)
    context = (DEVICE, default_constants(), chosen)
    products = {} if flags is None else {"background": Calibration(background(rng))}
    whole = FieldCleaner.of(0, WINDOW, products, DIT_S, context)
    use = CalibrationUse("background:OBJECT", "background", "", "DARK", "nominal", 0.0)
    uses = () if flags is None else (replace(use, flags=flags),)
    bench = SimpleNamespace(
        settings=chosen,
        setup=SimpleNamespace(bands=[SimpleNamespace(wavelength_um=w) for w in wavelengths_um]),
        inputs=SimpleNamespace(association=SimpleNamespace(calibrations=uses, missing=())),
        cleaners=lambda role, dit_s, half_px, nd: (whole, whole),
    )
    models = background_models(bench, "OBJECT", DIT_S)
    assert [None if item is None else item.names for item in models] == [terms, terms]


def test_too_few_blocks_leave_the_frame_alone(rng):
    images = background(rng)
    used = model(images, "scale")
    extra, fit = used.correction(raw_frame(rng, images, 1.3, 4.0), STAR, 300.0, WINDOW)
    assert not extra.any()
    assert np.isnan(fit.scatter_adu)
    assert fit.plain()["scatter_adu"] is None


def test_columns_are_levelled_by_their_outer_rows(rng):
    images = background(rng)
    bands = rng.normal(scale=1.5, size=1024).astype(np.float32)
    raw = images["MEAN"][:, :1024] + bands + rng.normal(size=(1024, 1024)).astype(np.float32)
    used = model(images, "none", column_rows=60)
    extra, _ = used.correction(raw, STAR, 100.0, WINDOW)
    left = bands[WINDOW.columns] - extra[0]
    # Medians of 120 pixels of unit noise, and the noise of the background.
    assert np.std(left) < 0.2
    assert column_pattern(np.ones((200, 3), np.float32), 60).tolist() == [1, 1, 1]


def test_planes_that_differ_by_noise_have_no_templates(rng):
    planes = [rng.normal(100, 10, size=DEVICE.shape).astype(np.float32) for _ in range(3)]
    assert background_templates(planes, np.mean(planes, axis=0), 10.0, DEVICE, 3) == {}
    assert background_templates(planes[:2], planes[0], 0.1, DEVICE, 3) == {}


@pytest.mark.slow
def test_templates_take_a_thermal_background_out_whose_pattern_moves():
    thermal = ThermalField(np.random.default_rng(11))
    product = thermal.background(5)
    assert product.quality["templates"] == 2
    frames = [thermal.science() for _ in range(6)]
    level, error = {}, {}
    for kind in ("none", "scale", "templates"):
        settings = CosmeticSettings(background_fit=kind)
        rest, region, _ = cleaned(thermal, product, frames, settings)
        level[kind] = np.array([inner_level(image, region) for image in rest])
        error[kind] = np.array([companion_error(image, region) for image in rest])
    rms = {kind: float(np.sqrt(np.mean(values[:, 0] ** 2))) for kind, values in level.items()}
    # The level swings by 4 % of 400 adu, the gradient by 2 %; scale and offset cannot follow it.
    assert rms["none"] > 10
    assert rms["templates"] < min(1.0, rms["scale"] / 3)
    assert level["templates"][:, 1].mean() < 0.8
    # Photon noise of a companion of 40 000 adu in an aperture of 150 px is half a per cent.
    assert abs(error["templates"].mean()) < 0.01
    assert np.std(error["templates"]) < 0.02 < np.std(error["none"])
