"""Rotation of square images by three Fourier shears."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace
from numpy.typing import NDArray
from scipy import fft as scipy_fft

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.checks import check_floating
from spheredc_hpc.kernels.device import pieces_at_once
from spheredc_hpc.kernels.fourier import fast_length, fft_of, phase_ramp
from spheredc_hpc.kernels.parallel import map_ordered
from spheredc_hpc.kernels.quarter import (
    Shears,
    pad,
    rotate_quarter,
    split_turn,
    turn_quarters,
)
from spheredc_hpc.kernels.scratch import scratch
from spheredc_hpc.kernels.shear import store_columns
from spheredc_hpc.kernels.warp import finite_angles, warp_frames

Array = Any
RotationMethod = Literal["fft", "interpolated"]

# Empty pixels between an image and its periodic copies. The response to features near the Nyquist
# frequency falls with distance only as 1/d; at 200 px what comes around is below 1 % of pixel
# noise, and S/N maps agree with those of unlimited padding to 0.002.
GUARD_PX = 200
# Columns kept on either side of what an image reaches after the first shear. What the last shear
# would fetch from beyond is below 1e-4 of pixel noise.
TAIL_PX = 48
# Lines transformed at a time, so that they and their spectra stay in the cache.
_LINES = 128
# Values of the largest array of one batch on other array libraries: 64 MB in float32.
_BATCH_VALUES = 2**24
# What a batch takes per such value: phases in float64 [bytes]; images, spectra, ramps and room to
# transform them, of the frames' own size.
_PHASE_BYTES, _IMAGES = 8, 8


class _Geometry(NamedTuple):
    """Lengths of the transforms: of rows and columns, and the columns that are worked on."""

    width: int
    height: int
    columns: int


def rotate_fft(frames: Array, angles_deg: float | Sequence[float] | Array) -> Array:
    """Rotate square frames counter-clockwise about pixel ``(n // 2, n // 2)``.

    Parameters
    ----------
    frames : array of float32 or float64, shape (..., n, n)
        Frames, finite: NaN would spread over rows and columns and is not checked.
    angles_deg : float or sequence, shape (n_frames,)
        Counter-clockwise turn of each frame, y up [deg].

    Returns
    -------
    array
        Rotated frames, shape and dtype of `frames`; zero comes in from outside.

    Raises
    ------
    KernelInputError
        If the frames are not square and floating, or the angles do not fit them.

    Notes
    -----
    `rotate_frames` with method "fft", for any number of leading axes.
    """
    if frames.ndim < 2:
        raise KernelInputError(f"frames (..., n, n) wanted, got {frames.shape}")
    xp = array_namespace(frames)
    stack = xp.reshape(frames, (math.prod(frames.shape[:-2]), *frames.shape[-2:]))
    return xp.reshape(rotate_frames(stack, angles_deg), frames.shape)


def rotate_frames(
    frames: Array,
    angles_deg: float | Sequence[float] | Array,
    method: RotationMethod = "fft",
    out: Array | None = None,
) -> Array:
    """Rotate a stack of square frames counter-clockwise about pixel ``(n // 2, n // 2)``.

    Parameters
    ----------
    frames : array of float32 or float64, shape (n_frames, n, n)
        Frames, finite: NaN would spread over rows and columns and is not checked.
    angles_deg : float or sequence, shape (n_frames,)
        Counter-clockwise turn of each frame, y up [deg].
    method : {"fft", "interpolated"}
        Fourier shears, or short filters (`warp_frames`) for an eighth of the time.
    out : NumPy array, shape (n_frames, n, n), optional
        Takes the result; may be `frames` itself. Only for NumPy frames.

    Returns
    -------
    array
        Rotated frames, shape and dtype of `frames`; zero comes in from outside.

    Raises
    ------
    KernelInputError
        If the frames are no stack, not square or not floating, or angles or `out` do not fit
        them.

    Notes
    -----
    Larkin, Oldenburg & Klemm (1997), Opt. Commun. 139, 99: shears along x, y and x by
    phase ramps. The turn is first reduced to at most 45 degrees by exact quarter turns.
    Rows and columns are padded along the sheared axis only, by what the angle asks and
    `GUARD_PX`, so that nothing to speak of comes around the edge. Image content must be
    sampled to better than 2.2 pixels per resolution element, as intermediate steps stretch
    the spectrum by up to 8 %. A Gaussian of 4 px FWHM comes out to 1.3e-6 of its peak.
    NumPy frames are shared by the threads of `worker_threads`, one frame at a time.
    Cost: O(n**2 log n), six real transforms per frame.
    """
    if frames.ndim != 3 or frames.shape[1] != frames.shape[2]:
        raise KernelInputError(f"square frames (n_frames, n, n) wanted, got {frames.shape}")
    check_floating(frames)
    if method == "interpolated":
        return warp_frames(frames, angles_deg, method="interpolated", out=out)
    if method != "fft":
        raise KernelInputError(f"unknown rotation {method!r}, 'fft' or 'interpolated' wanted")
    angles = finite_angles(angles_deg, frames.shape[0])
    xp = array_namespace(frames)
    if not is_numpy_namespace(xp):
        return _rotate_stack(xp, frames, angles)
    result = np.empty_like(frames, order="C") if out is None else out
    if result.shape != frames.shape or result.dtype != frames.dtype:
        raise KernelInputError(f"out {result.shape} {result.dtype} does not fit {frames.shape}")
    map_ordered(lambda i: _rotate_numpy(frames[i], angles[i], result[i]), range(frames.shape[0]))
    return result


def _geometry(side: int, shears: Shears) -> _Geometry:
    x, y = abs(shears.along_x), abs(shears.along_y)
    width = _even_length(math.ceil(side * (1 + x)) + GUARD_PX)
    height = _even_length(math.ceil(side * (1 + y * (1 + x) / 2)) + GUARD_PX)
    return _Geometry(width, height, min(width, math.ceil(side * (1 + x)) + 2 * TAIL_PX))


def _even_length(n: int) -> int:
    """Smallest fast even length >= `n`: even lengths keep their Nyquist term real."""
    length = fast_length(n)
    while length % 2:
        length = fast_length(length + 1)
    return length


# ---------------------------------------------------------------- NumPy, one frame


def _rotate_numpy(frame: NDArray[Any], angle_deg: float, target: NDArray[Any]) -> None:
    """Turn one frame into `target`, which may be the frame."""
    side, dtype = frame.shape[0], frame.dtype
    quarters, shears = split_turn(angle_deg)
    turned = scratch("turned", (side, side), dtype)
    turn_quarters(frame, quarters, turned, 0)
    if shears.along_y == 0.0:
        target[...] = turned
        return
    width, height, columns = _geometry(side, shears)
    left, low, first = width // 2 - side // 2, height // 2 - side // 2, (width - columns) // 2
    padded = scratch("padded", (min(_LINES, side), width), dtype)
    padded[:, :left] = 0
    padded[:, left + side :] = 0
    between = scratch("between", (columns, height), dtype)
    between[:, :low] = 0
    between[:, low + side :] = 0
    for start, stop in _pieces(side):
        lines = padded[: stop - start]
        lines[:, left : left + side] = turned[start:stop]
        lines = _shear_lines(lines, start - side // 2, shears.along_x)
        store_columns(lines, first, between, low + start)
    after = scratch("after", (side, width), dtype)
    after[:, :first] = 0
    after[:, first + columns :] = 0
    for start, stop in _pieces(columns):
        lines = _shear_lines(between[start:stop], first + start - width // 2, shears.along_y)
        store_columns(lines, low, after, first + start)
    for start, stop in _pieces(side):
        lines = _shear_lines(after[start:stop], start - side // 2, shears.along_x)
        target[start:stop] = lines[:, left : left + side]


def _pieces(lines: int) -> list[tuple[int, int]]:
    return [(start, min(start + _LINES, lines)) for start in range(0, lines, _LINES)]


def _shear_lines(lines: NDArray[Any], first: int, factor: float) -> NDArray[Any]:
    """Shift line i by ``factor * (first + i)``."""
    spectrum = scipy_fft.rfft(lines, axis=1)
    _multiply_ramp(spectrum.view(lines.dtype), first, -2 * math.pi * factor / lines.shape[1])
    moved = scipy_fft.irfft(spectrum, n=lines.shape[1], axis=1, overwrite_x=True)
    return np.asarray(moved)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _multiply_ramp(spectrum, first, angle):  # type: ignore[no-untyped-def]
    """Turn term k of line i (real and imaginary parts in turn) by ``angle * (first + i) * k``.

    The ramp is the product of a short table and one factor per block, both by recurrence in
    float64.
    """
    terms = spectrum.shape[1] // 2
    block = 32
    cosine, sine = np.empty(block, spectrum.dtype), np.empty(block, spectrum.dtype)
    for i in range(spectrum.shape[0]):
        step = angle * (first + i)
        one, two = np.cos(step), np.sin(step)
        re, im = 1.0, 0.0
        for k in range(block):
            cosine[k], sine[k] = re, im
            re, im = re * one - im * two, re * two + im * one
        one, two = re, im
        re, im = 1.0, 0.0
        for start in range(0, terms, block):
            c, s = cosine.dtype.type(re), cosine.dtype.type(im)
            part = spectrum[i, 2 * start : 2 * min(start + block, terms)]
            for k in range(part.size // 2):
                turn_re = cosine[k] * c - sine[k] * s
                turn_im = cosine[k] * s + sine[k] * c
                a, b = part[2 * k], part[2 * k + 1]
                part[2 * k] = a * turn_re - b * turn_im
                part[2 * k + 1] = a * turn_im + b * turn_re
            re, im = re * one - im * two, re * two + im * one


# ---------------------------------------------------------------- other array libraries, stacks


def _rotate_stack(xp: Any, frames: Array, angles: list[float]) -> Array:
    """Turn frames in batches of equal transform lengths."""
    side = frames.shape[-1]
    turned: list[Array] = []
    batches: dict[_Geometry, list[int]] = {}
    factors: list[Shears] = []
    for i, angle in enumerate(angles):
        quarters, shears = split_turn(angle)
        turned.append(rotate_quarter(frames[i, ...], quarters))
        factors.append(shears)
        if shears.along_y != 0.0:
            batches.setdefault(_geometry(side, shears), []).append(i)
    for geometry, members in batches.items():
        values = max(side * geometry.width, geometry.columns * geometry.height)
        bytes_each = (_PHASE_BYTES + _IMAGES * xp.finfo(frames.dtype).bits // 8) * values
        size = pieces_at_once(frames, bytes_each, _BATCH_VALUES // values)
        for start in range(0, len(members), size):
            batch = members[start : start + size]
            shears_of = [factors[i] for i in batch]
            moved = _rotate_batch(xp, xp.stack([turned[i] for i in batch]), shears_of, geometry)
            for k, i in enumerate(batch):
                turned[i] = moved[k, ...]
    return xp.stack(turned) if turned else frames


def _rotate_batch(xp: Any, stack: Array, shears: list[Shears], geometry: _Geometry) -> Array:
    side = stack.shape[-1]
    width, height, columns = geometry
    left, low, first = width // 2 - side // 2, height // 2 - side // 2, (width - columns) // 2
    along_x = xp.asarray([s.along_x for s in shears], dtype=xp.float64)
    along_y = xp.asarray([s.along_y for s in shears], dtype=xp.float64)
    stack = pad(xp, stack, left, width - side - left, -1)
    stack = _shear(xp, stack, along_x, -1, -(side // 2))[:, :, first : first + columns]
    stack = pad(xp, stack, low, height - side - low, -2)
    stack = _shear(xp, stack, along_y, -2, first - width // 2)[:, low : low + side, :]
    stack = pad(xp, stack, first, width - columns - first, -1)
    return _shear(xp, stack, along_x, -1, -(side // 2))[:, :, left : left + side]


def _shear(xp: Any, stack: Array, factors: Array, axis: int, first: int) -> Array:
    """Shift line i along `axis` by the image's factor times ``first + i``."""
    fft = fft_of(xp)
    length = stack.shape[axis]
    lines = stack.shape[-1 if axis == -2 else -2]
    frequency = xp.arange(length // 2 + 1, dtype=xp.float64) / length
    shift = factors[:, None] * (xp.arange(lines, dtype=xp.float64) + first)[None, :]
    if axis == -1:
        turns = shift[:, :, None] * frequency[None, None, :]
    else:
        turns = frequency[None, :, None] * shift[:, None, :]
    spectrum = fft.rfft(stack, axis=axis) * phase_ramp(xp, turns, stack.dtype)
    return fft.irfft(spectrum, n=length, axis=axis)
