"""Coefficients of references from a Gram matrix, against plain versions target by target."""

import array_api_strict
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import coefficients, solves
from spheredc_hpc.kernels.coefficients import (
    positive_coefficients,
    ridge_coefficients,
    thresholded_coefficients,
    truncated_coefficients,
)
from spheredc_hpc.kernels.parallel import worker_threads

EPS = np.finfo(float).eps
COUNTS = [1, 5, 11, 60]


def speckles(n, n_pix=300, seed=3):
    """Rows that change slowly and share most of their light, as frames of a sequence do."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.standard_normal((n, n_pix)), axis=0)
    return 0.2 * drift + 0.5 * rng.standard_normal((n, n_pix)) + 3 * rng.standard_normal(n_pix)


def graded(n, n_pix=300, seed=4):
    """Rows whose Gram matrix has eigenvalues over ten decades."""
    rng = np.random.default_rng(seed)
    left = scipy.linalg.orth(rng.standard_normal((n, n)))
    right = scipy.linalg.orth(rng.standard_normal((n_pix, n)))
    return left * np.logspace(0, -5, n) @ right.T


def clustered(n, n_pix=300, seed=5):
    """Rows whose Gram matrix has two clusters of nearly equal eigenvalues."""
    rng = np.random.default_rng(seed)
    left = scipy.linalg.orth(rng.standard_normal((n, n)))
    right = scipy.linalg.orth(rng.standard_normal((n_pix, n)))
    scale = np.where(np.arange(n) < 5, 10.0, 1.0) + 1e-13 * rng.standard_normal(n)
    return left * scale @ right.T


def excluded(n, least=1, most=20):
    """Neighbours in time may not serve, ever more of them along the sequence."""
    time = np.arange(n)
    width = np.linspace(least, most, n)[:, np.newaxis] / 2
    return np.abs(time[:, np.newaxis] - time) > width


def by_eigenvalues(gram, targets, allowed, keep):
    """Plain version; `keep` tells from the falling eigenvalues which of them are used."""
    out = np.zeros(allowed.shape)
    for i, target in enumerate(targets):
        rows = np.flatnonzero(allowed[i])
        if rows.size:
            values, vectors = np.linalg.eigh(gram[np.ix_(rows, rows)])
            values, vectors = values[::-1], vectors[:, ::-1]
            kept = keep(values) & (values > rows.size * EPS * values[0])
            basis = vectors[:, kept]
            out[i, rows] = basis @ (basis.T @ gram[rows, target] / values[kept])
    return out


def models(found, rows):
    """What the coefficients subtract, relative to the rows: the effect that matters."""
    return found @ rows / np.linalg.norm(rows, axis=1).max()


@pytest.fixture(params=[speckles, graded, clustered], ids=lambda make: make.__name__)
def rows(request):
    return request.param(61)


@pytest.fixture
def problem(rows):
    return rows @ rows.T, np.arange(61), excluded(61)


def test_truncated_coefficients_are_those_of_eigenvectors(problem, rows):
    found = truncated_coefficients(*problem, COUNTS)
    for k, count in enumerate(COUNTS):
        expected = by_eigenvalues(*problem, lambda values, k=count: np.arange(values.size) < k)
        # A count that ends inside a cluster may take any directions of it.
        unique = np.array(
            [ends_between_eigenvalues(problem[0], used, count) for used in problem[2]]
        )
        # The least of the graded rows have eigenvalues of 1e-10, known to 1e-6 of themselves.
        atol = 1e-9 if count < 60 else 1e-6
        np.testing.assert_allclose(
            models(found[k], rows)[unique], models(expected, rows)[unique], atol=atol
        )


def ends_between_eigenvalues(gram, used, count):
    values = np.linalg.eigvalsh(gram[np.ix_(used, used)])[::-1]
    return count >= values.size or values[count - 1] - values[count] > 1e-4 * values[count]


def test_rows_that_are_not_allowed_get_nothing(problem):
    for found in (
        truncated_coefficients(*problem, [5])[0],
        thresholded_coefficients(*problem, 1e-4),
        ridge_coefficients(*problem, 0.1),
        positive_coefficients(*problem),
    ):
        assert np.all(found[~problem[2]] == 0)
        assert np.all(np.any(found != 0, axis=1))


@pytest.mark.parametrize("tolerance", [0.0, 1e-4, 0.3])
def test_thresholded_coefficients_are_those_of_lstsq_on_the_rows(tolerance):
    rows = speckles(40)
    allowed = excluded(40)
    found = thresholded_coefficients(rows @ rows.T, np.arange(40), allowed, tolerance)
    for i in range(40):
        used = allowed[i]
        expected = scipy.linalg.lstsq(rows[used].T, rows[i], cond=tolerance**0.5 or None)[0]
        # The Gram matrix has the squared condition of the rows, here some 1e4.
        np.testing.assert_allclose(found[i, used], expected, atol=1e-10)


@pytest.mark.parametrize("strength", [1e-3, 1.0])
@pytest.mark.parametrize("n", [3, 8, 61])
def test_ridge_coefficients_solve_the_damped_system(n, strength):
    rows = speckles(n)
    gram, allowed = rows @ rows.T, excluded(n, 1, n / 2)
    found = ridge_coefficients(gram, np.arange(n), allowed, strength)
    for i in range(n):
        used = np.flatnonzero(allowed[i])
        matrix = gram[np.ix_(used, used)]
        matrix = matrix + strength * np.mean(np.diag(matrix)) * np.eye(used.size)
        expected = np.linalg.solve(matrix, gram[used, i])
        np.testing.assert_allclose(found[i, used], expected, atol=1e-11)


def test_positive_coefficients_are_those_of_scipy_on_the_rows():
    rows = speckles(61)
    allowed = excluded(61)
    found = positive_coefficients(rows @ rows.T, np.arange(61), allowed)
    for i in range(61):
        used = np.flatnonzero(allowed[i])
        expected = scipy.optimize.nnls(rows[used].T, rows[i])[0]
        np.testing.assert_allclose(found[i, used], expected, atol=1e-9)


def test_positive_coefficients_meet_the_conditions_of_an_optimum(rows, problem):
    gram, targets, allowed = problem
    found = positive_coefficients(*problem)
    gradient = gram[targets] - found @ gram
    assert np.all(found >= 0)
    # Karush-Kuhn-Tucker; 1e-10 of the largest product of two rows is their round-off.
    small = 1e-10 * np.diag(gram).max()
    assert np.all(gradient[allowed] < small)
    assert np.all(np.abs(gradient[found > 0]) < small)


def test_frames_that_are_darker_everywhere_get_no_positive_model():
    rows = np.abs(speckles(10))
    rows[0] *= -1
    found = positive_coefficients(rows @ rows.T, np.arange(10), excluded(10, 1, 1))
    assert np.all(found[0] == 0)


@pytest.mark.parametrize("n", [1, 2, 5, 17, 40])
def test_few_rows_are_solved_as_well(n):
    rows = speckles(n)
    gram, allowed = rows @ rows.T, ~np.eye(n, dtype=bool)
    found = truncated_coefficients(gram, np.arange(n), allowed, [n])
    expected = by_eigenvalues(gram, np.arange(n), allowed, lambda values: values > 0)
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


def test_targets_may_be_any_rows_in_any_order():
    rows = speckles(50)
    rng = np.random.default_rng(2)
    targets = rng.integers(0, 50, 77)
    allowed = rng.random((77, 50)) < 0.5
    found = truncated_coefficients(rows @ rows.T, targets, allowed, [7])
    expected = by_eigenvalues(
        rows @ rows.T, targets, allowed, lambda values: np.arange(values.size) < 7
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-11)


def test_full_frame_projection_is_the_same_operator():
    rows = speckles(30)
    found = truncated_coefficients(rows @ rows.T, np.arange(30), np.ones((30, 30), bool), [4])
    left = np.linalg.svd(rows)[0][:, :4]
    np.testing.assert_allclose(found[0], left @ left.T, atol=1e-12)


def test_equal_masks_are_factored_once(monkeypatch):
    calls = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: calls.append(1) or eigh(matrix))
    monkeypatch.setattr(solves, "invert_spectra", None)
    rows = speckles(40)
    gram, allowed = rows @ rows.T, np.ones((40, 40), bool)
    allowed[::2, :3] = False
    truncated_coefficients(gram, np.arange(40), allowed, [3, 6])
    thresholded_coefficients(gram, np.arange(40), allowed, 1e-3)
    assert len(calls) == 4


def test_shared_and_single_masks_agree():
    rows = speckles(40)
    gram, allowed = rows @ rows.T, np.ones((40, 40), bool)
    allowed[:, 7] = False
    together = truncated_coefficients(gram, np.arange(40), allowed, [3, 25])
    single = [truncated_coefficients(gram, np.array([i]), allowed[:1], [3, 25]) for i in range(40)]
    np.testing.assert_allclose(together, np.concatenate(single, axis=1), atol=1e-11)


# ------------------------------------------------------------------ degenerate input


def test_more_modes_than_references_take_all_of_them(problem):
    few, many = truncated_coefficients(*problem, [61, 10_000])
    np.testing.assert_array_equal(few, many)


def test_duplicated_rows_share_their_coefficient():
    once = speckles(20)
    rows = np.concatenate([once, once])
    gram, targets = rows @ rows.T, np.arange(40)
    allowed = np.abs(targets[:, np.newaxis] - targets) % 20 != 0
    allowed[0] = False
    allowed[0, 5:9] = True
    for found in (
        truncated_coefficients(gram, targets, allowed, [40])[0],
        thresholded_coefficients(gram, targets, allowed, 1e-9),
        ridge_coefficients(gram, targets, allowed, 0.0),
        ridge_coefficients(gram, targets, allowed, 1e-18),
    ):
        # Least norm: both copies alike, and half of what one of them gets alone.
        np.testing.assert_allclose(found[1:, :20], found[1:, 20:], atol=1e-9)
        alone = by_eigenvalues(once @ once.T, np.arange(20), allowed[:20, :20], lambda v: v > 0)
        np.testing.assert_allclose(2 * found[1:20, :20], alone[1:], atol=1e-8)
    found = positive_coefficients(gram, targets, allowed)
    expected = [scipy.optimize.nnls(rows[allowed[i]].T, rows[i])[1] for i in targets]
    np.testing.assert_allclose(np.linalg.norm(rows - found @ rows, axis=1), expected, rtol=1e-9)


def solve_all(gram, targets, allowed):
    """All four methods, stacked."""
    truncated = truncated_coefficients(gram, targets, allowed, [2, 20])
    others = (
        thresholded_coefficients(gram, targets, allowed, 1e-3),
        ridge_coefficients(gram, targets, allowed, 0.05),
        positive_coefficients(gram, targets, allowed),
    )
    return np.concatenate([np.asarray(truncated), [np.asarray(part) for part in others]])


def test_no_references_give_zero():
    rows = speckles(30)
    allowed = excluded(30)
    allowed[4] = False
    found = solve_all(rows @ rows.T, np.arange(30), allowed)
    assert np.all(found[:, 4] == 0)
    np.testing.assert_array_equal(np.isfinite(found), True)
    assert not solve_all(rows @ rows.T, np.arange(30), np.zeros((30, 30), bool)).any()
    assert solve_all(rows @ rows.T, np.arange(0), np.zeros((0, 30), bool)).shape == (5, 0, 30)


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e200])
def test_the_unit_of_the_rows_does_not_matter(scale):
    rows = speckles(30)
    found = solve_all(scale * (rows @ rows.T), np.arange(30), excluded(30))
    expected = solve_all(rows @ rows.T, np.arange(30), excluded(30)) if scale else 0
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_dark_row_changes_nothing():
    rows = speckles(30)
    dark = np.concatenate([rows, np.zeros((1, 300))])
    allowed = excluded(31)
    found = solve_all(dark @ dark.T, np.arange(30), allowed[:30])
    assert np.all(found[:, :, 30] == 0)
    expected = solve_all(rows @ rows.T, np.arange(30), allowed[:30, :30])
    # The ridge is the mean over one row more.
    np.testing.assert_allclose(found[[0, 1, 2, 4], :, :30], expected[[0, 1, 2, 4]], atol=1e-10)


def test_what_cannot_be_solved_is_refused():
    rows = speckles(12)
    gram, targets, allowed = rows @ rows.T, np.arange(12), excluded(12)
    broken = gram.copy()
    broken[3, 4] = np.nan
    for bad in (
        (broken, targets, allowed),
        (gram.astype(np.float32), targets, allowed),
        (gram[:, :5], targets, allowed),
        (gram, targets[:5], allowed),
        (gram, targets + 1, allowed),
        (gram, targets - 1, allowed),
        (gram, targets, allowed.astype(int)),
    ):
        with pytest.raises(KernelInputError):
            truncated_coefficients(*bad, [3])
        with pytest.raises(KernelInputError):
            positive_coefficients(*bad)
    for counts in ([], [3, -1]):
        with pytest.raises(KernelInputError, match="counts"):
            truncated_coefficients(gram, targets, allowed, counts)
    with pytest.raises(KernelInputError, match="tolerance"):
        thresholded_coefficients(gram, targets, allowed, 1.0)
    with pytest.raises(KernelInputError, match="strength"):
        ridge_coefficients(gram, targets, allowed, float("nan"))
    with pytest.raises(KernelInputError, match="finite"):
        ridge_coefficients(gram, targets, allowed, float("inf"))


# ------------------------------------------------------------------ ways that must agree


def test_iterations_without_room_fall_back_to_lapack(problem, rows, monkeypatch):
    expected = truncated_coefficients(*problem, [5])
    monkeypatch.setattr(solves, "ROOM", 0.1)
    calls = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: calls.append(1) or eigh(matrix))
    found = truncated_coefficients(*problem, [5])
    assert len(calls) == 61
    np.testing.assert_allclose(models(found[0], rows), models(expected[0], rows), atol=1e-9)


def test_matrices_too_large_for_lanes_go_to_lapack(problem, rows, monkeypatch):
    expected = thresholded_coefficients(*problem, 1e-3)
    monkeypatch.setattr(solves, "LANE_ROWS", 50)
    found = thresholded_coefficients(*problem, 1e-3)
    np.testing.assert_allclose(models(found, rows), models(expected, rows), atol=1e-9)


def test_active_sets_that_do_not_settle_fall_back_to_scipy(monkeypatch):
    rows = speckles(30)
    problem = rows @ rows.T, np.arange(30), excluded(30)
    expected = positive_coefficients(*problem)
    monkeypatch.setattr(coefficients, "LARGEST_CHANGES", 0)
    np.testing.assert_allclose(positive_coefficients(*problem), expected, atol=1e-9)


def test_indefinite_matrices_lose_their_negative_part():
    gram = np.diag([4.0, 2.0, -1.0, 1.0])
    gram[:3, 3] = gram[3, :3] = [2.0, 3.0, 5.0]
    allowed = np.array([[True, True, True, False]])
    found = truncated_coefficients(gram, np.array([3]), allowed, [4])
    np.testing.assert_allclose(found[0, 0], [0.5, 1.5, 0, 0], atol=1e-14)


def test_array_libraries_agree(problem, rows):
    strict = [array_api_strict.asarray(part) for part in problem]
    found, expected = solve_all(*strict), solve_all(*problem)
    np.testing.assert_allclose(models(found, rows), models(expected, rows), atol=1e-9)


def test_array_libraries_agree_for_equal_and_empty_masks():
    rows = speckles(20)
    gram, targets = rows @ rows.T, np.arange(20)
    lonely = excluded(20)
    lonely[3] = False
    for allowed in (np.ones((20, 20), bool), np.zeros((20, 20), bool), lonely):
        parts = (gram, targets, allowed)
        found = solve_all(*[array_api_strict.asarray(part) for part in parts])
        np.testing.assert_allclose(found, solve_all(*parts), atol=1e-10)


def test_array_libraries_split_large_batches(monkeypatch):
    rows = speckles(20)
    parts = rows @ rows.T, np.arange(20), excluded(20)
    expected = solve_all(*parts)
    monkeypatch.setattr(solves, "ARRAY_ELEMENTS", 3 * 20**2)
    found = solve_all(*[array_api_strict.asarray(part) for part in parts])
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_array_libraries_take_singular_ridges_to_eigenvalues():
    rows = np.concatenate([speckles(10), speckles(10)])
    parts = rows @ rows.T, np.arange(20), excluded(20)
    expected = ridge_coefficients(*parts, 1e-18)
    found = ridge_coefficients(*[array_api_strict.asarray(part) for part in parts], 1e-18)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-9)


def test_threads_do_not_change_a_bit():
    rows = speckles(90)
    parts = rows @ rows.T, np.arange(90), excluded(90)
    alone = solve_all(*parts)
    for threads in (1, 2, 3):
        with worker_threads(threads):
            np.testing.assert_array_equal(solve_all(*parts), alone)


def test_inputs_are_left_alone(problem):
    before = [part.copy() for part in problem]
    solve_all(*problem)
    for part, copy in zip(problem, before, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_stacks_give_what_their_matrices_give_one_by_one(library):
    grams = np.stack([rows @ rows.T for rows in (speckles(9), np.zeros((9, 300)), graded(9))])
    allowed = np.random.default_rng(6).random((3, 4, 9)) < 0.7
    targets = np.arange(0, 8, 2)
    found = solve_all(library(grams), library(targets), library(allowed))
    assert found.shape == (5, 3, 4, 9)
    assert not found[:, 1].any()
    for k in range(3):
        alone = solve_all(grams[k], targets, allowed[k])
        np.testing.assert_allclose(found[:, k], alone, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
def test_no_matrices_have_no_coefficients(library):
    parts = np.zeros((0, 9, 9)), np.arange(4), np.zeros((0, 4, 9), bool)
    assert solve_all(*(library(part) for part in parts)).shape == (5, 0, 4, 9)


def test_array_libraries_judge_each_ridge_by_itself(monkeypatch):
    # Rows 0 and 1 differ by two rounding errors: Cholesky still solves, eigenvalues no longer
    # do. Rows 2 and 3 are equal: only eigenvalues solve. Rows 4 and 5 are independent.
    gram = np.eye(8)
    gram[0, 1] = gram[1, 0] = 1 - 2 * EPS
    gram[2, 3] = gram[3, 2] = 1.0
    gram[6, :6] = gram[:6, 6] = 1e-3 * np.array([1, -1, 1, 1, 1, 1])
    targets = np.full(2, 6)
    allowed = np.zeros((3, 8), bool)
    allowed[0, :2] = allowed[1, 2:4] = allowed[2, 4:6] = True
    solved = []
    eigh = array_api_strict.linalg.eigh
    monkeypatch.setattr(
        array_api_strict.linalg, "eigh", lambda stack: solved.append(stack.shape[0]) or eigh(stack)
    )
    with_sound, with_singular = (
        np.asarray(
            ridge_coefficients(
                *(array_api_strict.asarray(part) for part in (gram, targets, allowed[pair])), 1e-18
            )
        )
        for pair in ([0, 2], [0, 1])
    )
    # Some 1e-3 / (2 EPS), of which the factor knows the size only.
    assert with_sound[0, 0] > 1e11
    np.testing.assert_array_equal(with_singular[0], with_sound[0])
    np.testing.assert_allclose(with_singular[1, 2:4], 0.5e-3, rtol=1e-12)
    np.testing.assert_allclose(with_sound[1, 4:6], 1e-3, rtol=1e-12)
    assert solved == [1]


def test_array_libraries_solve_ridges_beside_targets_without_references(monkeypatch):
    rows = speckles(20)
    allowed = excluded(20)
    allowed[3] = False
    parts = rows @ rows.T, np.arange(20), allowed
    expected = ridge_coefficients(*parts, 0.05)
    monkeypatch.setattr(array_api_strict.linalg, "eigh", None)
    found = ridge_coefficients(*[array_api_strict.asarray(part) for part in parts], 0.05)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-10)
