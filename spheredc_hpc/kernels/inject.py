"""Companions added to frames: tracks on the detector, smeared over each integration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from spheredc_hpc.errors import KernelInputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A track is cut so finely that a step is at most this long [px] ...
MAX_STEP_PX = 0.5
# ... and at least so often.
MIN_STEPS = 5
# Zero border about the stamp, for what a fractional shift and the smearing spill [px].
_BORDER_PX = 4


@dataclass(frozen=True)
class Rotation:
    """Derotation angles of the frames of one cube.

    Attributes
    ----------
    middle_deg, start_deg, end_deg : array of float64, shape (n_time,)
        Derotation at the middle, start and end of each integration [deg].
    """

    middle_deg: Floats
    start_deg: Floats
    end_deg: Floats

    def of(self, frames: NDArray[np.int64] | slice) -> Rotation:
        """Angles of some of the frames."""
        return Rotation(self.middle_deg[frames], self.start_deg[frames], self.end_deg[frames])

    def at(self, fraction: ArrayLike) -> Floats:
        """Derotation at fractions (0 to 1) of each integration, shape (n_time, n_fraction).

        A parabola through start, middle and end; angles may wrap.
        """
        u = np.asarray(fraction, np.float64)[None, :]
        before = _wrap(self.start_deg - self.middle_deg)[:, None]
        after = _wrap(self.end_deg - self.middle_deg)[:, None]
        turn = before * (1 - 2 * u) * (1 - u) + after * u * (2 * u - 1)
        return np.asarray(self.middle_deg[:, None] + turn)


def _wrap(angle_deg: Floats) -> Floats:
    return (np.asarray(angle_deg, np.float64) + 180.0) % 360.0 - 180.0


def detector_offsets(
    dx_px: float, dy_px: float, derotation_deg: ArrayLike
) -> tuple[Floats, Floats]:
    """Where a point of the derotated image stands on the frames.

    Parameters
    ----------
    dx_px, dy_px : float
        Offset from the centre on the derotated image [px].
    derotation_deg : array_like
        Counter-clockwise turn from frame to derotated image [deg].

    Returns
    -------
    dx, dy : array of float64, shape of `derotation_deg`
        Offset from the centre on the frame [px].
    """
    angle = np.deg2rad(np.asarray(derotation_deg, np.float64))
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * dx_px + sine * dy_px, cosine * dy_px - sine * dx_px


@dataclass(frozen=True)
class Stamp:
    """A point-spread function ready for shifts, with a unit of flux of the caller's choice."""

    spectrum: NDArray[np.complex128]
    size: int
    border: int

    @classmethod
    def of(cls, psf: NDArray[Any], border: int = _BORDER_PX) -> Stamp:
        """Prepare a square image whose star stands on pixel ``(n // 2, n // 2)``."""
        if psf.ndim != 2 or psf.shape[0] != psf.shape[1] or not np.all(np.isfinite(psf)):
            raise KernelInputError(f"finite square PSF wanted, got shape {psf.shape}")
        border = _fast_border(psf.shape[0], border)
        padded = np.pad(np.asarray(psf, np.float64), border)
        return cls(fft.rfft2(padded), padded.shape[0], border)

    def smeared(self, dx_px: Floats, dy_px: Floats) -> tuple[NDArray[np.float32], Ints, Ints]:
        """Mean of the PSF over the sub-positions of each frame.

        Parameters
        ----------
        dx_px, dy_px : array of float64, shape (n_frame, n_step)
            Sub-positions relative to the centre pixel of a frame [px].

        Returns
        -------
        stamps : array of float32, shape (n_frame, size, size)
            Smeared PSFs.
        x0, y0 : array of int64, shape (n_frame,)
            Offset of the first pixel of each stamp from the centre pixel of its frame.
        """
        cx, cy = np.rint(dx_px.mean(axis=1)), np.rint(dy_px.mean(axis=1))
        dx, dy = dx_px - cx[:, None], dy_px - cy[:, None]
        spread = max(np.abs(dx).max(initial=0.0), np.abs(dy).max(initial=0.0))
        stamp = self if spread < self.border else self._wider(int(np.ceil(spread)) + 2)
        n = stamp.size
        ramp_y = np.exp(-2j * np.pi * np.fft.fftfreq(n)[:, None] * dy[:, None, :])
        ramp_x = np.exp(-2j * np.pi * np.fft.rfftfreq(n)[:, None] * dx[:, None, :])
        ramp_x /= dx_px.shape[1]
        # Phases in double precision, the rest in that of the pixels.
        factor = np.matmul(
            ramp_y.astype(np.complex64), np.swapaxes(ramp_x.astype(np.complex64), 1, 2)
        )
        factor *= stamp.spectrum.astype(np.complex64)
        images = np.asarray(fft.irfft2(factor, s=(n, n), overwrite_x=True), np.float32)
        return images, cx.astype(np.int64) - n // 2, cy.astype(np.int64) - n // 2

    @property
    def image(self) -> Floats:
        """The image it was made of."""
        padded = fft.irfft2(self.spectrum, s=(self.size, self.size))
        inside = slice(self.border, self.size - self.border)
        return np.asarray(padded[inside, inside])

    def zoomed(self, scale: float) -> Stamp:
        """Prepare the same point source on a grid of other pixels.

        Parameters
        ----------
        scale : float
            New pixels per pixel of the stamp, at most 1: a source shrinks by it.

        Returns
        -------
        Stamp
            Of equal surface brightness: sums fall by ``scale**2``.

        Raises
        ------
        KernelInputError
            If the scale is out of range.

        Notes
        -----
        The image is a trigonometric polynomial; it is evaluated at the new pixels.
        """
        if not 0 < scale <= 1:
            raise KernelInputError(f"scale={scale}, above 0 and at most 1 wanted")
        if scale == 1:
            return self
        inner = self.size - 2 * self.border
        half = int(np.floor((inner // 2) * scale))
        position = np.arange(-half, half + 1) / scale
        turns = np.exp(2j * np.pi * np.multiply.outer(position, np.fft.fftfreq(self.size)))
        image = fft.fft2(fft.irfft2(self.spectrum, s=(self.size, self.size)))
        # The star stands on pixel n // 2 of the padded image.
        turns *= np.exp(2j * np.pi * (self.size // 2) * np.fft.fftfreq(self.size))
        values = (turns @ image @ turns.T).real / self.size**2
        return Stamp.of(values, self.border)

    def _wider(self, border: int) -> Stamp:
        return Stamp.of(self.image, border)


def _fast_border(inner: int, border: int) -> int:
    """Least border from `border` on that makes transforms fast: no prime factor above 7."""
    while True:
        rest = inner + 2 * border
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return border
        border += 1


def sub_positions(dx_px: float, dy_px: float, rotation: Rotation) -> tuple[Floats, Floats]:
    """Positions of a companion on the frames at equal steps of time within each integration.

    Parameters
    ----------
    dx_px, dy_px : float
        Offset on the derotated image [px].
    rotation : Rotation
        Angles of the frames.

    Returns
    -------
    dx, dy : array of float64, shape (n_time, n_step)
        Offsets on the frames [px]; at least `MIN_STEPS` steps, none above `MAX_STEP_PX`.
    """
    turn = np.abs(_wrap(rotation.end_deg - rotation.start_deg)).max(initial=0.0)
    arc = np.deg2rad(turn) * np.hypot(dx_px, dy_px)
    steps = max(MIN_STEPS, int(np.ceil(arc / MAX_STEP_PX)))
    fraction = (np.arange(steps) + 0.5) / steps
    return detector_offsets(dx_px, dy_px, rotation.at(fraction))


def add_companion(
    frames: NDArray[np.float32],
    stamp: Stamp,
    offset_px: tuple[float, float],
    rotation: Rotation,
    flux: float | Floats = 1.0,
    corner_px: tuple[int, int] | None = None,
) -> None:
    """Add one companion to frames, in place.

    Parameters
    ----------
    frames : array of float32, shape (n_time, ny, nx)
        Frames, or the same window of each; what falls outside is lost.
    stamp : Stamp
        Point-spread function.
    offset_px : (float, float)
        Offset ``(dx, dy)`` on the derotated image [px].
    rotation : Rotation
        Angles of the frames.
    flux : float or array, shape (n_time,)
        Factor on the PSF, per frame if it varies.
    corner_px : (int, int), optional
        Offset ``(dx, dy)`` of the first pixel of `frames` from the star; if absent, the star
        stands on pixel ``(n // 2, n // 2)``.

    Raises
    ------
    KernelInputError
        If the number of angles is not that of the frames.
    """
    n_time, ny, nx = frames.shape
    if rotation.middle_deg.shape != (n_time,):
        raise KernelInputError(f"{rotation.middle_deg.shape} angles for {n_time} frames")
    scale = np.broadcast_to(np.asarray(flux, np.float64), (n_time,))
    corner_x, corner_y = corner_px if corner_px is not None else (-(nx // 2), -(ny // 2))
    xs, ys = sub_positions(*offset_px, rotation)
    images, lefts, lows = stamp.smeared(xs, ys)
    for i, image in enumerate(images):
        x0, y0 = int(lefts[i]) - corner_x, int(lows[i]) - corner_y
        left, low = max(x0, 0), max(y0, 0)
        right, high = min(x0 + image.shape[1], nx), min(y0 + image.shape[0], ny)
        if left < right and low < high:
            piece = image[low - y0 : high - y0, left - x0 : right - x0]
            frames[i, low:high, left:right] += np.float32(scale[i]) * piece


@numba.njit(cache=True, nogil=True)
def _spread(out, lines, place, side, x0, y0, images):  # type: ignore[no-untyped-def]
    """Add stamps; False, with those before it added, if a column is not among the pixels."""
    half = side // 2
    size = images.shape[1]
    for k in range(images.shape[0]):
        for j in range(size):
            y = y0[k] + j + half
            if y < 0 or y >= side:
                continue
            for i in range(size):
                x = x0[k] + i + half
                if 0 <= x < side:
                    at = place[y * side + x]
                    if at >= out.shape[1]:
                        return False
                    if at >= 0:
                        out[lines[k], at] += images[k, j, i]
    return True


def spread_stamps(
    out: NDArray[np.float32],
    lines: Ints,
    place: Ints,
    corners: tuple[Ints, Ints],
    images: NDArray[np.float32],
) -> None:
    """Add stamps to frames whose pixels are held in any order, in place.

    Parameters
    ----------
    out : array of float32, shape (n_line, n_pix)
        Pixels of frames, one frame a line.
    lines : array of int64, shape (n,)
        Line that each stamp is added to, 0 to ``n_line - 1``.
    place : array of int64, shape (side**2,)
        Column of each pixel of a square frame, below `n_pix`; negative for those not held.
    corners : (array of int64, array of int64), shape (n,) each
        Offset ``(x0, y0)`` of the first pixel of each stamp from the centre pixel.
    images : array of float32, shape (n, size, size)
        Stamps; what falls outside is lost.

    Raises
    ------
    KernelInputError
        If shapes do not fit, or a line or a column is not among those of `out`. In the last case
        some stamps may have been added.
    """
    side = math.isqrt(place.size)
    square = images.ndim == 3 and images.shape[1] == images.shape[2] and out.ndim == 2
    each = {lines.shape, corners[0].shape, corners[1].shape}
    if not square or side * side != place.size or each != {images.shape[:1]}:
        raise KernelInputError(
            f"{place.size} pixels, {lines.size} lines, {corners[0].size} and {corners[1].size} "
            f"corners for stamps {images.shape} in frames {out.shape}"
        )
    if lines.size and not 0 <= lines.min() <= lines.max() < out.shape[0]:
        raise KernelInputError(
            f"lines {lines.min()} to {lines.max()}, 0 to {out.shape[0] - 1} wanted"
        )
    if not _spread(out, lines, place, side, corners[0], corners[1], images):
        raise KernelInputError(f"column {place.max()} of a pixel, below {out.shape[1]} wanted")
