"""What a calibration gets and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.detectors import Detector, detector
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.model.frame import FrameRef

Image = npt.NDArray[np.float32]
Header = Mapping[str, Any]
ReadFrame = Callable[[FrameRef], tuple[Header, Image]]
Images = Mapping[str, Image]


@dataclass(frozen=True)
class CalibrationInputs:
    """Where a calibration takes its data from.

    Attributes
    ----------
    read : callable
        Gives header and planes, shape (n, ny, nx), of a raw frame.
    upstream : mapping
        Role (``background``, ``flat``) to the images of that product by name.
    constants : Constants
        Instrument constants.
    """

    read: ReadFrame
    constants: Constants
    upstream: Mapping[str, Images] = field(default_factory=dict)


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration gives.

    Attributes
    ----------
    images : dict
        Name (upper case) to image of the whole detector plane; empty if rejected.
    facts : dict
        Short keywords for the header of the file.
    quality : dict
        Figures for the receipt, JSON-compatible.
    flags : tuple of (str, str)
        Flag of `spheredc_hpc.model.quality` and the reason.
    rejected : tuple of str
        Why the data give no such calibration; empty if they do.
    """

    images: dict[str, npt.NDArray[np.generic]]
    facts: dict[str, str | int | float] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    flags: tuple[tuple[str, str], ...] = ()
    rejected: tuple[str, ...] = ()


def rejected(*reasons: str) -> CalibrationResult:
    """Give the result of data that allow none."""
    return CalibrationResult(images={}, rejected=reasons)


def detector_of(setup: Mapping[str, str], constants: Constants) -> Detector:
    """Find the detector of a setup; IRDIS if it does not name the arm."""
    return detector(setup.get("arm", "IRDIS"), constants=constants)


@dataclass(frozen=True)
class Planes:
    """Usable planes of one raw file.

    Attributes
    ----------
    planes : array, shape (n, ny, nx)
        Counts [adu], every pixel finite.
    dit_s : float
        Integration time [s].
    left_out : tuple of str
        Planes that were not taken, and why.
    """

    planes: Image
    dit_s: float
    left_out: tuple[str, ...] = ()


def usable_planes(ref: FrameRef, inputs: CalibrationInputs, device: Detector) -> Planes:
    """Read a frame and leave out planes with values that are no numbers.

    Raises
    ------
    DataError
        If the planes have another shape than the detector, or the header has no integration
        time; names the frame.
    """
    header, planes = inputs.read(ref)
    if planes.ndim != 3 or planes.shape[1:] != device.shape:
        raise DataError(
            f"{ref.archive_id}: planes of shape {planes.shape[1:]}, "
            f"expected {device.shape} of {device.arm}"
        )
    try:
        dit_s = float(read_value(header, "dit_s"))
    except DataError as error:
        raise DataError(f"{ref.archive_id}: {error}") from error
    if not dit_s > 0:
        raise DataError(f"{ref.archive_id}: integration time {dit_s} s; expected more than 0")
    finite = np.array([bool(np.isfinite(plane).all()) for plane in planes], dtype=bool)
    left_out = tuple(
        f"{ref.archive_id} plane {i}: {int((~np.isfinite(planes[i])).sum())} pixels are no numbers"
        for i in np.nonzero(~finite)[0]
    )
    return Planes(planes if finite.all() else planes[finite], dit_s, left_out)


def left_out_flags(left_out: list[str]) -> tuple[tuple[str, str], ...]:
    """Flag planes that were left out, if any."""
    if not left_out:
        return ()
    return (("FRAMES_REJECTED", f"{len(left_out)} calibration planes left out: {left_out[0]}"),)
