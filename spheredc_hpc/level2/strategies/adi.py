"""Angular differential imaging: the other frames of a channel serve."""

from __future__ import annotations

from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.registry import strategy


@strategy("adi")
@exploits(rotation=True)
def adi(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract frames of the same channel at other field rotations.

    Parameters
    ----------
    prepared : Sequence
        Channels.

    Returns
    -------
    tuple of Rows
        One a channel, on native pixels; images on the pixel scale of the first.

    Notes
    -----
    Marois et al. (2006), ApJ 641, 556.
    """
    return Rows.of_each(prepared.channels)
