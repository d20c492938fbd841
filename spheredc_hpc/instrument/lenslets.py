"""Lenslets of the integral field spectrograph: their places on sky and detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants, default_constants

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Prism = Literal["YJ", "YH"]
PRISMS: tuple[Prism, ...] = ("YJ", "YH")
TERMS = tuple((p, q) for p in range(4) for q in range(4 - p))
"""Powers of u and v of the cubic polynomials."""

INDEX_REACH = 100
DETECTOR_PX = 2048
CENTRE_PX = (DETECTOR_PX - 1) / 2
SPOT_REFERENCE_UM = 1.15


@dataclass(frozen=True)
class Lenslets:
    """Places of lenslets in the array.

    Attributes
    ----------
    i, j : array of int, shape (n,)
        Number along a row, and of the row.
    u, v : array, shape (n,)
        Place in units of the pitch; hexagons stand on a corner, rows lie along u.
    """

    i: Integers
    j: Integers
    u: Floats
    v: Floats

    @classmethod
    def within(cls, reach: float) -> Lenslets:
        """Give the lenslets whose u and v are at most `reach` away from the middle."""
        index = np.arange(-INDEX_REACH, INDEX_REACH + 1)
        j, i = (part.ravel() for part in np.meshgrid(index, index, indexing="ij"))
        u = i + 0.5 * (j % 2 == 0)
        v = j * np.sqrt(3.0) / 2
        near = (np.abs(u) <= reach) & (np.abs(v) <= reach)
        return cls(i[near], j[near], u[near], v[near])

    def __len__(self) -> int:
        """Count the lenslets."""
        return int(self.u.size)

    def chosen(self, which: Integers) -> Lenslets:
        """Give those of these numbers."""
        return Lenslets(self.i[which], self.j[which], self.u[which], self.v[which])

    def sky_mas(self, pitch_mas: float) -> tuple[Floats, Floats]:
        """Offsets from the middle of the field along the axes of the images [mas]."""
        return self.u * pitch_mas, self.v * pitch_mas


@dataclass(frozen=True)
class Placement:
    """How the pattern of spectra of one night lies relative to the table.

    Attributes
    ----------
    dx_px, dy_px : float
        Shift.
    rotation_deg : float
        Counter-clockwise turn about the middle of the detector.
    scale : float
        Stretch about the middle of the detector.
    """

    dx_px: float = 0.0
    dy_px: float = 0.0
    rotation_deg: float = 0.0
    scale: float = 1.0

    def apply(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Move positions of the table to those of the night."""
        turn = np.radians(self.rotation_deg)
        cosine, sine = self.scale * np.cos(turn), self.scale * np.sin(turn)
        x, y = x - CENTRE_PX, y - CENTRE_PX
        return (
            cosine * x - sine * y + CENTRE_PX + self.dx_px,
            sine * x + cosine * y + CENTRE_PX + self.dy_px,
        )


@dataclass(frozen=True)
class Dispersion:
    """Where light of any wavelength of any lenslet falls on the detector, one prism.

    Attributes
    ----------
    prism : {"YJ", "YH"}
    laser_um : array, shape (k,)
        Wavelengths at which the table is known.
    x, y : array, shape (k, 10)
        Coefficients of ln(wavelength / 1 um) to the powers 0 to k - 1, for each of `TERMS` [px].
    range_um : (float, float)
        Wavelengths to which the polynomials hold; others are brought to the nearer end.
    """

    prism: Prism
    laser_um: Floats
    x: Floats
    y: Floats
    range_um: tuple[float, float]

    @classmethod
    def of(cls, prism: Prism, constants: Constants | None = None) -> Dispersion:
        """Read the table of one prism.

        Raises
        ------
        DataError
            If the prism is unknown.
        """
        if prism not in PRISMS:
            raise DataError(f"prism {prism!r}; expected {' or '.join(PRISMS)}")
        table = constants or default_constants()
        lasers = sorted(
            {dict(row.selector)["laser"] for row in table.rows("lenslet_x_px", prism=prism)}
        )
        waves = np.array([table.value("laser_wavelength_um", laser=laser) for laser in lasers])
        powers = np.vander(np.log(waves), increasing=True)
        found = []
        for axis in "xy":
            at_lasers = [
                [
                    table.value(f"lenslet_{axis}_px", prism=prism, laser=laser, term=f"u{p}v{q}")
                    for p, q in TERMS
                ]
                for laser in lasers
            ]
            found.append(np.linalg.solve(powers, np.array(at_lasers)))
        limits = (
            table.value("lenslet_light_min_um", prism=prism),
            table.value("lenslet_light_max_um", prism=prism),
        )
        return cls(prism, waves, found[0], found[1], limits)

    def at(
        self, lenslets: Lenslets, wavelength_um: ArrayLike, placement: Placement | None = None
    ) -> tuple[Floats, Floats]:
        """Positions on the detector.

        Parameters
        ----------
        lenslets : Lenslets
        wavelength_um : array_like, shape (m,)
        placement : Placement, optional
            Of the night; none leaves the table as it is.

        Returns
        -------
        x, y : array, shape (m, n)
            Column and row [px], from 0.
        """
        waves = np.clip(np.atleast_1d(np.asarray(wavelength_um, np.float64)), *self.range_um)
        powers = np.vander(np.log(waves), len(self.laser_um), increasing=True)
        terms = np.stack([lenslets.u**p * lenslets.v**q for p, q in TERMS])
        x, y = powers @ self.x @ terms, powers @ self.y @ terms
        return (x, y) if placement is None else placement.apply(x, y)


