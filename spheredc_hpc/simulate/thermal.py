"""Thermal light of the instrument: how it lies on the detector and changes with time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.simulate.scene import IrdisScenario

Floats = NDArray[np.float32]
FIELD_PX = 1024
ARC_CENTRE_PX = (200.0, 1500.0)
ARC_RADIUS_PX = 900.0
ARC_WIDTH_PX = 120.0
SWING_H = 11.0


def thermal_map(scenario: IrdisScenario) -> Floats | None:
    """Relative thermal light of the right field, shape (1024, 1024); None where it is flat.

    A broad arc of warm surface that the field shows in the K band.
    """
    height = scenario.detector.background_arc
    if not height:
        return None
    y, x = np.indices((FIELD_PX, FIELD_PX))
    radius = np.hypot(x - ARC_CENTRE_PX[0], y - ARC_CENTRE_PX[1])
    arc = np.exp(-0.5 * ((radius - ARC_RADIUS_PX) / ARC_WIDTH_PX) ** 2)
    return np.asarray(1 + height * arc, dtype=np.float32)


def thermal_level(scenario: IrdisScenario, mjd: float) -> float:
    """Thermal light at an instant relative to its mean: it follows the temperature."""
    swing = scenario.detector.background_swing
    return float(1 + swing * np.sin(2 * np.pi * mjd * 24 / SWING_H)) if swing else 1.0
