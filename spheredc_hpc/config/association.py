"""Grouping of frames into observations and association of calibrations."""

from __future__ import annotations

from pydantic import Field, model_validator

from spheredc_hpc.config.base import Section


class ValidityWindow(Section):
    """How far in time a calibration may lie from the science, in three steps."""

    nominal_h: float = Field(12.0, gt=0, description="Taken without a remark [h].")
    acceptable_h: float = Field(72.0, gt=0, description="Taken with an age flag [h].")
    last_resort_h: float = Field(720.0, gt=0, description="Taken if nothing else is there [h].")

    @model_validator(mode="after")
    def _ordered(self) -> ValidityWindow:
        if not self.nominal_h <= self.acceptable_h <= self.last_resort_h:
            raise ValueError("windows must grow: nominal_h <= acceptable_h <= last_resort_h")
        return self


class AssociationSettings(Section):
    """Which calibrations may serve which science."""

    background: ValidityWindow = Field(
        ValidityWindow(), description="Windows of SKY, BACKGROUND and DARK frames."
    )
    flat: ValidityWindow = Field(
        ValidityWindow(nominal_h=12.0, acceptable_h=168.0, last_resort_h=1440.0),
        description="Windows of IRDIS flats.",
    )
    prefer_sky: bool = Field(
        True, description="Prefer SKY frames of the same block to instrument backgrounds."
    )
    min_science_frames: int = Field(
        2, ge=1, description="Science planes below which an observation is rejected."
    )
