"""Symmetric matrices that wait in half their memory."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError


@numba.njit(cache=True, nogil=True)
def _pack(matrix, packed):  # type: ignore[no-untyped-def]
    start = 0
    for i in range(matrix.shape[0]):
        packed[start : start + i + 1] = matrix[i, : i + 1]
        start += i + 1


@numba.njit(cache=True, nogil=True)
def _unpack(packed, matrix):  # type: ignore[no-untyped-def]
    start = 0
    for i in range(matrix.shape[0]):
        matrix[i, : i + 1] = packed[start : start + i + 1]
        matrix[: i + 1, i] = packed[start : start + i + 1]
        start += i + 1


def pack_symmetric(matrix: NDArray[Any]) -> NDArray[Any]:
    """Keep the lower triangle of a symmetric matrix.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Symmetric; what is above the diagonal is not looked at.

    Returns
    -------
    array, shape (n (n + 1) / 2,)
        Row after row, each up to the diagonal.

    Raises
    ------
    KernelInputError
        If the matrix is not square.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise KernelInputError(f"square matrix wanted, got {matrix.shape}")
    packed = np.empty(matrix.shape[0] * (matrix.shape[0] + 1) // 2, matrix.dtype)
    _pack(matrix, packed)
    return packed


def unpack_symmetric(packed: NDArray[Any]) -> NDArray[Any]:
    """Give back the matrix that `pack_symmetric` took the triangle of.

    Raises
    ------
    KernelInputError
        If there is no matrix with so many elements in a triangle.
    """
    n = (math.isqrt(8 * packed.size + 1) - 1) // 2
    if packed.ndim != 1 or n * (n + 1) // 2 != packed.size:
        raise KernelInputError(f"no triangle has {packed.shape} elements")
    matrix = np.empty((n, n), packed.dtype)
    _unpack(packed, matrix)
    return matrix
