"""LOCI and TLOCI in the engine, against plain versions and known truth."""

from itertools import pairwise

import numpy as np
import pytest
import synthetic_sequence
from pydantic import ValidationError
from scipy import optimize

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.level2.engine import Companion, Method, Reduction
from spheredc_hpc.level2.patch import Patch
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.level2.rows import Rows, RowTable
from spheredc_hpc.level2.sequence import Channel, Star
from spheredc_hpc.level2.zones import annulus
from spheredc_hpc.registry import ALGORITHMS
from spheredc_hpc.store.images import SOURCE_COLUMNS

SIDE, COUNT, FWHM = 61, 16, 4.0
INNER, OUTER = 5.0, 28.0


def stamp():
    return Stamp.of(synthetic_sequence.gaussian((31, 31), 15, 15, FWHM))


@pytest.fixture(scope="module")
def channel():
    rng = np.random.default_rng(8)
    base = synthetic_sequence.speckles(rng, SIDE, FWHM, 6)
    walk = np.cumsum(rng.standard_normal((COUNT, 6)), axis=0)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    halo = 100 / (1 + np.hypot(x, y) / 5)
    frames = halo * (3 + 0.2 * np.tensordot(walk, base, 1)) + rng.standard_normal(
        (COUNT, SIDE, SIDE)
    )
    angles = np.linspace(0, 70, COUNT)
    whole = np.ones((SIDE, SIDE), bool)
    return Channel(
        frames.astype(np.float32),
        whole,
        annulus(SIDE, INNER, OUTER),
        Rotation(angles, angles, angles),
        Star(stamp(), FWHM, 1e4, 0.0),
        12.25,
        INNER,
        OUTER,
        np.ones(COUNT),
        0.0,
    )


def spectral_rows(channel, scale):
    """The same frames as exposures of two channels on one grid."""
    count = COUNT // 2
    angles = np.repeat(np.linspace(0, 50, count), 2)
    table = RowTable(
        np.tile([0, 1], count),
        np.repeat(np.arange(count), 2),
        Rotation(angles, angles, angles),
        np.tile([1.0, scale], count),
        np.ones(COUNT),
    )
    whole = np.ones((SIDE, SIDE), bool)
    zone = annulus(SIDE, INNER, OUTER)
    return Rows(channel.frames, whole, zone, table, (channel, channel), INNER, OUTER, FWHM)


def method(algorithm, combination="mean", **settings):
    entry = ALGORITHMS[algorithm]
    return Method(entry, entry.settings(**settings), combination)


def places():
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    return np.hypot(x, y).ravel(), np.rad2deg(np.arctan2(y, x)).ravel() % 360


def plain_residuals(frames, table, zones, exclusion_px, solve):
    """LOCI as its definition says: a loop over zones and frames, pixels picked by masks.

    Each of `zones` holds masks of subtraction and optimisation pixels and the middle radius.
    """
    rows = frames.reshape(len(frames), -1).astype(np.float64)
    place = table.scale * np.exp(-1j * np.deg2rad(table.rotation.middle_deg))
    residuals = np.zeros_like(rows)
    for subtraction, optimisation, radius in zones:
        for i in range(len(rows)):
            moved = radius * np.abs(place - place[i]) / table.scale[i]
            use = [j for j in range(len(rows)) if j != i and moved[j] >= exclusion_px]
            fitted = rows[np.ix_(use, np.flatnonzero(optimisation))]
            found = solve(fitted, rows[i, optimisation])
            residuals[i, subtraction] = rows[i, subtraction] - found @ rows[use][:, subtraction]
    return residuals


def by_lstsq(references, target):
    return np.linalg.lstsq(references.T, target, rcond=1e-3)[0]


def by_ridge(references, target, strength=1e-2):
    gram = references @ references.T
    damped = gram + strength * np.diag(gram).mean() * np.eye(len(gram))
    return np.linalg.solve(damped, references @ target)


def by_nnls(references, target):
    return optimize.nnls(references.T, target)[0]


SOLUTIONS = {
    "truncated": ({"tolerance": 1e-3}, by_lstsq),
    "ridge": ({"strength": 1e-2}, by_ridge),
    "positive": ({}, by_nnls),
}


