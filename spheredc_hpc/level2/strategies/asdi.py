"""Angular and spectral differential imaging at once: every other row serves."""

from __future__ import annotations

from spheredc_hpc.level2.alignment import aligned_rows
from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.registry import strategy


@strategy("asdi")
@exploits(rotation=True, wavelength=True)
def asdi(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract frames of all channels and all times, rescaled to equal speckles.

    Parameters
    ----------
    prepared : Sequence
        At least two channels with known wavelengths.

    Returns
    -------
    tuple of Rows
        One, of all channels.

    Raises
    ------
    DataError
        If the speckles cannot be aligned.

    Notes
    -----
    The joint form of KLIP on integral-field data (Pueyo et al. 2012, ApJS 199, 6). Where one
    channel alone has data, its other times serve.
    """
    return (aligned_rows(prepared.channels),)
