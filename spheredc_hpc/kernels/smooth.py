"""The smooth part of an image: medians of blocks, joined by a cubic spline."""

from __future__ import annotations

import warnings
from itertools import pairwise

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
    counts = [max(n // block, 1) for n in image.shape]
    edges = [
        np.array([*(np.arange(k) * block), n]) for k, n in zip(counts, image.shape, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # blocks without data
        medians = np.stack(
            [_strip_medians(image[low:high], counts[1], block) for low, high in pairwise(edges[0])]
        )
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
    Bicubic spline through the block medians, carried on linearly to the edges.
    """
    return through_nodes(*block_medians(image, block), image.shape)


def through_nodes(
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    values: NDArray[np.float64],
    shape: tuple[int, ...],
) -> Image:
    """Join values on a grid of nodes to an image; see `smooth_part`.

    Parameters
    ----------
    rows, columns : array
        Places of the nodes along each axis [px].
    values : array, shape (len(rows), len(columns))
    shape : tuple of int
        Of the image, (ny, nx).
    """
    ny, nx = shape
    rows, values = _to_edges(rows, values, ny)
    columns, values = _to_edges(columns, values.T, nx)
    orders = [min(3, len(nodes) - 1) for nodes in (rows, columns)]
    spline = RectBivariateSpline(rows, columns, values.T, kx=orders[0], ky=orders[1])
    return np.asarray(spline(np.arange(ny), np.arange(nx)), dtype=np.float32)


def _strip_medians(strip: Image, count: int, block: int) -> NDArray[np.float64]:
    """Medians of the blocks of one strip; the last block takes what is left over."""
    whole = (count - 1) * block
    boxes = strip[:, :whole].reshape(strip.shape[0], count - 1, block)
    # Of finite values the plain median is the same and much faster.
    median = np.median if np.isfinite(strip).all() else np.nanmedian
    first = median(np.moveaxis(boxes, 1, 0).reshape(count - 1, -1), axis=1)
    return np.append(first, median(strip[:, whole:])).astype(np.float64)


def _to_edges(
    nodes: NDArray[np.float64], values: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add a node at both ends of the first axis, on the line through the next two."""
    if len(nodes) == 1:
        return np.array([0.0, n - 1.0]), np.concatenate([values, values])
    ends = []
    for at, near, next_one in ((0.0, 0, 1), (n - 1.0, -1, -2)):
        slope = (values[near] - values[next_one]) / (nodes[near] - nodes[next_one])
        ends.append(values[near] + slope * (at - nodes[near]))
    return (
        np.concatenate([[0.0], nodes, [n - 1.0]]),
        np.concatenate([ends[0][np.newaxis], values, ends[1][np.newaxis]]),
    )
