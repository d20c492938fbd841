"""What every algorithm of the registry promises."""

import numpy as np
import pytest

from spheredc_hpc.level2.traits import Problem, traits_of
from spheredc_hpc.registry import ALGORITHMS


@pytest.fixture
def speckles():
    rng = np.random.default_rng(6)
    return (rng.standard_normal((14, 300)) + 5 * rng.standard_normal(300)).astype(np.float32)


@pytest.fixture(params=list(ALGORITHMS))
def entry(request):
    return ALGORITHMS[request.param]


@pytest.fixture
def subtract(entry):
    return lambda frames: entry.run(frames, None, entry.settings())


def test_residuals_have_shape_and_type_of_the_frames(subtract, speckles):
    residuals = subtract(speckles)
    assert residuals.shape == speckles.shape
    assert residuals.dtype == speckles.dtype
    assert np.isfinite(residuals).all()


def test_inputs_are_left_alone(subtract, speckles):
    before = speckles.copy()
    subtract(speckles)
    np.testing.assert_array_equal(speckles, before)


def test_brighter_frames_give_brighter_residuals(subtract, speckles):
    np.testing.assert_allclose(subtract(4 * speckles), 4 * subtract(speckles), atol=1e-4)


def test_traits_describe_the_algorithm(entry, speckles):
    traits, settings = traits_of(entry.run), entry.settings()
    residuals = entry.run(speckles, None, settings)
    if traits.coefficients is not None:
        rows = speckles.astype(np.float64)
        if settings.centre == "temporal":
            rows -= rows.mean(axis=0)
        elif settings.centre == "spatial":
            rows -= rows.mean(axis=1, keepdims=True)
        count = len(rows)
        rules = settings.references
        geometric = rules.exclusion_fwhm is not None or rules.self_subtraction is not None
        allowed = ~np.eye(count, dtype=bool) if geometric else np.ones((count, count), bool)
        problem = Problem(rows @ rows.T, np.arange(count), allowed)
        found = traits.coefficients(problem, settings)
        assert found.shape == (len(settings.counts), count, count)
        assert not found[:, ~allowed].any()
        np.testing.assert_allclose(rows - found[0] @ rows, residuals, atol=2e-5)
    if traits.pixelwise:
        part = entry.run(speckles[:, 40:90], None, settings)
        np.testing.assert_array_equal(part, residuals[:, 40:90])
    if traits.framewise:
        frames = speckles[:, :289].reshape(-1, 17, 17)
        whole = entry.run(frames, None, settings)
        np.testing.assert_array_equal(entry.run(frames[5:8], None, settings), whole[5:8])
        assert np.abs(whole - frames).max() > 1


def test_entry_has_settings_and_a_summary(entry):
    assert entry.settings is not None
    assert entry.summary.endswith(".")
