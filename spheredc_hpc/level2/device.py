"""Reductions on a graphics card: what is put there, and many companions pushed together.

`Reduction` works in the array library of its frames, so frames on the card are all it takes.
Decisions about geometry (zones, who may serve whom, masks) stay on the CPU: they are small.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.kernels.device import Card, find_card, pieces_at_once
from spheredc_hpc.level2.pushing import Pushed, Pushing, Way
from spheredc_hpc.level2.rows import Rows
from spheredc_hpc.level2.solve import Block
from spheredc_hpc.level2.traits import traits_of
from spheredc_hpc.registry import Entry

logger = logging.getLogger(__name__)

Array = Any
Floats = NDArray[np.float64]
Asked = Literal["cpu", "gpu"]

# Copies of the frames that are held on the card: themselves, and the bases of three scenes (with
# its sources, without them, and the next attempt). While one reduction makes its images, also its
# residuals, the turned ones and what they are sorted in.
_COPIES, _WORK = 4, 4
# Companions pushed together where memory does not matter.
_TOGETHER = 64


@dataclass(frozen=True)
class Device:
    """Where a reduction is done.

    Attributes
    ----------
    name : str
        "cpu", or "gpu" and the name of the card.
    card : Card or None
        The card; None for the CPU.
    """

    name: str = "cpu"
    card: Card | None = None

    @classmethod
    def find(cls, asked: Asked, entry: Entry[Any]) -> Device:
        """Find the device for an algorithm.

        Parameters
        ----------
        asked : {"cpu", "gpu"}
            What the user wants.
        entry : Entry
            The algorithm. One without coefficients is run by the CPU, whatever is asked.

        Returns
        -------
        Device

        Raises
        ------
        ResourceError
            If a GPU is asked for, the algorithm could use it, and there is none.
        """
        if asked == "cpu":
            return cls()
        if traits_of(entry.run).coefficients is None:
            logger.warning("%s has no coefficients: the CPU reduces", entry.name)
            return cls(f"cpu ({entry.name} has no coefficients)")
        card = find_card()
        return cls(f"gpu {card.name}", card)

    def memory(self) -> AbstractContextManager[None]:
        """Give the memory of the card back at the end of a block."""
        return nullcontext() if self.card is None else self.card.memory()

    def moved(self, rows: Sequence[Rows]) -> tuple[Rows, ...]:
        """Put the frames of all that is reduced on the device.

        Raises
        ------
        ResourceError
            If they and what is made of them do not fit.
        """
        if self.card is None:
            return tuple(rows)
        held = sum(one.frames.nbytes for one in rows)
        needed = _COPIES * held + _WORK * max(one.frames.nbytes for one in rows)
        free = self.card.free_bytes()
        if needed > free:
            raise ResourceError(
                f"{held / 1e9:.1f} GB of frames need {needed / 1e9:.1f} GB on {self.card.name}, "
                f"{free / 1e9:.1f} GB are free; use the CPU or a smaller field"
            )
        return tuple(replace(one, frames=self.card.put(one.frames)) for one in rows)


CPU = Device()


def batch_size(pushing: Pushing) -> int:
    """Tell how many companions are pushed together."""
    reduction = pushing.reduction
    rows, targets = reduction.base.n_row, pushing.targets.size
    # Coefficients before and after, in both precisions, of a few zones; pixels of a track.
    bytes_each = 8 * 8 * rows * targets + 16 * rows * 4096
    return pieces_at_once(reduction.base.values, bytes_each, _TOGETHER)


def fluxes(members: Sequence[Pushed], contrast: Floats, way: Way) -> list[Floats]:
    """Aperture fluxes of companions, their zones solved in one batch.

    Parameters
    ----------
    members : sequence of Pushed
        Companions, each by itself in the frames; of one reduction with coefficients.
    contrast : array of float64, shape (n,)
        Factors on their spectrum.
    way : {"resolved", "first-order", "frozen"}
        What becomes of the coefficients.

    Returns
    -------
    list of array of float64, shape (n_channel,)
        As `Pushed.flux` gives them one by one.
    """
    changes: dict[int, dict[int, list[Array]]] = {}
    for number, (member, value) in enumerate(zip(members, contrast, strict=True)):
        for zone in member.zones:
            change = member.change(zone, float(value), way)
            if change is not None:
                changes.setdefault(zone, {})[number] = change
    solved: list[dict[int, tuple[Block, ...]]] = [{} for _ in members]
    for zone, totals in changes.items():
        blocks = _solved(members[0].pushing, zone, totals)
        for number, own in blocks.items():
            solved[number][zone] = own
    pairs = zip(members, contrast, solved, strict=True)
    return [member.flux(float(value), way, own) for member, value, own in pairs]


def _solved(
    pushing: Pushing, zone: int, totals: Mapping[int, Sequence[Array]]
) -> dict[int, tuple[Block, ...]]:
    """Operators of a zone for several changes of its sums."""
    numbers = list(totals)
    xp = array_namespace(totals[numbers[0]][0])
    stacks = [xp.stack(list(same)) for same in zip(*totals.values(), strict=True)]
    blocks = pushing.reduction.operator(zone, stacks)
    return {
        number: tuple(block._replace(matrix=block.matrix[:, k, ...]) for block in blocks)
        for k, number in enumerate(numbers)
    }
