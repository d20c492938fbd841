"""Off-axis transmission of the coronagraph of a cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.coronagraphs import off_axis_transmission
from spheredc_hpc.store.cube import Level1Cube


@dataclass(frozen=True)
class Transmission:
    """Fraction of a companion's flux that passes the coronagraph.

    Attributes
    ----------
    coronagraph, arm : str
        Names as in the headers; empty where not known.
    constants : Constants or None
        Table with the curves; the default one if None.
    """

    coronagraph: str
    arm: str
    constants: Constants | None = None

    @classmethod
    def of(cls, cube: Level1Cube, constants: Constants | None = None) -> Transmission:
        """Take the coronagraph from the facts of a cube."""
        return cls(
            str(cube.attrs.get("coronagraph", "")), str(cube.attrs.get("arm", "")), constants
        )

    @property
    def known(self) -> bool:
        """Whether there is a curve for this coronagraph."""
        return self._curve([1000.0]) is not None

    def _curve(self, separation_mas: ArrayLike) -> NDArray[np.float64] | None:
        if not self.coronagraph:
            return None
        return off_axis_transmission(self.coronagraph, self.arm, separation_mas, self.constants)

    def at(self, separation_mas: ArrayLike) -> NDArray[np.float64]:
        """Transmission at separations [mas]; 1 where the coronagraph has no curve."""
        curve = self._curve(separation_mas)
        return np.ones_like(np.asarray(separation_mas, np.float64)) if curve is None else curve
