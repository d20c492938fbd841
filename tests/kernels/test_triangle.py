"""Triangles of symmetric matrices."""

import numpy as np
import pytest

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.triangle import pack_symmetric, unpack_symmetric


@pytest.mark.parametrize("n", [0, 1, 2, 7, 130])
def test_a_matrix_comes_back_bit_for_bit(n):
    rows = np.random.default_rng(n).standard_normal((n, n + 3))
    matrix = rows @ rows.T
    packed = pack_symmetric(matrix)
    assert packed.nbytes == 8 * n * (n + 1) // 2
    np.testing.assert_array_equal(unpack_symmetric(packed), matrix)


def test_the_lower_triangle_decides():
    matrix = np.arange(9.0).reshape(3, 3)
    expected = [[0, 3, 6], [3, 4, 7], [6, 7, 8]]
    np.testing.assert_array_equal(unpack_symmetric(pack_symmetric(matrix)), expected)


def test_shapes_must_be_possible():
    with pytest.raises(KernelInputError, match=r"\(2, 3\)"):
        pack_symmetric(np.zeros((2, 3)))
    with pytest.raises(KernelInputError, match=r"\(5,\)"):
        unpack_symmetric(np.zeros(5))