def plain_zones(length_px=0):
    """Annuli of 6 px: quadrants fitted as they are, or the zones of the paper, some px long."""
    radius, azimuth = places()
    for low, high in pairwise([5, 11, 17, 23, 28]):
        inside = (radius >= (0 if low == 5 else low)) & (radius < (99 if high == 28 else high))
        start = max(min(low, OUTER - length_px), INNER)
        near = (radius >= start) & (radius < max(start + length_px, high)) & (radius <= OUTER)
        if high == OUTER or start + length_px >= OUTER:
            near = (radius >= start) & (radius <= OUTER)
        # As long as wide, by area, at the inner edge of the annulus.
        count = round(2 * np.pi * (0.5 + low / length_px)) if length_px else 4
        for one in range(count):
            sector = np.floor(azimuth / 360 * count + 1e-9) == one
            yield inside & sector, near & sector, 0.5 * (low + high)


WAYS = {"quadrants": ({"sectors": 4, "optimisation_area": None}, 0)}
WAYS["paper"] = ({"optimisation_area": 12**2 / (np.pi * FWHM**2 / 4)}, 12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solution", SOLUTIONS)
def test_loci_is_what_its_definition_says(channel, solution, way):
    (given, solve), (zones, length) = SOLUTIONS[solution], WAYS[way]
    reduction = Reduction(channel, method("loci", zones=zones, solution=solution, **given))
    table = reduction.rows.table
    wanted = plain_residuals(channel.frames, table, plain_zones(length), 0.5 * FWHM, solve)
    # Frames in single precision, halo of 300: 1e-4 of a noise of 1.
    np.testing.assert_allclose(
        reduction.residuals().reshape(COUNT, -1), wanted, rtol=1e-4, atol=3e-4
    )


@pytest.mark.parametrize("way", WAYS)
def test_optimisation_zones_of_spectral_rows_keep_their_shape(channel, way):
    # VIP 2.1.1 takes the row indices of this zone for both axes, so it fits on a diagonal line.
    rows = spectral_rows(channel, 0.83)
    zones, length = WAYS[way]
    settings = {"zones": zones, "solution": "ridge", "strength": 1e-2}
    reduction = Reduction(rows, method("loci", **settings))
    wanted = plain_residuals(channel.frames, rows.table, plain_zones(length), 0.5 * FWHM, by_ridge)
    np.testing.assert_allclose(
        reduction.residuals().reshape(COUNT, -1), wanted, rtol=1e-4, atol=3e-4
    )
    for zone in reduction.zones:
        y, x = np.divmod(zone.optimisation, SIDE)
        # A filled area, not a line.
        spread = np.linalg.eigvalsh(np.cov(np.stack([y, x])))
        assert spread.min() > 0.05 * spread.max()


@pytest.mark.parametrize(
    ("gap", "tolerance"),
    [
        # 11 px from the companion its PSF is 1e-9 of the peak: nothing enters.
        (2.25, 1e-6),
        # The default, half an FWHM: the nearest pixels, 4 px away, still hold 6 % of the peak.
        (0.5, 0.03),
    ],
)
def test_coefficients_of_tloci_do_not_know_a_companion_of_the_zone(channel, gap, tolerance):
    reduction = Reduction(channel, method("tloci", zones={"gap_fwhm": gap}))
    for zone in reduction.zones[2:4]:
        for angle in np.deg2rad([33.0, 154.0, 275.0]):
            x, y = zone.radius_px * np.cos(angle), zone.radius_px * np.sin(angle)
            patch = Patch(reduction, round(x) + np.arange(-1.0, 2.0), np.full(3, round(y)))
            added = [Companion(x, y, 300.0)]
            nothing = patch.evaluate()
            solved = patch.evaluate(added) - nothing
            frozen = patch.evaluate(added, frozen=True) - nothing
            np.testing.assert_allclose(frozen, solved, atol=tolerance * solved.max())
            assert solved.max() > 100


def test_coefficients_of_loci_do_know_it(channel):
    reduction = Reduction(channel, method("loci", zones={"annulus_fwhm": 1.0}))
    x, y = 15.0, 3.0
    patch = Patch(reduction, np.array([x]), np.array([y]))
    solved = patch.evaluate([Companion(x, y, 3e3)])
    frozen = patch.evaluate([Companion(x, y, 3e3)], frozen=True)
    assert abs(frozen / solved - 1).max() > 0.1


def throughput(channel, radius, **references):
    reduction = Reduction(channel, method("tloci", references=references))
    x, y = np.mgrid[-2.0:3.0, -2.0:3.0]
    patch = Patch(reduction, x.ravel() + round(radius), y.ravel())
    added = patch.evaluate([Companion(radius, 0.0, 1e3)]) - patch.evaluate()
    still = Reduction(channel, method("noadi"))
    whole = Patch(still, x.ravel() + round(radius), y.ravel())
    flux = whole.evaluate([Companion(radius, 0.0, 1e3)]) - whole.evaluate()
    return float(added.sum() / flux.sum())


def test_a_lower_limit_of_self_subtraction_keeps_more_of_a_companion(channel):
    limits = [0.05, 0.2, 0.5, 1.0]
    kept = [throughput(channel, 18.0, self_subtraction=limit) for limit in limits]
    assert np.all(np.diff(kept) < 0)
    assert kept[0] > 0.85


def test_partial_settings_keep_the_rest_of_the_method():
    found = ALGORITHMS["tloci"].settings(zones={"sectors": 4}, references={"min_references": 3})
    assert found.zones.optimisation_fwhm == ALGORITHMS["tloci"].settings().zones.optimisation_fwhm
    assert found.references.self_subtraction == 0.3
    klip = ALGORITHMS["klip"].settings(zones={"sectors": 4}, references={"max_references": 9})
    assert klip.zones.annulus_fwhm == 2.0
    assert klip.references.exclusion_fwhm == 0.5
    loci = ALGORITHMS["loci"].settings(zones={"annulus_fwhm": 2.0})
    assert loci.zones.optimisation_area == 300
    assert loci.references.exclusion_fwhm == 0.5


@pytest.mark.parametrize("algorithm", ["loci", "tloci"])
def test_unknown_solutions_are_refused(algorithm):
    with pytest.raises(ValidationError):
        ALGORITHMS[algorithm].settings(solution="lasso")


@pytest.fixture(scope="module")
def cube():
    return synthetic_sequence.sequence(
        seed=5, n_wave=1, n_time=20, side=81, companions=[(300.0, 70.0, (6e-4,))]
    )


QUICK = {
    "pca": {},
    "klip": {"zones": {"annulus_fwhm": 2.0}, "references": {"exclusion_fwhm": 0.5}},
    "loci": {},
    "tloci": {},
}


@pytest.mark.parametrize("name", QUICK)
def test_a_companion_is_found_where_and_as_bright_as_it_is(cube, name):
    # `tests/bench/method_bias.py` does this for many places, seeds and brightnesses.
    algorithm = name if name in ALGORITHMS else "pca"
    imaging = ImagingSettings(outer_mas=420, throughput_branches=1)
    recipe = Recipe(algorithm=algorithm, imaging=imaging, settings=QUICK[name])
    images = reduce(cube, recipe).images
    assert len(images.sources) == 1
    found = dict(zip(SOURCE_COLUMNS, images.sources[0], strict=True))
    scale = synthetic_sequence.SCALE_MAS
    error = max(0.2 * scale, 3 * found["separation_err_mas"])
    assert found["separation_mas"] == pytest.approx(300.0, abs=error)
    across = max(0.2 * scale / 300, 3 * np.deg2rad(found["position_angle_err_deg"]))
    assert np.deg2rad(found["position_angle_deg"] - 70.0) == pytest.approx(0, abs=across)
    flux, flux_err = images.source_contrast[0, 0], images.source_contrast_err[0, 0]
    assert flux == pytest.approx(6e-4, abs=max(6e-5, 3 * flux_err))


@pytest.mark.parametrize(
    ("name", "rules"),
    [("loci", {"exclusion_fwhm": None}), ("tloci", {"self_subtraction": None})],
)
def test_frames_that_would_be_fitted_by_themselves_are_refused(name, rules):
    with pytest.raises(ValidationError, match="exclusion_fwhm: 0 is all frames but itself"):
        Recipe(algorithm=name, settings={"references": rules})
    for strategy, served in (("rdi", rules), ("adi", {**rules, "exclusion_fwhm": 0})):
        Recipe(algorithm=name, strategy=strategy, settings={"references": served})
