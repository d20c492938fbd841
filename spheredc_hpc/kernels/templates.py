"""Spectra of lenslets by least squares with the images that they make on the detector."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.extraction import Traces, _columns_interp, _rows_interp
from spheredc_hpc.kernels.parallel import map_ordered

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

PIECE = 1024
HALF_PX = 3
# Rows that a node lights beyond itself and its neighbours, and nodes that light one row.
MARGIN_PX, NODES_A_ROW = 3, 8
SAMPLES = 240
# Weight of the smoothness of a spectrum that nothing else determines, relative to its information.
TINY = 1e-5


class TemplateExtractor:
    """Fits the spectrum of every lenslet to the pixels that it lights.

    A spectrum is linear between nodes equally spaced in the logarithm of the wavelength, about 1.7
    px apart, as close as the spots allow. What the model of the other lenslets puts on the pixels
    is taken out in rounds (as the chi-square extraction of CHARIS does: Brandt et al. 2017, JATIS
    3, 048002).

    Parameters
    ----------
    traces : Traces
    channels_um : array, shape (c,)
    width_um : float
        Width of a channel.
    shape : (int, int)
        Of the detector frames.
    nodes : int
        Nodes of a spectrum.
    rounds : int
        Times that the light of neighbours is modelled.

    Raises
    ------
    KernelInputError
        If a channel lies beyond the traces.
    """

    def __init__(
        self,
        traces: Traces,
        channels_um: Floats,
        width_um: float,
        shape: tuple[int, int],
        nodes: int = 21,
        rounds: int = 2,
    ) -> None:
        low, high = traces.wavelength_um[[0, -1]]
        if channels_um.min() < low or channels_um.max() > high:
            raise KernelInputError(
                f"channels of {channels_um.min():.4f} to {channels_um.max():.4f} um; the traces "
                f"reach from {low:.4f} to {high:.4f} um"
            )
        self.shape, self.rounds, self.width_um = shape, rounds, width_um
        self.nodes_um = np.exp(np.linspace(np.log(low), np.log(high), nodes))
        # Channels between the nodes.
        place = np.clip(np.searchsorted(self.nodes_um, channels_um) - 1, 0, nodes - 2)
        steps = self.nodes_um[place + 1] - self.nodes_um[place]
        self._place, self._share = place, (channels_um - self.nodes_um[place]) / steps
        n = traces.x.shape[1]
        self.first = np.floor(traces.y[0]).astype(np.int64) - MARGIN_PX
        last = np.ceil(traces.y[-1]).astype(np.int64) + MARGIN_PX
        rows = int((last - self.first).max()) + 1
        self.column = np.empty((n, rows), np.int32)
        self.profile = np.empty((n, rows, 2 * HALF_PX + 1), np.float32)
        self.start = np.empty((n, rows), np.int32)
        self.light = np.empty((n, rows, NODES_A_ROW), np.float32)
        wave = np.linspace(low, high, SAMPLES)
        for begin in range(0, n, PIECE):
            self._fill(traces, slice(begin, min(begin + PIECE, n)), wave)

    def _fill(self, traces: Traces, part: slice, wave: Floats) -> None:
        x, y = traces.x[:, part], traces.y[:, part]
        sigma = traces.sigma[:, part]
        rows = self.first[part] + np.arange(self.column.shape[1])[:, np.newaxis]
        centre, width = _rows_interp(rows.astype(np.float64), y, np.stack([x, sigma]))
        column = np.rint(centre).astype(np.int32)
        self.column[part] = column.T
        _profiles((centre - column).T.copy(), width.T.copy(), self.profile[part])
        at = _columns_interp(wave, traces.wavelength_um, y)
        spread = _columns_interp(wave, traces.wavelength_um, sigma)
        step = (wave[1] - wave[0]) / self.width_um
        _row_lights(
            at,
            spread,
            wave,
            self.nodes_um,
            step,
            self.first[part],
            self.start[part],
            self.light[part],
        )

    def extract(self, frame: Image, variance: Image, good: Mask) -> tuple[Image, Image]:
        """Extract one frame; arguments and results as of `TraceExtractor.extract`."""
        for name, array in (("frame", frame), ("variance", variance), ("mask", good)):
            if array.shape != self.shape:
                raise KernelInputError(f"{name} of shape {array.shape}; expected {self.shape}")
        n, nodes = self.first.size, self.nodes_um.size
        usable = good & np.isfinite(frame) & (variance > 0)
        inverse = np.where(usable, 1 / np.where(usable, variance, 1), 0).astype(np.float32)
        left = np.where(usable, frame, 0).astype(np.float32)
        found = np.zeros((n, nodes))
        spectra = np.empty((n, self._place.size), np.float32)
        noise = np.empty_like(spectra)

        def run(begin: int) -> None:
            p = slice(begin, min(begin + PIECE, n))
            _solve(
                left,
                inverse,
                self.first[p],
                self.column[p],
                self.profile[p],
                self.start[p],
                self.light[p],
                self._place,
                self._share,
                found[p],
                spectra[p],
                noise[p],
            )

        model = np.zeros(self.shape, np.float32)
        for turn in range(self.rounds + 1):
            map_ordered(run, range(0, n, PIECE))
            if turn < self.rounds:
                model[:] = 0
                _model(model, self.first, self.column, self.profile, self.start, self.light, found)
                left = np.where(usable, frame - model, 0).astype(np.float32)
        return np.ascontiguousarray(spectra.T), np.ascontiguousarray(noise.T)


@numba.njit(cache=True, nogil=True)
def _profiles(off, sigma, out):  # type: ignore[no-untyped-def]
    """Light of a row in the pixels across, integrated over each."""
    half = out.shape[2] // 2
    for k in range(out.shape[0]):
        for r in range(out.shape[1]):
            scale = 1 / (math.sqrt(2.0) * sigma[k, r])
            before = math.erf((-half - 0.5 - off[k, r]) * scale)
            for i in range(out.shape[2]):
                after = math.erf((i - half + 0.5 - off[k, r]) * scale)
                out[k, r, i] = 0.5 * (after - before)
                before = after


@numba.njit(cache=True, nogil=True)
def _row_lights(at, sigma, wave, nodes, step, first, start, light):  # type: ignore[no-untyped-def]
    """Light that each node puts on each row: a triangle in wavelength, smeared by the spots."""
    rows, most, count = light.shape[1], light.shape[2], nodes.size
    held = np.empty((rows, count))
    for k in range(first.size):
        held[:] = 0.0
        node = 0
        for s in range(wave.size):
            while node < count - 2 and nodes[node + 1] < wave[s]:
                node += 1
            share = (wave[s] - nodes[node]) / (nodes[node + 1] - nodes[node])
            weight = step * (0.5 if s == 0 or s == wave.size - 1 else 1.0)
            scale = 1 / (math.sqrt(2.0) * sigma[s, k])
            middle = round(at[s, k]) - first[k]
            low, high = max(middle - 4, 0), min(middle + 5, rows)
            before = math.erf((low - 0.5 + first[k] - at[s, k]) * scale)
            for r in range(low, high):
                after = math.erf((r + 0.5 + first[k] - at[s, k]) * scale)
                part = 0.5 * (after - before) * weight
                held[r, node] += (1 - share) * part
                held[r, node + 1] += share * part
                before = after
        for r in range(rows):
            best = 0
            total = -1.0
            for b in range(count - most + 1):
                kept = 0.0
                for i in range(most):
                    kept += held[r, b + i]
                if kept > total:
                    total, best = kept, b
            start[k, r] = best
            for i in range(most):
                light[k, r, i] = held[r, best + i]


@numba.njit(cache=True, nogil=True)
def _solve(  # type: ignore[no-untyped-def]
    frame, inverse, first, column, profile, start, light, place, share, found, spectra, noise
):
    """Solve the normal equations of each lenslet for what is left and add it to `found`."""
    count, most = found.shape[1], light.shape[2]
    half = profile.shape[2] // 2
    matrix, vector = np.empty((count, count)), np.empty(count)
    for k in range(first.size):
        matrix[:] = 0.0
        vector[:] = 0.0
        for r in range(column.shape[1]):
            row = first[k] + r
            if row < 0 or row >= frame.shape[0]:
                continue
            square, light_here = 0.0, 0.0
            for i in range(profile.shape[2]):
                c = column[k, r] - half + i
                if c < 0 or c >= frame.shape[1]:
                    continue
                weight = profile[k, r, i] * inverse[row, c]
                square += weight * profile[k, r, i]
                light_here += weight * frame[row, c]
            if square == 0.0:
                continue
            base = start[k, r]
            for i in range(most):
                a = light[k, r, i]
                if a == 0.0:
                    continue
                vector[base + i] += a * light_here
                for j in range(i + 1):
                    matrix[base + i, base + j] += a * light[k, r, j] * square
        trace = 0.0
        for i in range(count):
            trace += matrix[i, i]
        if trace == 0.0:
            spectra[k], noise[k] = np.nan, np.inf
            continue
        # Smoothness where the data are silent: second differences.
        tiny = TINY * trace / count
        for i in range(1, count - 1):
            matrix[i - 1, i - 1] += tiny
            matrix[i, i] += 4 * tiny
            matrix[i + 1, i + 1] += tiny
            matrix[i, i - 1] -= 2 * tiny
            matrix[i + 1, i] -= 2 * tiny
            matrix[i + 1, i - 1] += tiny
        _factor(matrix, most)
        _substitute(matrix, most, vector)
        for i in range(count):
            found[k, i] += vector[i]
        _channels(matrix, most, found[k], place, share, spectra[k], noise[k])


@numba.njit(cache=True, nogil=True)
def _factor(matrix, most):  # type: ignore[no-untyped-def]
    """Cholesky factor in place, lower half, of a band matrix."""
    count = matrix.shape[0]
    for i in range(count):
        low = max(0, i - most)
        for j in range(low, i + 1):
            total = matrix[i, j]
            for m in range(max(low, j - most), j):
                total -= matrix[i, m] * matrix[j, m]
            if i == j:
                matrix[i, i] = math.sqrt(max(total, 1e-300))
            else:
                matrix[i, j] = total / matrix[j, j]


@numba.njit(cache=True, nogil=True)
def _substitute(factor, most, vector):  # type: ignore[no-untyped-def]
    count = vector.size
    for i in range(count):
        total = vector[i]
        for j in range(max(0, i - most), i):
            total -= factor[i, j] * vector[j]
        vector[i] = total / factor[i, i]
    for i in range(count - 1, -1, -1):
        total = vector[i]
        for j in range(i + 1, min(count, i + most + 1)):
            total -= factor[j, i] * vector[j]
        vector[i] = total / factor[i, i]


@numba.njit(cache=True, nogil=True)
def _channels(factor, most, found, place, share, spectrum, noise):  # type: ignore[no-untyped-def]
    """Values at the channels, and variances from the inverse of the normal matrix."""
    count = found.size
    column = np.empty(count)
    for c in range(place.size):
        p, s = place[c], share[c]
        spectrum[c] = (1 - s) * found[p] + s * found[p + 1]
        column[:] = 0.0
        column[p], column[p + 1] = 1 - s, s
        # The variance is the square of the forward substitution.
        total = 0.0
        for i in range(p, count):
            value = column[i]
            for j in range(max(p, i - most), i):
                value -= factor[i, j] * column[j]
            column[i] = value / factor[i, i]
            total += column[i] * column[i]
        noise[c] = total


@numba.njit(cache=True, nogil=True)
def _model(image, first, column, profile, start, light, found):  # type: ignore[no-untyped-def]
    """Add the images of all lenslets."""
    half = profile.shape[2] // 2
    for k in range(first.size):
        for r in range(column.shape[1]):
            row = first[k] + r
            if row < 0 or row >= image.shape[0]:
                continue
            here = 0.0
            for i in range(light.shape[2]):
                here += light[k, r, i] * found[k, start[k, r] + i]
            for i in range(profile.shape[2]):
                c = column[k, r] - half + i
                if 0 <= c < image.shape[1]:
                    image[row, c] += np.float32(here * profile[k, r, i])
