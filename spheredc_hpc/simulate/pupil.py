"""Telescope pupil and the transform from pupil to detector pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex64]
PUPIL_PX = 160
OVERSAMPLING = 4
SPIDER_ANGLES_DEG = (5.5, 84.5, 185.5, 264.5)
"""Directions of the spiders in the pupil-tracking image, from +x to +y [deg]."""


@lru_cache(maxsize=32)
def pupil_amplitude(
    obstruction: float, spider_width: float, rotation_deg: float = 0.0
) -> NDArray[np.float32]:
    """Transmission of the pupil.

    Parameters
    ----------
    obstruction : float
        Central obstruction over pupil diameter.
    spider_width : float
        Width of a spider over pupil diameter.
    rotation_deg : float
        Turn of the spiders, counter-clockwise [deg].

    Returns
    -------
    array, shape (160, 160)
        0 to 1, edges averaged over 4 x 4 sub-pixels.
    """
    size = PUPIL_PX * OVERSAMPLING
    axis = (np.arange(size) - (size - 1) / 2) / size
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    light = (radius <= 0.5) & (radius >= obstruction / 2)
    for angle in SPIDER_ANGLES_DEG:
        turn = np.radians(angle + rotation_deg)
        along = x * np.cos(turn) + y * np.sin(turn)
        across = -x * np.sin(turn) + y * np.cos(turn)
        light &= ~((along > 0) & (np.abs(across) < spider_width / 2))
    blocks = light.reshape(PUPIL_PX, OVERSAMPLING, PUPIL_PX, OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def pupil_axis() -> Floats:
    """Coordinates of the pupil samples in units of the diameter, shape (160,)."""
    return (np.arange(PUPIL_PX) - (PUPIL_PX - 1) / 2) / PUPIL_PX


@dataclass(frozen=True)
class Grid:
    """Square of detector pixels around a star.

    Attributes
    ----------
    x0, y0 : int
        First column and row within the field.
    size : int
        Side [px].
    star_x, star_y : float
        Star within the field [px].
    scale_mas : float
        Size of a pixel along x [mas].
    anamorphism : float
        A step of one pixel along y is this many times `scale_mas`.
    """

    x0: int
    y0: int
    size: int
    star_x: float
    star_y: float
    scale_mas: float
    anamorphism: float

    @classmethod
    def around(
        cls, star: tuple[float, float], size: int, scale_mas: float, anamorphism: float
    ) -> Grid:
        """Return the grid whose centre pixel ``size // 2`` is the one nearest to the star."""
        x0, y0 = round(star[0]) - size // 2, round(star[1]) - size // 2
        return cls(x0, y0, size, star[0], star[1], scale_mas, anamorphism)

    @property
    def dx_mas(self) -> Floats:
        """True offset of each column from the star [mas]."""
        return np.asarray((self.x0 + np.arange(self.size) - self.star_x) * self.scale_mas)

    @property
    def dy_mas(self) -> Floats:
        """True offset of each row from the star [mas]."""
        rows = self.y0 + np.arange(self.size) - self.star_y
        return np.asarray(rows * self.scale_mas * self.anamorphism)

    @property
    def distance_mas(self) -> Floats:
        """True distance of each pixel from the star [mas], shape (size, size)."""
        return np.hypot(self.dx_mas[None, :], self.dy_mas[:, None])


@dataclass(frozen=True)
class Transform:
    """Fraunhofer transform from the pupil to the pixels of a grid at one wavelength.

    Notes
    -----
    Matrix Fourier transform, Soummer et al. (2007), Opt. Express 15, 15935. With the
    normalisation used here the intensities of a flat wave sum to 1 over all pixels of an
    infinite detector, and pixels are much smaller than lambda/D, so that sampling stands
    for integration over the pixel.
    """

    rows: Complexes
    columns: Complexes
    norm: float

    @classmethod
    def to(cls, grid: Grid, resolution_mas: float, power: float) -> Transform:
        """Prepare the transform.

        Parameters
        ----------
        grid : Grid
        resolution_mas : float
            lambda/D [mas].
        power : float
            Sum of the squared pupil amplitude.
        """
        axis = pupil_axis()
        v = grid.dy_mas / resolution_mas
        u = grid.dx_mas / resolution_mas
        rows = np.exp(-2j * np.pi * np.outer(v, axis)).astype(np.complex64)
        columns = np.exp(-2j * np.pi * np.outer(axis, u)).astype(np.complex64)
        du = grid.scale_mas / resolution_mas
        norm = du * np.sqrt(grid.anamorphism / power) / PUPIL_PX
        return cls(rows, columns, float(norm))

    def field(self, pupil: Complexes) -> Complexes:
        """Complex amplitude on the grid of pupil fields, shape (..., size, size)."""
        inner = np.matmul(self.rows, pupil)
        return np.asarray(np.matmul(inner, self.columns) * np.float32(self.norm))


def intensity(field: Complexes) -> NDArray[np.float32]:
    """Squared modulus."""
    return np.asarray(field.real**2 + field.imag**2, dtype=np.float32)
