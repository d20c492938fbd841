"""What a recipe of Level 1 gets and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.model.association import Association
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.store.cube import Level1Cube

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Header = Mapping[str, Any]
Flag = tuple[str, str]
ReadFrame = Callable[[FrameRef], tuple[Header, Image]]
ReadHeader = Callable[[FrameRef], Header]
ReadTable = Callable[[FrameRef, str], Mapping[str, Floats] | None]


@dataclass(frozen=True)
class Calibration:
    """Images and quality figures of one calibration product."""

    images: Mapping[str, Image]
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Level1Inputs:
    """Where a recipe takes its data from.

    Attributes
    ----------
    association : Association
        Frames by role and what is known of them.
    constants : Constants
        Instrument constants.
    read_header : callable
        Gives the header of a raw frame.
    read : callable
        Gives header and planes, shape (n, ny, nx), of a raw frame.
    read_table : callable
        Gives the columns of a table of a telemetry frame, None if there is none.
    calibrations : mapping
        Role of the association (``background:OBJECT``, ``flat``) to its product; a role that
        has none is absent.
    """

    association: Association
    constants: Constants
    read_header: ReadHeader
    read: ReadFrame
    read_table: ReadTable
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)


@dataclass(frozen=True)
class Level1Result:
    """What a recipe gives.

    Attributes
    ----------
    cube : Level1Cube or None
        The master cube; None if the data allow none.
    flags : tuple of (str, str)
        Flag of `spheredc_hpc.model.quality` and the reason.
    rejected : tuple of str
        Why there is no cube; empty if there is one.
    quality : dict
        Figures for the receipt, JSON-compatible.
    """

    cube: Level1Cube | None
    flags: tuple[Flag, ...] = ()
    rejected: tuple[str, ...] = ()
    quality: dict[str, Any] = field(default_factory=dict)
