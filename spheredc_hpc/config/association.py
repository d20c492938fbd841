"""Grouping of frames into observations and association of calibrations."""

from __future__ import annotations

from typing import Literal

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


def _days(nominal: float, acceptable: float, last_resort: float) -> ValidityWindow:
    return ValidityWindow(
        nominal_h=24 * nominal, acceptable_h=24 * acceptable, last_resort_h=24 * last_resort
    )


class AssociationSettings(Section):
    """Which frames make an observation, and which calibrations may serve it."""

    background: ValidityWindow = Field(
        ValidityWindow(), description="Windows of SKY, BACKGROUND and DARK frames."
    )
    flat: ValidityWindow = Field(_days(0.5, 7, 60), description="Windows of IRDIS flats.")
    spectral: ValidityWindow = Field(
        _days(0.5, 3, 30), description="Windows of SPECPOS and WAVE frames."
    )
    det_flat: ValidityWindow = Field(
        _days(7, 30, 120), description="Windows of DET_FLAT and IFU_FLAT frames."
    )
    zimpol_bias: ValidityWindow = Field(
        _days(1, 7, 31), description="Windows of BIAS frames of ZIMPOL."
    )
    zimpol_dark: ValidityWindow = Field(
        _days(31, 92, 92), description="Windows of DARK frames of ZIMPOL."
    )
    zimpol_flat: ValidityWindow = Field(
        _days(7, 31, 120), description="Windows of FLAT and MODEM frames of ZIMPOL."
    )
    prefer_sky: bool = Field(
        True, description="Prefer SKY frames of the same block to instrument backgrounds."
    )
    largest_bracket: float = Field(
        16.0,
        gt=1,
        description="Ratio of the integration times between which a background is interpolated, "
        "at most.",
    )
    min_science_frames: int = Field(
        2, ge=1, description="Science planes below which an observation is rejected."
    )
    several_dits: Literal["merge", "split", "longest"] = Field(
        "merge",
        description="Science of several integration times in one block: one observation, one of "
        "each, or that of most exposure only.",
    )
    waffle_min_frames: int = Field(
        16,
        ge=2,
        description="CENTER planes from which a block that holds more exposure with than without "
        "satellite spots counts as continuous waffle.",
    )
