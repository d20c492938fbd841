"""Non-negative factors, and frames as low-rank plus sparse plus noise."""

import array_api_strict
import numpy as np
import pytest
from scipy import optimize

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import lowrank, nmf
from spheredc_hpc.kernels.parallel import worker_threads


@pytest.fixture
def positive():
    """Frames that are positive mixtures of three positive modes, with little noise."""
    rng = np.random.default_rng(4)
    frames = rng.uniform(0.5, 1.5, (16, 3)) @ rng.gamma(1.5, 1.0, (3, 700))
    return frames + 0.05 * rng.random((16, 700))


def plain_factors(rows, n_modes, passes):
    """Written out: singular vectors, then sweeps over modes and weights."""
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    weights, modes = np.zeros((len(rows), n_modes)), np.zeros((n_modes, rows.shape[1]))
    for j in range(n_modes):
        sides = [(np.maximum(s * left[:, j], 0), np.maximum(s * right[j], 0)) for s in (1, -1)]
        u, v = max(sides, key=lambda side: np.linalg.norm(side[0]) * np.linalg.norm(side[1]))
        weights[:, j] = u / np.linalg.norm(u)
        modes[j] = v * values[j] * np.linalg.norm(u)
    for _ in range(passes):
        target, square = weights.T @ rows, weights.T @ weights
        for _ in range(nmf._MODE_SWEEPS):
            for j in range(n_modes):
                modes[j] += (target[j] - square[j] @ modes) / square[j, j]
                modes[j] = np.maximum(modes[j], 0)
        target, square = rows @ modes.T, modes @ modes.T
        for _ in range(nmf._WEIGHT_SWEEPS):
            for j in range(n_modes):
                weights[:, j] += (target[:, j] - weights @ square[:, j]) / square[j, j]
                weights[:, j] = np.maximum(weights[:, j], 0)
    return weights, modes


def misfit(rows, factors):
    return np.linalg.norm(rows - factors.weights @ np.asarray(factors.modes, np.float64))


def test_factors_are_those_of_the_method_written_out(positive):
    found = nmf.factorise(positive, 4, max_iterations=6, tolerance=0)
    weights, modes = plain_factors(positive, 4, 6)
    np.testing.assert_allclose(found.weights @ found.modes, weights @ modes, rtol=1e-9)
    assert found.iterations == 6


def test_positive_mixtures_are_found_to_their_noise(positive):
    # The noise has a mean of 0.025, which the modes may take, and a scatter of 0.0144.
    found = nmf.factorise(positive, 4, max_iterations=400, tolerance=1e-5)
    assert (found.weights >= 0).all()
    assert (found.modes >= 0).all()
    assert misfit(positive, found) / np.sqrt(positive.size) < 1.1 * 0.0144


def test_a_pass_never_makes_the_fit_worse(positive):
    errors = [misfit(positive, nmf.factorise(positive, 5, n, 0)) for n in (1, 2, 3, 5, 10, 40)]
    assert (np.diff(errors) < 0).all()


def test_modes_at_the_end_are_the_non_negative_least_squares_fit(positive):
    found = nmf.factorise(positive, 3, max_iterations=2000, tolerance=1e-10)
    # A pass moves 1e-10 of the modes, and a slow end adds up to many such steps.
    for pixel in range(0, 700, 70):
        expected, _ = optimize.nnls(found.weights, positive[:, pixel])
        np.testing.assert_allclose(found.modes[:, pixel], expected, rtol=1e-4, atol=1e-5)


