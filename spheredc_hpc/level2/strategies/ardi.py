"""Own frames and those of reference stars serve together."""

from __future__ import annotations

from spheredc_hpc.level2.diversity import exploits
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.sequence import Sequence
from spheredc_hpc.level2.strategies.rdi import with_references
from spheredc_hpc.registry import strategy


@strategy("ardi")
@exploits(rotation=True, library=True)
def ardi(prepared: Sequence) -> tuple[Rows, ...]:
    """Subtract frames of the same channel at other field rotations and of reference stars.

    Parameters
    ----------
    prepared : Sequence
        Channels, and references made ready.

    Returns
    -------
    tuple of Rows
        One a channel, on native pixels; images on the pixel scale of the first.

    Raises
    ------
    DataError
        If there are no references, or they share no pixel with a channel.
    """
    return with_references(prepared)