def prism_of(setup: str) -> Prism:
    """Prism of an IFS setup or prism name, ``OBS_YJ``, ``PRI_YJH`` and so on.

    Raises
    ------
    DataError
        If the name is of neither.
    """
    name = setup.strip().upper()
    if name.endswith("YJ"):
        return "YJ"
    if name.endswith(("YJH", "YH", "_H")):
        return "YH"
    raise DataError(f"IFS setup {setup!r}; expected one of OBS_YJ, OBS_H, PRI_YJ, PRI_YJH")


def channel_wavelengths_um(prism: Prism, constants: Constants | None = None) -> Floats:
    """Wavelengths of the channels of a cube, equally spaced [um]."""
    table = constants or default_constants()
    return np.linspace(
        table.value("lenslet_wavelength_min_um", prism=prism),
        table.value("lenslet_wavelength_max_um", prism=prism),
        int(table.value("ifs_channels")),
    )


def spot_sigma_px(wavelength_um: ArrayLike, constants: Constants | None = None) -> Floats:
    """Width of the image of one lenslet at a wavelength, Gaussian sigma [px]."""
    table = constants or default_constants()
    growth = table.value("lenslet_spot_growth_per_um")
    away = np.asarray(wavelength_um, np.float64) - SPOT_REFERENCE_UM
    return np.asarray(table.value("lenslet_spot_sigma_px") * (1 + growth * away))


def lit_lenslets(
    dispersion: Dispersion, constants: Constants | None = None, margin_px: float = 0.0
) -> Lenslets:
    """Lenslets that the telescope lights and whose whole spectrum falls on the detector.

    `margin_px` is kept free at the edges.
    """
    table = constants or default_constants()
    every = Lenslets.within(table.value("lenslet_reach"))
    ends = channel_wavelengths_um(dispersion.prism, table)[[0, -1]]
    x, y = dispersion.at(every, ends)
    low, high = margin_px, DETECTOR_PX - 1 - margin_px
    inside = (x >= low) & (x <= high) & (y >= low) & (y <= high)
    return every.chosen(np.flatnonzero(inside.all(axis=0)))


def crosstalk_kernel(constants: Constants | None = None) -> Floats:
    """Light that a pixel scatters onto others, relative to its own, shape (2 reach + 1,) * 2.

    ``1 / (1 + (r / b)^3)``, and zero in the core that the spots themselves fill (data centre's
    form; Vigan et al. 2015, MNRAS 454, 129).
    """
    table = constants or default_constants()
    reach = int(table.value("crosstalk_reach_px"))
    axis = np.arange(-reach, reach + 1.0)
    distance = np.hypot(axis, axis[:, np.newaxis])
    kernel: Floats = 1 / (1 + (distance / table.value("crosstalk_width_px")) ** 3)
    core = np.abs(axis) <= table.value("crosstalk_core_px")
    kernel[np.ix_(core, core)] = 0.0
    return kernel
