"""Images of the star on the lenslets at many wavelengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.instrument.lenslets import Lenslets
from spheredc_hpc.simulate.optics import LEAKAGE, Aberrations, Telescope
from spheredc_hpc.simulate.pupil import PUPIL_PX, intensity, pupil_amplitude, pupil_axis
from spheredc_hpc.simulate.speckles import REFERENCE_UM

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
STEP_U, STEP_V = 0.5, np.sqrt(3.0) / 4
"""Samples of the images, in units of the pitch: every lenslet stands on one."""

MARGIN = 2
_OVERSAMPLING = 200


def hexagon_weights() -> list[tuple[int, int, float]]:
    """Shares of the cells around a lenslet that its hexagon covers: steps along v, u, and area."""
    fine = (np.arange(_OVERSAMPLING) + 0.5) / _OVERSAMPLING - 0.5
    found = []
    for rows in range(-2, 3):
        for columns in range(-2, 3):
            u = np.abs((columns + fine) * STEP_U)[np.newaxis]
            v = np.abs((rows + fine) * STEP_V)[:, np.newaxis]
            # Corners of the hexagon at (0, 1 / sqrt 3), sides at u = 1/2.
            inside = (u <= 0.5) & (v + u / np.sqrt(3) <= 1 / np.sqrt(3))
            if inside.any():
                found.append((rows, columns, float(inside.mean())))
    return found


@dataclass(frozen=True)
class LensletField:
    """Samples of the field of view around all lenslets, and where each lenslet stands.

    Attributes
    ----------
    dx_mas, dy_mas : array
        True offsets of columns and rows from the middle of the field [mas].
    row, column : array of int, shape (n,)
        Sample at each lenslet.
    weights : list of (int, int, float)
        From `hexagon_weights`.
    """

    dx_mas: Floats
    dy_mas: Floats
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    weights: list[tuple[int, int, float]]

    @classmethod
    def around(cls, lenslets: Lenslets, constants: Constants) -> LensletField:
        """Cover some lenslets."""
        pitch = constants.value("lenslet_pitch_mas", arm="IFS")
        stretch = [constants.value(f"anamorphism_{axis}", arm="IFS") for axis in "xy"]
        column = np.rint(lenslets.u / STEP_U).astype(np.int64)
        row = np.rint(lenslets.v / STEP_V).astype(np.int64)
        columns = np.arange(column.min() - MARGIN, column.max() + MARGIN + 1)
        rows = np.arange(row.min() - MARGIN, row.max() + MARGIN + 1)
        return cls(
            columns * STEP_U * pitch * stretch[0],
            rows * STEP_V * pitch * stretch[1],
            row - rows[0],
            column - columns[0],
            hexagon_weights(),
        )

    @property
    def cell_mas2(self) -> float:
        """Area of a sample [mas2]."""
        return float((self.dx_mas[1] - self.dx_mas[0]) * (self.dy_mas[1] - self.dy_mas[0]))

    def collect(self, image: Floats) -> Floats:
        """Sum the samples that each hexagon covers, shape (n,)."""
        total = np.zeros(self.row.size)
        for rows, columns, share in self.weights:
            total += share * image[self.row + rows, self.column + columns]
        return total


@dataclass(frozen=True)
class StarLight:
    """Light of a star of flux 1 at one wavelength, on the samples of a field.

    Attributes
    ----------
    beside, behind : array, shape (rows, columns)
        Without and with coronagraph.
    strehl : float
    """

    beside: Floats
    behind: Floats
    strehl: float


class LensletOptics:
    """The telescope seen through the lenslets.

    Parameters
    ----------
    telescope : Telescope
        Of the IRDIS side: wavefront settings, pupil and shapes of the halo.
    field : LensletField
    coronagraph : str
    constants : Constants
    turn_deg : float
        Counter-clockwise turn of the pupil on the lenslets relative to IRDIS [deg].
    """

    def __init__(
        self,
        telescope: Telescope,
        field: LensletField,
        coronagraph: str,
        constants: Constants,
        turn_deg: float,
    ) -> None:
        self.telescope, self.field, self.turn_deg = telescope, field, turn_deg
        self._distance = np.arange(0.0, 2000.0, 2.0)
        curve = off_axis_transmission(coronagraph, "IFS", self._distance, constants)
        self._curve = np.ones_like(self._distance) if curve is None else curve

    def transmission(self, distance_mas: Floats) -> Floats:
        """Transmission of the coronagraph against distance from its mask [mas]."""
        return np.asarray(np.interp(distance_mas, self._distance, self._curve))

    def turned(self, path_nm: Image) -> Image:
        """Path differences of the pupil as the lenslets see it, shape (n, 160, 160) [nm]."""
        angle = np.radians(self.turn_deg)
        cosine, sine = np.cos(angle), np.sin(angle)
        matrix = np.array([[cosine, -sine], [sine, cosine]])
        middle = (PUPIL_PX - 1) / 2
        offset = middle - matrix @ [middle, middle]
        turned = [
            scipy.ndimage.affine_transform(one, matrix, offset, order=3, mode="nearest")
            for one in path_nm
        ]
        return np.asarray(np.stack(turned), dtype=np.float32)

    def star(
        self,
        wavelength_um: float,
        star_mas: tuple[float, float],
        aberrations: Aberrations,
        path_nm: Image,
        spiders_deg: float,
    ) -> StarLight:
        """Average the states of the wavefront at one wavelength.

        Parameters
        ----------
        wavelength_um : float
        star_mas : (float, float)
            Star relative to the middle of the field; the mask is on the star [mas].
        aberrations : Aberrations
            Conditions; its path differences are not used.
        path_nm : array, shape (n, 160, 160)
            States, from `turned` [nm].
        spiders_deg : float
            Turn of the spiders.
        """
        telescope = self.telescope
        pupil = pupil_amplitude(
            telescope.obstruction, telescope.spider, round(spiders_deg + self.turn_deg, 1)
        )
        power = float((pupil**2).sum())
        resolution = telescope.resolution_mas(wavelength_um)
        dx, dy = self.field.dx_mas - star_mas[0], self.field.dy_mas - star_mas[1]
        axis = pupil_axis()
        rows = np.exp(-2j * np.pi * np.outer(dy / resolution, axis)).astype(np.complex64)
        columns = np.exp(-2j * np.pi * np.outer(axis, dx / resolution)).astype(np.complex64)
        norm = np.float32(np.sqrt(self.field.cell_mas2 / power) / resolution / PUPIL_PX)
        wave = pupil * np.exp(np.complex64(2j * np.pi / (wavelength_um * 1000)) * path_nm)
        fields = np.matmul(np.matmul(rows, wave), columns) * norm
        perfect = rows @ pupil.astype(np.complex64) @ columns * norm
        amplitudes = wave.sum(axis=(1, 2)) / pupil.sum()
        beside = intensity(fields).mean(axis=0, dtype=np.float64)
        distance = np.hypot(dx[np.newaxis], dy[:, np.newaxis])
        kept, halo = self._halo(distance, wavelength_um, aberrations, (dx, dy))
        beside = kept * beside + halo
        behind = beside
        if telescope.has_mask:
            rest = intensity(fields - amplitudes[:, None, None] * perfect)
            behind = rest.mean(axis=0, dtype=np.float64) + LEAKAGE * intensity(perfect)
            behind = (kept * behind + halo) * self.transmission(distance)
        strehl = kept * float((np.abs(amplitudes) ** 2).mean())
        return StarLight(beside, behind, strehl)

    def _halo(
        self,
        distance_mas: Floats,
        wavelength_um: float,
        aberrations: Aberrations,
        offsets: tuple[Floats, Floats],
    ) -> tuple[float, Floats]:
        """Share of the light that stays coherent, and the smooth halo."""
        telescope = self.telescope
        if not telescope.speckles:
            return 1.0, np.zeros_like(distance_mas)
        shapes = telescope.shapes
        colour = (REFERENCE_UM / wavelength_um) ** 2
        kept = float(np.exp(-(1 - shapes.slow_share) * aberrations.variance * colour))
        resolution = telescope.resolution_mas(wavelength_um)
        density = np.interp(distance_mas / resolution, shapes.smooth_cycles, shapes.smooth_density)
        halo = density * self.field.cell_mas2 / resolution**2
        dx, dy = offsets
        angle = np.arctan2(-dx[np.newaxis], dy[:, np.newaxis]) - np.radians(self.turn_deg)
        halo = halo * telescope.butterfly(angle, distance_mas / resolution, aberrations.tau0_ms)
        return kept, (1 - kept) * halo


def smeared(image: Floats, rows: Floats, columns: Floats) -> Floats:
    """Average of an image shifted by several steps along rows and columns [samples]."""
    fx, fy = scipy.fft.rfftfreq(image.shape[1]), scipy.fft.fftfreq(image.shape[0])
    turn_x = np.exp(-2j * np.pi * np.outer(columns, fx))
    turn_y = np.exp(-2j * np.pi * np.outer(rows, fy))
    factor = np.einsum("mi,mj->ij", turn_y, turn_x) / len(rows)
    return np.asarray(scipy.fft.irfft2(scipy.fft.rfft2(image) * factor, s=image.shape))
