"""Where the spectra of one epoch lie: the table of the instrument and what lamps add to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.lenslets import (
    Dispersion,
    Lenslets,
    Placement,
    Prism,
    spot_sigma_px,
)
from spheredc_hpc.kernels.extraction import Traces

Floats = npt.NDArray[np.float64]
FIELD = 75.0
"""Lenslets from the middle to the edge: places in polynomials are in this unit."""

OFFSET_ORDER, WIDTH_ORDER = 3, 2
TRACE_SAMPLES = 160


def terms(order: int) -> list[tuple[int, int]]:
    """Powers of u and v up to an order."""
    return [(p, q) for p in range(order + 1) for q in range(order + 1 - p)]


def design(lenslets: Lenslets, order: int) -> Floats:
    """Polynomials in the place of the lenslets, shape (terms, n)."""
    u, v = lenslets.u / FIELD, lenslets.v / FIELD
    return np.stack([u**p * v**q for p, q in terms(order)])


@dataclass(frozen=True)
class SpectralSolution:
    """Positions and widths of spectra at any wavelength.

    Attributes
    ----------
    prism : {"YJ", "YH"}
    placement : Placement
        Of the pattern as a whole.
    laser_um : array, shape (k,)
        Lasers that were measured; empty without a wavelength calibration.
    offset_x, offset_y : array, shape (k, 10)
        Places of the laser's spots less those of the placed table [px]: polynomials of `design`.
    width : array, shape (k, 6)
        Their width over that of the table.
    """

    prism: Prism
    placement: Placement
    laser_um: Floats
    offset_x: Floats
    offset_y: Floats
    width: Floats

    @classmethod
    def placed(cls, prism: Prism, placement: Placement) -> SpectralSolution:
        """Give the table of the instrument, placed as a whole."""
        none = np.empty(0)
        return cls(prism, placement, none, np.empty((0, 10)), np.empty((0, 10)), np.empty((0, 6)))

    @classmethod
    def read(cls, prism: Prism, images: Mapping[str, npt.NDArray[np.generic]]) -> SpectralSolution:
        """Take it from the images of a product of `ifs_specpos` or `ifs_wave`."""
        values = np.asarray(images["PLACEMENT"], np.float64).ravel()
        placement = Placement(*(float(value) for value in values))
        if "LASERS" not in images:
            return cls.placed(prism, placement)
        lasers = np.asarray(images["LASERS"], np.float64).ravel()
        x, y, width = (
            np.asarray(images[name], np.float64) for name in ("OFFSET_X", "OFFSET_Y", "WIDTH")
        )
        return cls(prism, placement, lasers, x, y, width)

    def images(self) -> dict[str, npt.NDArray[np.generic]]:
        """Give it as images of a product; `read` takes them back."""
        p = self.placement
        made: dict[str, npt.NDArray[np.generic]] = {
            "PLACEMENT": np.array([[p.dx_px, p.dy_px, p.rotation_deg, p.scale]])
        }
        if self.laser_um.size:
            made |= {
                "LASERS": self.laser_um[np.newaxis],
                "OFFSET_X": self.offset_x,
                "OFFSET_Y": self.offset_y,
                "WIDTH": self.width,
            }
        return made

    def at(
        self, lenslets: Lenslets, wavelength_um: Floats, constants: Constants
    ) -> tuple[Floats, Floats, Floats]:
        """Column, row and width of the spots [px], shape (m, n) each.

        What the lasers add to the table changes with the logarithm of the wavelength: linearly
        between two of them and beyond the last, at most as a parabola through more.
        """
        dispersion = Dispersion.of(self.prism, constants)
        x, y = dispersion.at(lenslets, wavelength_um, self.placement)
        sigma = np.repeat(
            spot_sigma_px(wavelength_um, constants)[:, np.newaxis], len(lenslets), axis=1
        )
        if not self.laser_um.size:
            return x, y, sigma
        blend = self._blend(wavelength_um)
        places, widths = design(lenslets, OFFSET_ORDER), design(lenslets, WIDTH_ORDER)
        x = x + blend @ (self.offset_x @ places)
        y = y + blend @ (self.offset_y @ places)
        linear = _fitted(np.log(self.laser_um), np.log(wavelength_um), 1)
        return x, y, sigma * (linear @ (self.width @ widths))

    def _blend(self, wavelength_um: Floats) -> Floats:
        """Weights of the lasers at wavelengths, shape (m, k)."""
        order = min(len(self.laser_um) - 1, 2)
        return _fitted(np.log(self.laser_um), np.log(wavelength_um), order)

    def traces(
        self, lenslets: Lenslets, constants: Constants, placed: Placement | None = None
    ) -> Traces:
        """Traces over all wavelengths that reach the detector; `placed` moves them further."""
        low, high = Dispersion.of(self.prism, constants).range_um
        wave = np.linspace(low, high, TRACE_SAMPLES)
        x, y, sigma = self.at(lenslets, wave, constants)
        if placed is not None:
            x, y = placed.apply(x, y)
        return Traces(wave, x, y, sigma)


def _fitted(at: Floats, wanted: Floats, order: int) -> Floats:
    """Weights that turn values at points into a fitted polynomial elsewhere, shape (m, k)."""
    order = min(order, at.size - 1)
    middle, half = at.mean(), max(float(np.ptp(at)) / 2, 1e-9)
    known = np.vander((at - middle) / half, order + 1)
    return np.asarray(np.vander((wanted - middle) / half, order + 1) @ np.linalg.pinv(known))
