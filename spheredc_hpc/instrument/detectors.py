"""Detectors: geometry, noise and limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.errors import DataError, KernelInputError
from spheredc_hpc.instrument.constants import Constants, default_constants

IRDIS_FIELD = 1024
RAW_SHAPES = {"IRDIS": (1024, 2048), "IFS": (2048, 2048), "ZIMPOL": (1024, 1156)}
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Detector:
    """One detector as it appears in raw files.

    Attributes
    ----------
    arm : str
    shape : (int, int)
        Rows and columns of a raw plane (of one camera for ZIMPOL).
    fields : tuple of slice
        Columns of each optical field on the raw plane.
    field_shape : (int, int)
        Rows and columns of one field.
    illuminated : tuple of (slice, slice)
        Rows and columns, within each field, that get light.
    gain_e_per_adu, read_noise_e : float
        Conversion [e-/ADU] and ramp-fitted read noise per integration [e-].
    linear_limit_adu, saturation_adu : float or None
        End of the linear range and saturation [ADU]; None if not known.
    pixel_pitch_um : float
        Side of a pixel [um].
    """

    arm: str
    shape: tuple[int, int]
    fields: tuple[slice, ...]
    field_shape: tuple[int, int]
    illuminated: tuple[Window, ...]
    gain_e_per_adu: float
    read_noise_e: float
    linear_limit_adu: float | None
    saturation_adu: float | None
    pixel_pitch_um: float

    def illuminated_mask(self) -> NDArray[np.bool_]:
        """Pixels with light, shape (n_field, rows, columns)."""
        mask = np.zeros((len(self.fields), *self.field_shape), dtype=bool)
        for plane, window in zip(mask, self.illuminated, strict=True):
            plane[window] = True
        return mask


def detector(
    arm: str, *, readmode: str = "FastPolarimetry", constants: Constants | None = None
) -> Detector:
    """Return the detector of an arm.

    Parameters
    ----------
    arm : str
        ``IRDIS``, ``IFS`` or ``ZIMPOL``.
    readmode : str
        Read mode (ZIMPOL only), which sets gain and read noise.

    Raises
    ------
    DataError
        If the arm is unknown.
    """
    table = constants or default_constants()
    fields, field_shape, illuminated = _geometry(arm, table)

    def value(name: str) -> float:
        return table.value(name, arm=arm, readmode=readmode)

    infrared = arm != "ZIMPOL"
    return Detector(
        arm=arm,
        shape=RAW_SHAPES[arm],
        fields=fields,
        field_shape=field_shape,
        illuminated=illuminated,
        gain_e_per_adu=value("detector_gain_e_per_adu"),
        read_noise_e=value("detector_read_noise_e"),
        linear_limit_adu=value("linear_limit_adu") if infrared else None,
        saturation_adu=value("saturation_adu") if infrared else None,
        pixel_pitch_um=value("pixel_pitch_um"),
    )


def split_fields(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Split raw IRDIS planes into their left and right fields.

    Parameters
    ----------
    planes : array, shape (..., 1024, 2048)

    Returns
    -------
    array, shape (..., 2, 1024, 1024)
        Left field first; a view where NumPy can give one.

    Raises
    ------
    KernelInputError
        If the planes have another shape.
    """
    if planes.shape[-2:] != RAW_SHAPES["IRDIS"]:
        raise KernelInputError(f"IRDIS plane of shape {planes.shape[-2:]}; expected (1024, 2048)")
    rows = planes.reshape(*planes.shape[:-1], 2, IRDIS_FIELD)
    return np.moveaxis(rows, -2, -3)


def dither_offset_px(
    pac_x_um: float, pac_y_um: float, arm: str = "IRDIS", constants: Constants | None = None
) -> tuple[float, float]:
    """Return how far the detector stage moves the star on the detector, (x, y) [px].

    Parameters
    ----------
    pac_x_um, pac_y_um : float
        ``INS1 PAC X`` and ``Y`` [um].
    """
    table = constants or default_constants()
    pitch = table.value("pixel_pitch_um", arm=arm)
    return (
        table.value("dither_sign_x", arm=arm) * pac_x_um / pitch,
        table.value("dither_sign_y", arm=arm) * pac_y_um / pitch,
    )


def _geometry(
    arm: str, table: Constants
) -> tuple[tuple[slice, ...], tuple[int, int], tuple[Window, ...]]:
    if arm not in RAW_SHAPES:
        raise DataError(f"no detector of arm {arm!r}; expected {', '.join(RAW_SHAPES)}")
    rows, columns = RAW_SHAPES[arm]
    if arm != "IRDIS":
        whole = (slice(0, rows), slice(0, columns))
        return (slice(0, columns),), (rows, columns), (whole,)

    def edge(name: str, field: int) -> int:
        return round(table.value(name, arm=arm, field=field))

    windows = tuple(
        (
            slice(edge("illuminated_y_min_px", field), edge("illuminated_y_max_px", field)),
            slice(edge("illuminated_x_min_px", field), edge("illuminated_x_max_px", field)),
        )
        for field in (0, 1)
    )
    fields = (slice(0, IRDIS_FIELD), slice(IRDIS_FIELD, 2 * IRDIS_FIELD))
    return fields, (rows, IRDIS_FIELD), windows
