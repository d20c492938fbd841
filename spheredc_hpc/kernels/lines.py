"""Crossing of two lines, each through two points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]


def crossing(points: Floats, covariances: Floats) -> tuple[Floats, Floats]:
    """Intersect the diagonals of a quadrilateral.

    Parameters
    ----------
    points : array, shape (4, 2)
        Corners (x, y) in order of angle: the diagonals are 0-2 and 1-3.
    covariances : array, shape (4, 2, 2)
        Covariance of each corner; corners are taken as independent.

    Returns
    -------
    point : array, shape (2,)
        Where the diagonals cross, (x, y).
    covariance : array, shape (2, 2)
        Its covariance to first order.

    Raises
    ------
    KernelInputError
        If the shapes are wrong or the diagonals are parallel.

    Notes
    -----
    A corner that moves by d shifts its diagonal, where the other crosses it, by the part of
    d across the diagonal times the fraction of the diagonal beyond the crossing. What moves
    a corner along its diagonal has no effect.
    """
    points = np.asarray(points, dtype=np.float64)
    covariances = np.asarray(covariances, dtype=np.float64)
    if points.shape != (4, 2) or covariances.shape != (4, 2, 2):
        raise KernelInputError(f"corners {points.shape} with {covariances.shape}; 4 are wanted")
    along = np.stack([points[2] - points[0], points[3] - points[1]])
    length = np.hypot(along[:, 0], along[:, 1])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1e-300)[:, None]
    if length.min() == 0 or abs(np.linalg.det(across)) < 1e-6:
        raise KernelInputError("the diagonals are parallel: they do not cross")
    inverse = np.linalg.inv(across)
    point = inverse @ np.sum(across * points[:2], axis=1)
    part = np.sum((point - points[:2]) * along, axis=1) / length**2
    shares = np.concatenate([1 - part, part])
    covariance = np.zeros((2, 2))
    for corner in range(4):
        line = corner % 2
        response = shares[corner] * np.outer(inverse[:, line], across[line])
        covariance += response @ covariances[corner] @ response.T
    return point, covariance
