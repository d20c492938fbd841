"""What one side of a case hands to the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anchors.inputs import Input

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """A call to time, and a call that gives more to compare.

    Attributes
    ----------
    run : callable
        The timed call. Its arrays: ``image`` (y, x), ``map`` (y, x), ``cube`` (time, y, x), or
        ``radius_px``, ``gaussian``, ``student`` of a contrast curve.
    residuals : callable or None
        Not timed: frames after subtraction, before rotation, shape (time, y, x).
    """

    run: Callable[[], Arrays]
    residuals: Callable[[], np.ndarray] | None = None


Maker = Callable[[Input, int], Job]