def test_weights_of_given_modes_are_the_non_negative_least_squares_fit():
    rng = np.random.default_rng(11)
    modes = rng.random((5, 400))
    rows = rng.standard_normal((6, 5)) @ modes + 0.1 * rng.standard_normal((6, 400))
    found = nmf.fit_weights(rows, modes)
    expected = np.stack([optimize.nnls(modes.T, row)[0] for row in rows])
    assert (expected == 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fit_ends_when_the_modes_stand_still(positive):
    loose, tight = (nmf.factorise(positive, 3, 1000, tolerance) for tolerance in (1e-2, 1e-5))
    assert loose.iterations < tight.iterations < 1000


def test_single_precision_keeps_faint_structure_on_a_bright_mean(positive):
    # Float32 holds 1e4 to 5e-4: what varies by 1 must still be fitted to that.
    rows = (positive + 1e4).astype(np.float32)
    found = nmf.subtract_nonnegative(rows, None, 4, max_iterations=60, tolerance=0)
    exact = nmf.subtract_nonnegative(
        rows.astype(np.float64), None, 4, max_iterations=60, tolerance=0
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=5e-3)


def test_a_constant_on_all_pixels_changes_nothing(positive):
    one = nmf.subtract_nonnegative(positive, None, 3)
    other = nmf.subtract_nonnegative(positive - 7.0, None, 3)
    np.testing.assert_allclose(one, other, atol=1e-10)


def test_clipped_pixels_count_as_zero_in_the_fit_only(positive):
    np.testing.assert_array_equal(
        nmf.subtract_nonnegative(positive, None, 3, negative="clip"),
        positive - (lambda f: f.weights @ f.modes)(nmf.factorise(positive, 3)),
    )
    holed = positive.copy()
    holed[:, 100] = -50.0
    residuals = nmf.subtract_nonnegative(holed, None, 3, negative="clip")
    np.testing.assert_allclose(residuals[:, 100], -50.0, atol=1e-8)


def test_modes_of_references_are_fitted_to_other_frames(positive):
    targets = positive[:2].copy()
    targets[1, 50] += 9.0
    residuals = nmf.subtract_nonnegative(
        targets, positive[4:], 4, max_iterations=1000, tolerance=1e-5
    )
    # Noise of 0.0144 in the target and, through twelve references, in the modes.
    assert np.sqrt(np.mean(residuals[0] ** 2)) < 2 * 0.0144
    assert residuals[1, 50] == pytest.approx(9.0, abs=0.3)


def test_non_negative_residuals_do_not_depend_on_threads():
    rows = np.random.default_rng(3).random((9, 3 * nmf.BLOCK_PIXELS + 17)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with worker_threads(threads):
            results.append(nmf.subtract_nonnegative(rows, None, 3, max_iterations=5))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("references", [False, True])
def test_strict_array_library_gives_the_same_non_negative_residuals(positive, references):
    library = positive[5:] if references else None
    expected = nmf.subtract_nonnegative(positive, library, 3, max_iterations=20)
    strict = None if library is None else array_api_strict.asarray(library)
    found = nmf.subtract_nonnegative(
        array_api_strict.asarray(positive), strict, 3, max_iterations=20
    )
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-9)


@pytest.mark.parametrize("row", [np.zeros(40), np.ones(40), np.arange(40.0)])
def test_frames_without_differences_leave_nothing(row):
    residuals = nmf.subtract_nonnegative(np.tile(row, (5, 1)), None, 3)
    np.testing.assert_allclose(residuals, 0, atol=1e-10)


def test_wrong_arguments_of_a_non_negative_fit_are_refused(positive):
    with pytest.raises(KernelInputError, match=r"n_modes=17 outside 1\.\.16"):
        nmf.factorise(positive, 17)
    with pytest.raises(KernelInputError, match="zones differ"):
        nmf.subtract_nonnegative(positive, positive[:, :9], 2)
    with pytest.raises(KernelInputError, match="nothing to fit"):
        nmf.subtract_nonnegative(positive, positive[:0], 2)
    with pytest.raises(KernelInputError, match="'drop'"):
        nmf.subtract_nonnegative(positive, None, 2, negative="drop")


# -------------------------------------------------------------------- low rank plus sparse


@pytest.fixture
def mixture():
    """Rank-two frames, noise of 0.1 and a few bright values."""
    rng = np.random.default_rng(9)
    common = rng.standard_normal((24, 2)) @ rng.standard_normal((2, 500)) + 10.0
    spikes = np.zeros((24, 500))
    spikes[rng.integers(0, 24, 40), rng.integers(0, 500, 40)] = 3.0
    return common + spikes + 0.1 * rng.standard_normal((24, 500)), spikes


def plain_sparse(rows, n_modes, threshold, iterations, *, centre=False, root=False):
    """Written out with singular values."""
    sparse = np.zeros_like(rows)
    for _ in range(iterations):
        rest = rows - sparse
        mean = rest.mean(axis=0) if centre else 0.0
        _, _, modes = np.linalg.svd(rest - mean, full_matrices=False)
        left = rows - mean - (rest - mean) @ modes[:n_modes].T @ modes[:n_modes]
        size = np.median(np.abs(left))
        limit = threshold * (np.sqrt(size) if root else 1.4826 * size)
        sparse = np.sign(left) * np.maximum(np.abs(left) - limit, 0)
    return sparse


@pytest.mark.parametrize("n_modes", [2, 12])
@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("root", [False, True])
def test_sparse_part_is_that_of_singular_value_decompositions(mixture, n_modes, centre, root):
    rows, _ = mixture
    options = {"threshold": 0.7, "iterations": 5, "centre": centre, "root": root}
    expected = plain_sparse(rows, n_modes, **options)
    assert (expected == 0).mean() > 0.2
    found = lowrank.sparse_part(rows, None, n_modes, **options)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_bright_values_stand_out_of_low_rank_frames_and_noise(mixture):
    rows, spikes = mixture
    found = lowrank.sparse_part(rows, None, 3, threshold=4.0, iterations=20)
    # Four sigma of noise have gone off each of them; about one value of 16000 is beyond four.
    np.testing.assert_allclose(found[spikes > 0], 3.0 - 0.4, atol=0.45)
    assert (found[spikes == 0] != 0).mean() < 1e-3


def test_without_threshold_the_sparse_part_is_the_residual_of_the_modes(mixture):
    rows, _ = mixture
    _, _, modes = np.linalg.svd(rows, full_matrices=False)
    expected = rows - rows @ modes[:2].T @ modes[:2]
    found = lowrank.sparse_part(rows, None, 2, threshold=0.0, iterations=1)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_sparse_part_scales_with_the_frames_unless_the_threshold_is_a_root(mixture):
    rows, _ = mixture
    for root, equal in ((False, True), (True, False)):
        one = lowrank.sparse_part(rows, None, 2, root=root)
        ten = lowrank.sparse_part(10 * rows, None, 2, root=root)
        assert np.allclose(ten, 10 * one, atol=1e-8) is equal


def test_references_take_part_in_the_decomposition(mixture):
    rows, _ = mixture
    together = lowrank.sparse_part(rows, None, 2)
    apart = lowrank.sparse_part(rows[:4], rows[4:], 2)
    np.testing.assert_allclose(apart, together[:4], atol=1e-9)


def test_single_precision_gives_the_sparse_part_to_its_round_off(mixture):
    rows = mixture[0].astype(np.float32)
    found = lowrank.sparse_part(rows, None, 2)
    assert found.dtype == np.float32
    expected = lowrank.sparse_part(rows.astype(np.float64), None, 2)
    # Values of 15 in float32 are right to 1e-6, and ten iterations repeat the error.
    np.testing.assert_allclose(found, expected, atol=3e-5)


def test_sparse_part_does_not_depend_on_threads():
    rows = np.random.default_rng(2).standard_normal((6, 2 * lowrank.BLOCK_PIXELS + 9))
    results = []
    for threads in (1, 2, 3):
        with worker_threads(threads):
            results.append(lowrank.sparse_part(rows.astype(np.float32), None, 2, iterations=3))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("centre", [False, True])
def test_strict_array_library_gives_the_same_sparse_part(mixture, centre):
    rows, _ = mixture
    strict = lowrank.sparse_part(array_api_strict.asarray(rows), None, 3, centre=centre)
    expected = lowrank.sparse_part(rows, None, 3, centre=centre)
    np.testing.assert_allclose(np.asarray(strict), expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (7, 4000), (2, 3 * 16384 + 1)])
