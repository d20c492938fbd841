"""What a reduction could not do is in its status, with the figure."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic_sequence

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.level2.caveats import shortage_of
from spheredc_hpc.level2.engine import Method, Reduction
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.sequence import prepare
from spheredc_hpc.level2.strategies.asdi import asdi
from spheredc_hpc.model.product import Status
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.registry import ALGORITHMS

IMAGING = ImagingSettings(outer_mas=450, throughput_branches=1)


@pytest.fixture(scope="module")
def cube():
    return synthetic_sequence.sequence(seed=2, n_wave=1, n_time=10, side=91)


def recipe(algorithm, imaging=IMAGING, **settings):
    return Recipe(algorithm=algorithm, imaging=imaging, settings=settings)


def test_zones_without_enough_references_are_flagged_with_their_radius(cube):
    references = {"exclusion_fwhm": 3.0, "min_references": 5}
    settings = {"n_modes": 3, "zones": {"annulus_fwhm": 2.0}, "references": references}
    result = reduce(cube, recipe("klip", **settings))
    assert result.status is Status.FLAGGED
    assert "REFERENCES_FEW" in result.flags
    assert set(result.flags) <= set(FLAGS)
    # By hand: frames of which fewer than five others have moved far enough, annulus by annulus.
    channel = prepare(cube, IMAGING).channels[0]
    entry = ALGORITHMS["klip"]
    reduction = Reduction(channel, Method(entry, entry.settings(**settings), "mean"))
    angle = np.deg2rad(channel.rotation.middle_deg)
    chord = 2 * np.abs(np.sin((angle[:, None] - angle[None, :]) / 2))
    short, pixels, edge = [], [], 0.0
    for zone in reduction.zones:
        far = chord * zone.radius_px >= 3 * channel.star.fwhm_px
        short.append(np.mean(far.sum(axis=1) < 5))
        pixels.append(zone.subtraction.size)
        edge = zone.outer_px * channel.pixel_scale_mas if short[-1] > 0.5 else edge
    assert min(short) < 1
    found = shortage_of([reduction])
    assert found.share == pytest.approx(np.average(short, weights=pixels))
    assert found.within_mas == pytest.approx(edge)
    assert f"within {edge:.0f} mas" in result.reasons[0]
    assert result.quality["short_of_references"] == round(found.share, 4)


def test_enough_references_are_not_flagged(cube):
    settings = {"n_modes": 3, "references": {"exclusion_fwhm": 0.1, "min_references": 3}}
    result = reduce(cube, recipe("klip", **settings))
    assert "REFERENCES_FEW" not in result.flags
    assert result.quality["short_of_references"] == 0
    assert reduce(cube, recipe("pca", n_modes=3)).quality["short_of_references"] == 0


def test_a_field_in_which_no_companion_fits_is_flagged(cube):
    # Gaps on a grid of four pixels: no aperture of one FWHM is whole anywhere.
    science = cube.science.copy()
    science[..., ::4, :] = np.nan
    science[..., :, ::4] = np.nan
    result = reduce(replace(cube, science=science), recipe("pca", n_modes=2))
    assert not np.isfinite(result.images.contrast).any()
    assert result.status is Status.FLAGGED
    assert "LIMITS_MISSING" in result.flags
    assert "no detection limit in channels 0" in result.reasons[0]


def test_self_subtraction_is_that_of_the_assumed_spectrum():
    # A companion that shines in one of two channels: the other channel takes nothing from it.
    cube = synthetic_sequence.sequence(seed=4, n_wave=2, n_time=6, side=91)
    (rows,) = asdi(prepare(cube, IMAGING))
    entry = ALGORITHMS["tloci"]
    settings = entry.settings(references={"self_subtraction": 0.3, "max_references": None})

    def serving(spectrum):
        """Which rows of the second channel serve the targets of the first."""
        reduction = Reduction(rows, Method(entry, settings, "mean", spectrum=spectrum))
        both = [k for k, part in enumerate(reduction.parts) if part.channels.size == 2]
        (block,) = reduction.operator(both[len(both) // 2])
        first, second = (np.flatnonzero(rows.table.channel == k) for k in (0, 1))
        return block.matrix[0][np.ix_(first, second)] != 0

    assert serving((1.0, 0.0)).all()
    assert not np.diagonal(serving((1.0, 1.0))).any()
    np.testing.assert_array_equal(serving(None), serving((3.0, 3.0)))
