"""Spectra of lenslets from a detector frame: box and profile-weighted sums along the traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from spheredc_hpc.errors import KernelInputError
from spheredc_hpc.kernels.parallel import map_ordered

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Method = Literal["box", "optimal"]

# Lenslets that one call of compiled code treats.
PIECE = 2048
# Share of the light of a channel that good pixels must hold.
LEAST_GOOD = 0.4


@dataclass(frozen=True)
class Traces:
    """Where the spectra of lenslets lie, at wavelengths in rising order.

    Attributes
    ----------
    wavelength_um : array, shape (m,)
    x, y : array, shape (m, n)
        Column and row [px]; rows rise with the wavelength.
    sigma : array, shape (m, n)
        Width of the spots [px].
    """

    wavelength_um: Floats
    x: Floats
    y: Floats
    sigma: Floats

    def __post_init__(self) -> None:
        """Refuse what is no set of traces."""
        shape = (self.wavelength_um.size, self.x.shape[-1])
        if not (self.x.shape == self.y.shape == self.sigma.shape == shape):
            raise KernelInputError(
                f"traces of shapes {self.x.shape}, {self.y.shape}, {self.sigma.shape}; "
                f"expected {shape}"
            )
        if np.any(np.diff(self.wavelength_um) <= 0) or np.any(np.diff(self.y, axis=0) <= 0):
            raise KernelInputError("wavelengths and rows of traces must rise")


class TraceExtractor:
    """Sums across the traces and interpolates along them, as one set of taps a channel.

    The flux of a row is that of its pixels, weighted by the profile (``optimal``: Horne 1986, PASP
    98, 609, for pixels of equal noise) or not (``box``), over the light of the profile that the
    pixels hold. Rows become light per channel by the dispersion, and channels lie between the two
    nearest rows.

    Parameters
    ----------
    traces : Traces
        Wavelengths must enclose those of the channels.
    channels_um : array, shape (c,)
        Wavelengths of the channels.
    width_um : float
        Width of a channel.
    shape : (int, int)
        Of the detector frames.
    method : {"box", "optimal"}
    half_px : int
        Pixels to either side of the trace.

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
        method: Method = "optimal",
        half_px: int = 2,
    ) -> None:
        low, high = traces.wavelength_um[[0, -1]]
        if channels_um.min() < low or channels_um.max() > high:
            raise KernelInputError(
                f"channels of {channels_um.min():.4f} to {channels_um.max():.4f} um; the traces "
                f"reach from {low:.4f} to {high:.4f} um"
            )
        self.shape = shape
        n, c, taps = traces.x.shape[1], channels_um.size, 2 * (2 * half_px + 1)
        self.pixel = np.empty((n, c, taps), np.int32)
        self.weight = np.empty((n, c, taps), np.float32)
        self.response = np.empty((n, c, taps), np.float32)
        for start in range(0, n, PIECE):
            part = slice(start, min(start + PIECE, n))
            self._fill(traces, part, channels_um, width_um, method, half_px)

    def _fill(
        self,
        traces: Traces,
        part: slice,
        channels_um: Floats,
        width_um: float,
        method: Method,
        half_px: int,
    ) -> None:
        """Compute the taps of some lenslets."""
        wave, x, y = traces.wavelength_um, traces.x[:, part], traces.y[:, part]
        sigma = traces.sigma[:, part]
        at = _columns_interp(channels_um, wave, y)
        first = np.floor(at).astype(np.int64)
        slope = np.gradient(y, wave, axis=0)
        offsets = np.arange(-half_px, half_px + 1)
        size = offsets.size
        for side in (0, 1):
            row = first + side
            share = (1 - np.abs(at - row))[..., np.newaxis]
            place = _rows_interp(row.astype(np.float64), y, np.stack([x, sigma, slope]))
            centre, width, rise = place
            column = np.rint(centre).astype(np.int64)
            edges = (column[..., np.newaxis] + offsets - 0.5 - centre[..., np.newaxis]) / (
                np.sqrt(2.0) * width[..., np.newaxis]
            )
            step = 1 / (np.sqrt(2.0) * width[..., np.newaxis])
            profile = 0.5 * (erf(edges + step) - erf(edges))
            weight = profile if method == "optimal" else np.ones_like(profile)
            weight = weight / np.sum(weight * profile, axis=-1, keepdims=True)
            # Light of a row, of a spectrum of one unit a channel.
            per_row = (1 / (width_um * rise))[..., np.newaxis]
            where = np.s_[part, :, side * size : (side + 1) * size]
            columns = column[..., np.newaxis] + offsets
            rows = np.broadcast_to(row[..., np.newaxis], columns.shape)
            inside = (columns >= 0) & (columns < self.shape[1])
            inside &= (rows >= 0) & (rows < self.shape[0])
            index = np.where(inside, rows * self.shape[1] + columns, -1)
            self.pixel[where] = np.moveaxis(index, 1, 0)
            self.weight[where] = np.moveaxis(share * weight / per_row, 1, 0)
            self.response[where] = np.moveaxis(profile * per_row, 1, 0)

    def extract(self, frame: Image, variance: Image, good: Mask) -> tuple[Image, Image]:
        """Extract one frame.

        Parameters
        ----------
        frame, variance : array of float32
        good : array of bool
            Pixels to use; the others' share of the light is made up for.

        Returns
        -------
        spectra, variance : array of float32, shape (channels, lenslets)
            Light per channel; NaN and infinity where good pixels hold too little of it.

        Raises
        ------
        KernelInputError
            If an array has another shape than the detector.
        """
        for name, array in (("frame", frame), ("variance", variance), ("mask", good)):
            if array.shape != self.shape:
                raise KernelInputError(f"{name} of shape {array.shape}; expected {self.shape}")
        n, c, _ = self.pixel.shape
        spectra, noise = np.empty((n, c), np.float32), np.empty((n, c), np.float32)
        light, noisy, usable = (np.ascontiguousarray(a).ravel() for a in (frame, variance, good))

        def run(start: int) -> None:
            part = slice(start, min(start + PIECE, n))
            _extract(
                light,
                noisy,
                usable,
                self.pixel[part],
                self.weight[part],
                self.response[part],
                spectra[part],
                noise[part],
            )

        map_ordered(run, range(0, n, PIECE))
        return np.ascontiguousarray(spectra.T), np.ascontiguousarray(noise.T)


