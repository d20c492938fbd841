"""Motion of the detector stage between files."""

from __future__ import annotations

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.detectors import dither_offset_px
from spheredc_hpc.instrument.headers import read_value
from spheredc_hpc.level1.io import Header


def dither_px(header: Header, arm: str, constants: Constants) -> tuple[float, float]:
    """Find how far the stage has moved the star on the detector, (x, y) [px].

    The encoder (``PAC X`` and ``Y`` in um over the pixel pitch) is taken before the dither that
    was asked for; a header with neither counts as not dithered. Positions of two files
    differ by the difference of their dithers.
    """
    prefix = "ifs_" if arm == "IFS" else ""
    x = read_value(header, f"{prefix}pac_x_um", None)
    y = read_value(header, f"{prefix}pac_y_um", None)
    if x is None or y is None:
        pitch = constants.value("pixel_pitch_um", arm=arm)
        x = float(read_value(header, "dither_x_px", 0.0)) * pitch
        y = float(read_value(header, "dither_y_px", 0.0)) * pitch
    return dither_offset_px(x, y, arm, constants)
