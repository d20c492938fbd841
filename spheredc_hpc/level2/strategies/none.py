"""No diversity: every channel by itself, nothing to subtract with."""

from __future__ import annotations

from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.registry import strategy


@strategy("none")
@exploits()
def none(prepared: Sequence) -> tuple[Rows, ...]:
    """Rotate and stack: for algorithms that subtract nothing, or each frame's own profile.

    Parameters
    ----------
    prepared : Sequence
        Channels.

    Returns
    -------
    tuple of Rows
        One a channel, on native pixels; images on the pixel scale of the first.
    """
    return Rows.of_each(prepared.channels)
