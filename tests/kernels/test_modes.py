"""Products of rows of pixels and the modes of Gram matrices."""

import tracemalloc

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


@pytest.fixture
def long_rows():
    """More pixels than three blocks."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((7, 3 * modes.BLOCK_PIXELS + 5)).astype(np.float32)


@pytest.mark.parametrize("n_modes", [1, 4, 12])
def test_leading_modes_are_those_of_a_singular_value_decomposition(rows, n_modes):
    vectors, inverse = modes.leading_modes(modes.gram_matrix(rows), n_modes)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(1 / inverse[::-1], values[:n_modes] ** 2, rtol=1e-10)
    expected = left[:, :n_modes] @ left[:, :n_modes].T
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-10)


def test_modes_of_duplicated_rows_do_not_exist(rows):
    vectors, inverse = modes.leading_modes(modes.gram_matrix(np.concatenate([rows, rows])), 24)
    assert (inverse > 0).sum() == 12
    assert not vectors[:, inverse == 0].any()


def test_no_modes_are_an_empty_set(rows):
    vectors, inverse = modes.leading_modes(modes.gram_matrix(rows), 0)
    assert vectors.shape == (12, 0)
    assert inverse.shape == (0,)


@pytest.mark.parametrize("product", [modes.gram_matrix, modes.zone_gram])
def test_products_do_not_depend_on_threads(long_rows, product):
    results = []
    for threads in (1, 2, 3):
        with worker_threads(threads):
            results.append(product(long_rows))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("product", [modes.gram_matrix, modes.zone_gram])
def test_partial_products_do_not_pile_up(product):
    rows = np.ones((250, 40 * 64), np.float32)
    peaks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modes, "BLOCK_PIXELS", 64)
        patch.setattr(modes, "_WAITING_VALUES", 1)
        for columns in (10 * 64, 40 * 64):
            tracemalloc.start()
            found = product(rows[:, :columns])
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (found == columns).all()
    # 8 wait in either case; all 40 would take 16 MB more.
    assert peaks[1] < peaks[0] + 1e6


def test_gram_matrix_is_summed_in_double_precision(long_rows):
    wide = long_rows.astype(np.float64)
    np.testing.assert_allclose(modes.gram_matrix(long_rows), wide @ wide.T, rtol=1e-12)
    found = modes.gram_matrix(long_rows, long_rows[:3])
    np.testing.assert_allclose(found, wide @ wide[:3].T, rtol=1e-12)


def test_gram_matrix_of_a_zone_counts_pixels_and_sums_rows(long_rows):
    wide = np.concatenate([long_rows.astype(np.float64), np.ones((1, long_rows.shape[1]))])
    np.testing.assert_allclose(modes.zone_gram(long_rows), wide @ wide.T, rtol=1e-11)


def test_operators_are_applied_in_the_precision_of_the_rows(long_rows):
    operator = np.random.default_rng(2).standard_normal((4, 7))
    found = modes.apply_operator(operator, long_rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, operator @ long_rows, atol=1e-5)


def test_columns_are_put_where_they_belong():
    rng = np.random.default_rng(3)
    out = rng.standard_normal((6, 40))
    values, index, lines = rng.standard_normal((3, 11)), rng.permutation(40)[:11], [5, 0, 2]
    expected = out.copy()
    expected[np.ix_(lines, index)] = values
    modes.put_columns(out, index, values, np.array(lines))
    np.testing.assert_array_equal(out, expected)


def test_strict_array_library_gives_the_same_result(rows):
    strict = array_api_strict.asarray(rows)
    np.testing.assert_allclose(np.asarray(modes.gram_matrix(strict)), rows @ rows.T)
    np.testing.assert_allclose(np.asarray(modes.zone_gram(strict)), modes.zone_gram(rows))
    vectors, inverse = modes.leading_modes(modes.gram_matrix(strict), 3)
    expected, _ = modes.leading_modes(modes.gram_matrix(rows), 3)
    np.testing.assert_allclose(np.abs(np.asarray(vectors)), np.abs(expected), atol=1e-10)
    assert inverse.shape == (3,)


def test_wrong_shapes_and_mode_counts_are_refused(rows):
    with pytest.raises(KernelInputError, match="do not fit"):
        modes.gram_matrix(rows, rows[:, :10])
    with pytest.raises(KernelInputError, match="does not fit"):
        modes.apply_operator(np.ones((3, 11)), rows)
    with pytest.raises(KernelInputError, match=r"outside 0\.\.12"):
        modes.leading_modes(modes.gram_matrix(rows), 13)
    with pytest.raises(KernelInputError, match=r"\(n, n_pix\) wanted"):
        modes.zone_gram(rows[0])


@pytest.mark.parametrize("dtype", [int, np.uint16, np.complex128, np.float16])
def test_rows_of_other_types_are_refused_by_name(rows, dtype):
    given = rows.astype(dtype)
    for call in (
        modes.gram_matrix,
        modes.zone_gram,
        lambda frames: modes.gram_matrix(rows, frames),
        lambda frames: modes.apply_operator(np.eye(12), frames),
    ):
        with pytest.raises(KernelInputError, match=f"are {given.dtype}, float32 or float64"):
            call(given)


@pytest.mark.parametrize("library", [np.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_without_pixels_have_empty_products(library, dtype):
    rows = library(np.zeros((4, 0), dtype))
    applied = modes.apply_operator(library(np.ones((3, 4))), rows)
    assert applied.shape == (3, 0)
    assert applied.dtype == rows.dtype
    np.testing.assert_array_equal(np.asarray(modes.gram_matrix(rows)), np.zeros((4, 4)))
    np.testing.assert_array_equal(np.asarray(modes.zone_gram(rows)), np.zeros((5, 5)))
