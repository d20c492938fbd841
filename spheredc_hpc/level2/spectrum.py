"""The spectrum that throughput and contrast assume of a companion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.spectra import STAR, T_TYPE, relative_contrast
from spheredc_hpc.level2.sequence import Channel

Floats = NDArray[np.float64]

__all__ = ["STAR", "T_TYPE", "CompanionSpectrum", "companion_spectrum"]


@dataclass(frozen=True)
class CompanionSpectrum:
    """Contrast of a companion in each channel.

    Attributes
    ----------
    name : str
        ``star`` or one of the table of constants.
    contrast : array of float64, shape (n_channel,)
        Relative contrast; its mean is 1, so that a contrast of the stack is the mean over
        the channels.
    """

    name: str
    contrast: Floats


def companion_spectrum(
    name: str, channels: Sequence[Channel], constants: Constants | None = None
) -> CompanionSpectrum:
    """Take a spectrum in the bands of the channels.

    Parameters
    ----------
    name : str
        Spectrum.
    channels : sequence of Channel
        Wavelengths and widths.
    constants : Constants, optional
        Table with the spectra; the default one if absent.

    Returns
    -------
    CompanionSpectrum

    Raises
    ------
    DataError
        If the spectrum depends on a wavelength that is not known.
    """
    found = relative_contrast(
        name,
        [channel.wavelength_um for channel in channels],
        [channel.bandwidth_um for channel in channels],
        constants,
    )
    return CompanionSpectrum(name, found / found.mean())
