import dataclasses

import numpy as np
import pytest
from synthetic_sequence import level1_cube

from spheredc_hpc.config.recipe import ImagingSettings
from spheredc_hpc.level2.selection import POLICIES, judge
from spheredc_hpc.store.cube import AO_QUANTITIES

N = 40
BAD = np.arange(N) % 10 < 3
METRICS = ("correlation", "flux", "flux_ring", "intensity_10")


@pytest.fixture
def rng():
    return np.random.default_rng(20201230)


@pytest.fixture
def cube(rng):
    """Frames of which three in ten are bad: by seeing, by wind, by clouds."""
    quality = np.stack(
        [
            0.97 + 0.004 * rng.standard_normal(N),
            *(np.exp(0.04 * rng.standard_normal(N)) for _ in METRICS[1:]),
        ],
        axis=1,
    )
    kinds = np.cumsum(BAD) % 3
    quality[BAD & (kinds == 0), 0] -= 0.15
    quality[BAD & (kinds == 0), 1:] *= 1.6
    quality[BAD & (kinds == 1), 0] -= 0.10
    quality[BAD & (kinds == 1), 3] *= 1.8
    quality[BAD & (kinds == 2), 1:] *= 0.5
    frames = rng.standard_normal((1, N, 21, 21)).astype(np.float32)
    made = level1_cube(frames, np.ones((1, 1, 9, 9), np.float32), np.linspace(0, 40, N))
    ao = np.full((N, len(AO_QUANTITIES)), np.nan)
    ao[:, AO_QUANTITIES.index("seeing_arcsec")] = np.linspace(0.5, 1.5, N)
    return dataclasses.replace(made, quality=quality, metrics=METRICS, ao=ao)


def left_out(cube, policy, usable=None):
    usable = np.ones(N, bool) if usable is None else usable
    verdict = judge(cube, policy, usable)
    assert not verdict.problem
    return np.any([np.zeros(N, bool), *verdict.causes.values()], axis=0)


def test_the_names_of_policies_are_those_of_the_setting():
    field = ImagingSettings.model_fields["selection"]
    assert set(field.annotation.__args__) == set(POLICIES)


@pytest.mark.parametrize("policy", ["outliers", "strict"])
def test_outliers_are_the_bad_frames(cube, policy):
    found = left_out(cube, policy)
    assert found[BAD].mean() >= 0.9
    assert found[~BAD].mean() <= {"outliers": 0.0, "strict": 0.05}[policy]


def test_an_even_sequence_loses_no_frame(cube, rng):
    quality = np.exp(0.01 * rng.standard_normal((N, len(METRICS))))
    even = dataclasses.replace(cube, quality=quality)
    assert not left_out(even, "outliers").any()


def test_all_keeps_all(cube):
    assert not left_out(cube, "all").any()


def test_the_best_are_kept_by_telemetry(cube):
    found = left_out(cube, "best-seeing")
    assert found.sum() == 8
    assert found[-8:].all()
    # Nothing is known of the Strehl ratio: nothing is left out.


def test_a_policy_without_its_figure_says_so(cube):
    usable = np.ones(len(cube.mjd), bool)
    verdict = judge(cube, "best-strehl", usable)
    assert not verdict.causes
    assert "needs strehl" in verdict.problem


def test_frames_that_cannot_be_used_are_no_standard(cube):
    usable = ~BAD
    assert not left_out(cube, "outliers", usable)[BAD].any()


def test_too_few_frames_are_all_used_and_said(cube):
    few = np.arange(N) < 4
    verdict = judge(cube, "outliers", few)
    assert not verdict.causes
    assert verdict.problem == "4 frames are too few to choose among"
