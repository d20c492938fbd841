"""Smooth patterns in which the planes of a background differ from their mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spheredc_hpc.instrument.detectors import Detector
from spheredc_hpc.kernels.smooth import block_medians, through_nodes

Image = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

BLOCK_PX = 32
# Of what noise alone gives as the largest singular value.
ABOVE_NOISE = 1.5
LEAST_PLANES = 3
MEDIAN_VARIANCE = np.pi / 2
"""Variance of a median over that of a mean, for a normal distribution."""


def background_templates(
    planes: list[Image], mean: Image, noise_adu: float, device: Detector, most: int
) -> dict[str, Image]:
    """Find the leading patterns of change, smooth on the scale of 32 px.

    Parameters
    ----------
    planes : list of array
        Counts of the whole detector plane [adu].
    mean : array
        Their mean [adu].
    noise_adu : float
        Noise of one pixel of one plane [adu].
    device : Detector
    most : int
        Patterns at most.

    Returns
    -------
    dict
        ``TEMPLATE1`` and so on, the strongest first, to images of the whole plane: their
        typical change from plane to plane [adu], 0 outside of the illuminated windows. Empty
        if the planes differ by no more than noise or there are fewer than three.

    Notes
    -----
    Principal components of the medians of blocks, each field by itself: what warms one camera
    need not warm the other. A component counts if its singular value is 1.5 times the largest
    that noise gives, ``sigma (sqrt(n) + sqrt(m))`` for `n` planes and `m` blocks.
    """
    n = len(planes)
    if n < LEAST_PLANES or most == 0:
        return {}
    found: dict[str, Image] = {}
    for part, window in zip(device.fields, device.illuminated, strict=True):
        lit = mean[:, part][window]
        nodes = [block_medians(plane[:, part][window] - lit, BLOCK_PX) for plane in planes]
        rows, columns = nodes[0][:2]
        medians = np.stack([item[2] for item in nodes])
        for number, pattern in enumerate(_components(medians, noise_adu, most), 1):
            image = found.setdefault(f"TEMPLATE{number}", np.zeros(device.shape, dtype=np.float32))
            image[:, part][window] = through_nodes(rows, columns, pattern, lit.shape)
    return found


def _components(medians: Floats, noise_adu: float, most: int) -> list[Floats]:
    """Leading components above the noise, each as its rms change, shape of a grid of nodes."""
    n, shape = len(medians), medians.shape[1:]
    values = medians.reshape(n, -1)
    values = values - values.mean(axis=0)
    sigma = noise_adu * np.sqrt(MEDIAN_VARIANCE) / BLOCK_PX
    limit = ABOVE_NOISE * sigma * (np.sqrt(n) + np.sqrt(values.shape[1]))
    _, strengths, patterns = np.linalg.svd(values, full_matrices=False)
    kept = int(np.sum(strengths[:most] > max(limit, 0.0)))
    return [
        (np.sign(pattern.sum()) or 1.0) * strength / np.sqrt(n) * pattern.reshape(shape)
        for strength, pattern in zip(strengths[:kept], patterns[:kept], strict=True)
    ]