def test_median_of_sizes_is_exact(shape):
    rng = np.random.default_rng(shape[1])
    for values in (
        rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape),
        np.round(rng.standard_normal(shape)),
        np.zeros(shape),
        -np.ones(shape),
    ):
        single = values.astype(np.float32)
        expected = np.median(np.abs(single).astype(np.float64))
        assert lowrank.median_size(single) == expected
        assert lowrank.median_size(single.astype(np.float64)) == expected


def test_wrong_arguments_of_a_decomposition_are_refused(mixture):
    rows, _ = mixture
    with pytest.raises(KernelInputError, match=r"n_modes=25 outside 0\.\.24"):
        lowrank.sparse_part(rows, None, 25)
    with pytest.raises(KernelInputError, match="zones differ"):
        lowrank.sparse_part(rows, rows[:, :9], 2)
    with pytest.raises(KernelInputError, match="iterations=0"):
        lowrank.sparse_part(rows, None, 2, iterations=0)
    with pytest.raises(KernelInputError, match="threshold=-1, finite and at least 0"):
        lowrank.sparse_part(rows, None, 2, threshold=-1)
    with pytest.raises(KernelInputError, match="threshold=nan, finite and at least 0"):
        lowrank.sparse_part(rows, None, 2, threshold=np.nan)
    with pytest.raises(KernelInputError, match="threshold=inf, finite and at least 0"):
        lowrank.sparse_part(rows, None, 2, threshold=np.inf)
    with pytest.raises(KernelInputError, match=r"nothing to separate.*\(500,\)"):
        lowrank.sparse_part(rows[0], None, 0)
    with pytest.raises(KernelInputError, match=r"nothing to separate.*\(24, 0\)"):
        lowrank.sparse_part(rows[:, :0], None, 2)
    with pytest.raises(KernelInputError, match="rows are float64, references float32"):
        lowrank.sparse_part(rows, rows.astype(np.float32), 2)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 4), (4, 0)])