@numba.njit(cache=True, nogil=True)
def _extract(  # type: ignore[no-untyped-def]
    frame, variance, good, pixel, weight, response, spectra, noise
):
    for k in range(pixel.shape[0]):
        for c in range(pixel.shape[1]):
            light, square, held = 0.0, 0.0, 0.0
            for t in range(pixel.shape[2]):
                p = pixel[k, c, t]
                if p < 0 or not good[p]:
                    continue
                w = weight[k, c, t]
                light += w * frame[p]
                square += w * w * variance[p]
                held += w * response[k, c, t]
            if held < LEAST_GOOD:
                spectra[k, c], noise[k, c] = np.nan, np.inf
            else:
                spectra[k, c], noise[k, c] = light / held, square / (held * held)


def _columns_interp(wanted: Floats, at: Floats, values: Floats) -> Floats:
    """Linear interpolation of every column of `values`, given at `at`, shape (wanted, n)."""
    place = np.clip(np.searchsorted(at, wanted) - 1, 0, at.size - 2)
    share = ((wanted - at[place]) / (at[place + 1] - at[place]))[:, np.newaxis]
    return np.asarray((1 - share) * values[place] + share * values[place + 1])


def _rows_interp(rows: Floats, y: Floats, values: Floats) -> Floats:
    """Interpolate values along each trace at rows; beyond its ends they go on linearly.

    Parameters
    ----------
    rows : array, shape (c, n)
    y : array, shape (m, n)
        Rising along the first axis.
    values : array, shape (v, m, n)

    Returns
    -------
    array, shape (v, c, n)
    """
    made = np.empty((values.shape[0], *rows.shape))
    _along(rows, y, values, made)
    return made


@numba.njit(cache=True, nogil=True)
def _along(rows, y, values, made):  # type: ignore[no-untyped-def]
    m = y.shape[0]
    for k in range(y.shape[1]):
        j = 0
        for c in range(rows.shape[0]):
            while j < m - 2 and y[j + 1, k] <= rows[c, k]:
                j += 1
            while j > 0 and y[j, k] > rows[c, k]:
                j -= 1
            share = (rows[c, k] - y[j, k]) / (y[j + 1, k] - y[j, k])
            for v in range(values.shape[0]):
                made[v, c, k] = (1 - share) * values[v, j, k] + share * values[v, j + 1, k]
