"""The smooth part of an image: medians of blocks, joined by a cubic spline."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from spheredc_hpc.errors import KernelInputError

Image = NDArray[np.float32]


def block_medians(
    image: Image, block: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take medians over square blocks.

    Parameters
    ----------
    image : array, shape (ny, nx)
        NaN is left out.
    block : int
        Side of a block [px]; the last ones are larger if the image is no multiple.

    Returns
    -------
    rows, columns : array
        Middles of the blocks along each axis [px].
    medians : array, shape (len(rows), len(columns))
        Blocks without data take the median of all.

    Raises
    ------
    KernelInputError
        If no pixel is finite or the block does not fit into the image.
    """
    if image.ndim != 2 or not 1 <= block <= min(image.shape):
        raise KernelInputError(f"blocks of {block} px on an image of shape {image.shape}")
    if not np.isfinite(image).any():
        raise KernelInputError("no finite pixel to take a median of")
    edges = [_edges(n, block) for n in image.shape]
    medians = np.empty((len(edges[0]) - 1, len(edges[1]) - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # blocks without data
        for i in range(medians.shape[0]):
            strip = image[edges[0][i] : edges[0][i + 1]]
            for j in range(medians.shape[1]):
                medians[i, j] = np.nanmedian(strip[:, edges[1][j] : edges[1][j + 1]])
    medians[~np.isfinite(medians)] = np.nanmedian(medians)
    rows, columns = ((edge[:-1] + edge[1:] - 1) / 2 for edge in edges)
    return rows, columns, medians


def smooth_part(image: Image, block: int = 64) -> Image:
    """Estimate the smooth part of an image, shape of `image`, everywhere finite.

    Parameters
    ----------
    image : array, shape (ny, nx)
        NaN is left out.
    block : int
        Side of the blocks [px].

    Notes
    -----
    Bicubic spline through the block medians; constant beyond the middles of the outer blocks.
    """
    rows, columns, medians = block_medians(image, block)
    orders = [min(3, n - 1) for n in medians.shape]
    ny, nx = image.shape
    y = np.clip(np.arange(ny), rows[0], rows[-1])
    x = np.clip(np.arange(nx), columns[0], columns[-1])
    if min(orders) < 1:
        values = np.interp(y if medians.shape[0] > 1 else x, *_line(rows, columns, medians))
        tall = medians.shape[0] > 1
        spread = values[:, np.newaxis] if tall else values[np.newaxis]
        return np.broadcast_to(spread, image.shape).astype(np.float32)
    spline = RectBivariateSpline(rows, columns, medians, kx=orders[0], ky=orders[1])
    return np.asarray(spline(y, x), dtype=np.float32)


def _edges(n: int, block: int) -> NDArray[np.int64]:
    count = max(n // block, 1)
    edges = np.arange(count + 1) * block
    edges[-1] = n
    return edges


def _line(
    rows: NDArray[np.float64], columns: NDArray[np.float64], medians: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (rows, medians[:, 0]) if medians.shape[0] > 1 else (columns, medians[0])