@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_median_of_no_matrix_or_no_values_is_refused(shape, library):
    with pytest.raises(KernelInputError, match="at least one, got"):
        lowrank.median_size(library(np.zeros(shape, np.float32)))


@pytest.mark.parametrize("dtype", [int, np.uint16, np.complex64])
def test_frames_of_other_types_are_refused_by_name(positive, dtype):
    rows = (10 * positive).astype(dtype)
    for call in (
        lambda: nmf.factorise(rows, 2),
        lambda: nmf.fit_weights(rows, positive),
        lambda: nmf.subtract_nonnegative(rows, None, 2),
        lambda: nmf.subtract_nonnegative(positive, rows, 2),
        lambda: lowrank.sparse_part(rows, None, 2),
        lambda: lowrank.median_size(rows),
    ):
        with pytest.raises(KernelInputError, match=f"are {rows.dtype}, float32 or float64"):
            call()


@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_frames_without_pixels_have_no_factors_and_zero_weights(library):
    rows = library(np.zeros((5, 0)))
    with pytest.raises(KernelInputError, match=r"nothing to fit.*\(5, 0\)"):
        nmf.factorise(rows, 2)
    with pytest.raises(KernelInputError, match=r"nothing to fit.*\(5, 0\)"):
        nmf.subtract_nonnegative(rows, None, 2)
    weights = nmf.fit_weights(rows, library(np.zeros((2, 0))))
    np.testing.assert_array_equal(np.asarray(weights), np.zeros((5, 2)))
