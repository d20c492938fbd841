"""Second way to the star centre of a CENTER frame: opposite spots turned onto each other.

No shape of the spots is assumed, only that opposite ones are alike when one is turned by 180 deg.
It serves where the fits of single spots fail or are uncertain, and as a check of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.clipping import robust_sigma
from spheredc_hpc.kernels.gaussian import SIGMA_TO_FWHM, Shape, fit_gaussian
from spheredc_hpc.level1.io import Floats, Image, Mask
from spheredc_hpc.level1.parts.spots import Pattern, SpotSettings, high_passed

ROUNDS = 4
# Box about a spot, in widths of its image.
HALF_BOX_FWHM = 3.5
# Height of the peak over the scatter of the correlation below which a pair tells nothing.
DETECTION = 6.0
# Weight of the expected error, in the count of the two numbers that a pair of pairs gives.
EXPECTED_WEIGHT = 1.0
# How much less alike the spots of a pair are than those of the other if something stands beside.
UNLIKE = 0.15
# Independent numbers in the image of a spot, for the error of a single pair.
NUMBERS_OF_A_SPOT = 4.0


@dataclass(frozen=True)
class PairCentre:
    """What the two pairs of opposite spots of one frame give.

    Attributes
    ----------
    xy : array, shape (2,)
        Mean of the middles of the pairs (x, y) [px].
    error : array, shape (2,)
        From their distance, joined with the expected error [px].
    middles : array, shape (2, 2)
        Middle of each pair [px].
    alike : (float, float)
        Correlation coefficient of the spots of each pair.
    """

    xy: Floats
    error: Floats
    middles: Floats
    alike: tuple[float, float]

    @property
    def error_px(self) -> float:
        """Length of the error [px]."""
        return float(np.hypot(*self.error))

    def moved(self, x: float, y: float) -> PairCentre:
        """Give the same with positions counted from another corner."""
        shift = np.array([x, y], dtype=np.float64)
        return replace(self, xy=self.xy + shift, middles=self.middles + shift)


def opposite_spots(
    image: Image, good: Mask, pattern: Pattern, start: Floats, settings: SpotSettings
) -> PairCentre | None:
    """Find the middles of both pairs of opposite spots by correlation.

    Parameters
    ----------
    image : array
        Clean counts of a rectangle [adu], finite.
    good : array of bool
        Pixels that were measured; others count as background.
    pattern : Pattern
    start : array, shape (2,)
        Star to a pixel or two (x, y) [px].
    settings : SpotSettings

    Returns
    -------
    PairCentre or None
        None if a pair does not stand out or its boxes leave the image.

    Notes
    -----
    The convolution of the box about one spot with the box about the opposite one peaks at the
    sum of their positions, twice the star. Boxes follow the centre until it stands still. What
    moves the middles of the pairs apart, a companion or speckles beneath a spot, is half of the
    error of their mean in each coordinate. If they are apart by more than `largest_error_px` and
    the spots of one pair are clearly less alike, the other pair alone gives the centre.
    """
    middles, alike = [], []
    for first in (0, 1):
        offsets = pattern.offsets[[first, first + 2]]
        found = _middle(image, good, offsets, start, pattern.fwhm_px, settings)
        if found is None:
            return None
        middles.append(found[0])
        alike.append(found[1])
    pair = np.stack(middles)
    both = (alike[0], alike[1])
    gap = (pair[0] - pair[1]) / 2
    best = int(np.argmax(both))
    if np.hypot(*gap) > settings.largest_error_px and both[best] - both[1 - best] > UNLIKE:
        single = _error_of_a_pair(both[best], pattern.fwhm_px, settings.shared_error_px)
        return PairCentre(pair[best], np.full(2, single), pair, both)
    expected = EXPECTED_WEIGHT * settings.shared_error_px**2
    error = np.sqrt((gap**2 + np.mean(gap**2) + expected) / (2 + EXPECTED_WEIGHT))
    return PairCentre(pair.mean(axis=0), error, pair, both)


def _error_of_a_pair(alike: float, fwhm_px: float, shared_px: float) -> float:
    """Error of the middle of two spots, by how alike they are [px]."""
    unlike = np.sqrt(max(1 - alike**2, 0.0)) / alike
    return float(
        np.hypot(2 * shared_px, 0.5 * fwhm_px / SIGMA_TO_FWHM * unlike / NUMBERS_OF_A_SPOT**0.5)
    )


def _middle(
    image: Image,
    good: Mask,
    offsets: Floats,
    start: Floats,
    fwhm_px: float,
    settings: SpotSettings,
) -> tuple[Floats, float] | None:
    """Middle of two opposite spots (x, y) [px], and how alike they are."""
    half = round(HALF_BOX_FWHM * fwhm_px)
    centre = start
    for _ in range(ROUNDS):
        corners = np.round(centre + offsets).astype(int) - half
        boxes = []
        for x0, y0 in corners:
            box = np.s_[y0 : y0 + 2 * half + 1, x0 : x0 + 2 * half + 1]
            if min(x0, y0) < 0 or image[box].shape != (2 * half + 1, 2 * half + 1):
                return None
            cut = high_passed(image, box, settings.high_pass_px)
            boxes.append(np.where(good[box], cut, 0) * _taper(half))
        found = _peak(boxes[0], boxes[1], fwhm_px)
        if found is None:
            return None
        peak, alike = found
        moved = (corners.sum(axis=0) + peak) / 2
        done = float(np.hypot(*(moved - centre))) < 0.01
        centre = moved
        if done:
            break
    return np.asarray(centre), alike


def _taper(half: int) -> Image:
    y, x = np.indices((2 * half + 1, 2 * half + 1)) - half
    return np.clip((half - np.hypot(x, y)) / 3, 0, 1).astype(np.float32)


def _peak(first: Image, second: Image, fwhm_px: float) -> tuple[Floats, float] | None:
    """Place (x, y) of the peak of the convolution of two boxes, and its correlation coefficient.

    None if it does not stand out.
    """
    shape = [2 * n - 1 for n in first.shape]
    size = [fft.next_fast_len(n, real=True) for n in shape]
    product = fft.irfft2(fft.rfft2(first, s=size) * fft.rfft2(second, s=size), s=size)
    product = product[: shape[0], : shape[1]]
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(product)), product.shape))
    scatter = robust_sigma(np.ascontiguousarray(product, dtype=np.float32))
    reach = max(round(fwhm_px), 3)
    near = product[
        max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
    ]
    if near.shape != (2 * reach + 1, 2 * reach + 1) or product[row, column] < DETECTION * scatter:
        return None
    try:
        fit = fit_gaussian(near, (float(reach), float(reach)), 0.6 * fwhm_px, Shape(reach_px=2.0))
    except KernelInputError:
        return None
    if not fit.converged:
        return None
    norm = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    alike = float(np.clip(product[row, column] / norm, 1e-3, 1.0))
    return np.array([column - reach + fit.x, row - reach + fit.y]), alike
