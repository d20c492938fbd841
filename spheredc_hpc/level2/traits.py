"""How an algorithm acts on its frames, so that the engine can repeat it cheaply.

Every algorithm takes the frames of a zone and gives residuals. Some do so in a way that lets
the engine evaluate a changed cube (with a companion added or removed) at a few pixels only,
and exactly: those whose coefficients follow from the Gram matrix, and those that treat every
pixel or every frame by itself. An algorithm that declares nothing is run on the whole zone
each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import Field

from spheredc_hpc.config.base import Section
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.level2.eligibility import ReferenceSettings
from spheredc_hpc.level2.regions import ZoneSettings

Array = Any
Run = TypeVar("Run", bound=Callable[..., Any])


@dataclass(frozen=True)
class Problem:
    """What the coefficients of one zone are made of.

    Attributes
    ----------
    gram : array of float64, shape (n, n)
        Gram matrix of the rows over the optimisation pixels, centred as the settings say.
    targets : array of int, shape (n_target,)
        Which of the rows are targets.
    allowed : array of bool, shape (n_target, n)
        Rows that may serve each target.
    """

    gram: Array
    targets: Array
    allowed: Array


Coefficients = Callable[[Problem, Any], Array]


class LinearSettings(Section):
    """Common settings of the methods whose coefficients follow from a Gram matrix."""

    zones: ZoneSettings = Field(ZoneSettings(), description="How the field is cut.")
    references: ReferenceSettings = Field(
        ReferenceSettings(), description="Which frames may serve a frame."
    )
    centre: Literal["temporal", "spatial", "none"] = Field(
        "temporal",
        description="What is taken off before: the mean of the frames, the mean of each frame "
        "over its zone, or nothing.",
    )

    @property
    def counts(self) -> tuple[int, ...]:
        """Mode counts of one pass, the main one first; a single 0 for methods without modes."""
        return (0,)


def spanned_by_model(settings: Any) -> int:
    """Directions that the model of a row spans if the row is among those that serve it, or 0.

    A mean over the rows is one direction more than the modes are. As many rows as that, or fewer,
    are all in their model: it leaves nothing.
    """
    rules = getattr(settings, "references", None)
    if rules is not None and rules.by_motion:
        return 0
    return most_modes(settings) + int(getattr(settings, "centre", "none") == "temporal")


def most_modes(settings: Any) -> int:
    """Largest number of modes that settings ask for."""
    counts: tuple[int, ...] = getattr(settings, "counts", (getattr(settings, "n_modes", 0),))
    return max(counts)


@dataclass(frozen=True)
class Traits:
    """What is known of an algorithm.

    Attributes
    ----------
    coefficients : callable or None
        ``coefficients(problem, settings)`` gives float64 coefficients of shape
        (n_count, n_target, n): the model of a target is their product with the centred rows.
        The settings are `LinearSettings`.
    pixelwise : bool
        The residual of a pixel depends on that pixel alone.
    framewise : bool
        The residual of a frame depends on that frame alone, and on where its pixels are: `run`
        takes square frames, shape (n_frame, side, side), with the star on the middle pixel.
    """

    coefficients: Coefficients | None = None
    pixelwise: bool = False
    framewise: bool = False


_TRAITS: dict[Callable[..., Any], Traits] = {}


def acts(
    *, coefficients: Coefficients | None = None, pixelwise: bool = False, framewise: bool = False
) -> Callable[[Run], Run]:
    """Declare the traits of the decorated algorithm.

    Raises
    ------
    ConfigError
        If more than one is declared.
    """
    if (coefficients is not None) + pixelwise + framewise > 1:
        raise ConfigError(
            "an algorithm has coefficients, is pixelwise or is framewise, not several of them"
        )

    def declare(run: Run) -> Run:
        _TRAITS[run] = Traits(coefficients, pixelwise, framewise)
        return run

    return declare


def traits_of(run: Callable[..., Any]) -> Traits:
    """Traits of an algorithm; the empty ones if it declared none."""
    return _TRAITS.get(run, Traits())
