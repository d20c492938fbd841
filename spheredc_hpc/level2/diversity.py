"""What a strategy exploits to tell a companion from the star."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Run = TypeVar("Run", bound=Callable[..., Any])


@dataclass(frozen=True)
class Diversity:
    """Differences between a frame and its references.

    Attributes
    ----------
    rotation : bool
        Other times, between which the field turns.
    wavelength : bool
        Other channels, between which speckles move.
    library : bool
        Other stars.
    """

    rotation: bool = False
    wavelength: bool = False
    library: bool = False

    @property
    def subtracts(self) -> bool:
        """Whether there are references at all."""
        return self.rotation or self.wavelength or self.library


_EXPLOITED: dict[Callable[..., Any], Diversity] = {}


def exploits(
    *, rotation: bool = False, wavelength: bool = False, library: bool = False
) -> Callable[[Run], Run]:
    """Declare what the decorated strategy exploits."""

    def declare(run: Run) -> Run:
        _EXPLOITED[run] = Diversity(rotation, wavelength, library)
        return run

    return declare


def diversity_of(run: Callable[..., Any]) -> Diversity:
    """Diversity that a strategy declared; none if it declared nothing."""
    return _EXPLOITED.get(run, Diversity())
