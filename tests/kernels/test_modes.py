"""Principal modes by way of the Gram matrix."""

import array_api_strict
import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels import modes
from spheredc_hpc.kernels.parallel import worker_threads


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    return rng.standard_normal((12, 500)) + 3 * rng.standard_normal(500)


def by_svd(targets, references, n_modes):
    """Plain version: project on the right singular vectors of the centred references."""
    mean = references.mean(axis=0)
    _, _, vectors = np.linalg.svd(references - mean, full_matrices=False)
    basis = vectors[:n_modes]
    return targets - mean - (targets - mean) @ basis.T @ basis


@pytest.mark.parametrize("n_modes", [0, 1, 4, 11])
def test_residuals_are_those_of_a_singular_value_decomposition(rows, n_modes):
    expected = by_svd(rows, rows, n_modes)
    np.testing.assert_allclose(modes.subtract_modes(rows, None, n_modes), expected, atol=1e-10)
    np.testing.assert_allclose(
        modes.subtract_modes(rows, rows.copy(), n_modes), expected, atol=1e-10
    )


def test_other_targets_are_projected_on_the_references(rows):
    targets = np.random.default_rng(8).standard_normal((3, 500))
    expected = by_svd(targets, rows, 5)
    np.testing.assert_allclose(modes.subtract_modes(targets, rows, 5), expected, atol=1e-10)


def test_no_modes_leave_frames_less_their_mean(rows):
    np.testing.assert_allclose(
        modes.subtract_modes(rows, None, 0), rows - rows.mean(axis=0), atol=1e-12
    )


def test_target_inside_the_span_of_the_references_vanishes(rows):
    references = rows - rows.mean(axis=0)
    target = references[:1] + 2 * references[1:2]
    residual = modes.subtract_modes(target, references, n_modes=12, centre=False)
    np.testing.assert_allclose(residual, 0, atol=1e-10)


def test_duplicated_references_are_harmless(rows):
    twice = np.concatenate([rows, rows])
    residual = modes.subtract_modes(rows, twice, 24)
    np.testing.assert_allclose(residual, 0, atol=1e-6)
    assert np.isfinite(residual).all()


def test_operator_gives_the_residuals_from_any_gram_matrix(rows):
    # The mean need not be taken off before: the operator does it.
    operator = modes.pca_operator(modes.gram_matrix(rows), 4)
    np.testing.assert_allclose(operator @ rows, by_svd(rows, rows, 4), atol=1e-10)


def test_gram_matrix_does_not_depend_on_threads():
    rows = np.random.default_rng(1).standard_normal((7, 3 * modes.BLOCK_PIXELS + 5))
    rows = rows.astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with worker_threads(threads):
            results.append(modes.gram_matrix(rows))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_allclose(results[0], rows.astype(float) @ rows.astype(float).T, rtol=1e-12)


def test_inputs_are_left_alone(rows):
    before = rows.copy()
    modes.subtract_modes(rows, None, 3)
    np.testing.assert_array_equal(rows, before)


def test_strict_array_library_gives_the_same_result(rows):
    strict = modes.subtract_modes(array_api_strict.asarray(rows), None, 4)
    np.testing.assert_allclose(np.asarray(strict), by_svd(rows, rows, 4), atol=1e-10)


def test_strict_array_library_takes_separate_references(rows):
    strict = array_api_strict.asarray(rows)
    residual = modes.subtract_modes(strict[:3, :], strict, 4)
    np.testing.assert_allclose(np.asarray(residual), by_svd(rows[:3], rows, 4), atol=1e-10)


def test_wrong_shapes_and_mode_counts_are_refused(rows):
    with pytest.raises(KernelInputError, match="zones differ"):
        modes.subtract_modes(rows, rows[:, :10], 2)
    with pytest.raises(KernelInputError, match=r"outside 0\.\.12"):
        modes.subtract_modes(rows, None, 13)
