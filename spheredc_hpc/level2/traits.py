"""How an algorithm acts on its frames, so that the engine can repeat it cheaply.

Every algorithm takes the frames of a zone and gives residuals. Some do so in a way that lets
the engine evaluate a changed cube (with a companion added or removed) at a few pixels only,
and exactly: those that are linear given the Gram matrix, and those that treat every pixel or
every frame by itself. An algorithm that declares nothing is run on the whole zone each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from spheredc_hpc.errors import ConfigError

Array = Any
Run = TypeVar("Run", bound=Callable[..., Any])
Operator = Callable[[Array, Any], Array]


@dataclass(frozen=True)
class Traits:
    """What is known of an algorithm.

    Attributes
    ----------
    operator : callable or None
        ``operator(gram, settings)`` gives the matrix `M` of shape (n_frame, n_frame) with
        residuals ``M @ frames``; `gram` is the float64 Gram matrix of the frames in the zone.
    pixelwise : bool
        The residual of a pixel depends on that pixel alone.
    framewise : bool
        The residual of a frame depends on that frame alone, and on where its pixels are: `run`
        takes square frames, shape (n_frame, side, side), with the star on the middle pixel.
    """

    operator: Operator | None = None
    pixelwise: bool = False
    framewise: bool = False


_TRAITS: dict[Callable[..., Any], Traits] = {}


def acts(
    *, operator: Operator | None = None, pixelwise: bool = False, framewise: bool = False
) -> Callable[[Run], Run]:
    """Declare the traits of the decorated algorithm.

    Raises
    ------
    ConfigError
        If more than one is declared.
    """
    if (operator is not None) + pixelwise + framewise > 1:
        raise ConfigError("an algorithm has an operator, is pixelwise or framewise, not several")

    def declare(run: Run) -> Run:
        _TRAITS[run] = Traits(operator, pixelwise, framewise)
        return run

    return declare


def traits_of(run: Callable[..., Any]) -> Traits:
    """Traits of an algorithm; the empty ones if it declared none."""
    return _TRAITS.get(run, Traits())
