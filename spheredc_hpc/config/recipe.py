"""Level 2 recipes: an algorithm, a strategy and their settings under a short name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from spheredc_hpc.config.base import Section, digest_of, nested
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.registry import ALGORITHMS


class ImagingSettings(Section):
    """What is common to every algorithm: zone, combination, statistics, detection limits."""

    inner_mas: float = Field(95.0, ge=0, description="Inner radius of the zone [mas].")
    outer_mas: float = Field(2450.0, gt=0, description="Outer radius of the zone [mas].")
    combination: Literal["mean", "median", "weighted"] = Field(
        "mean", description="How derotated frames are combined."
    )
    detection_snr: float = Field(
        5.0, gt=0, description="Gaussian-equivalent S/N of a claimed source."
    )
    throughput_branches: int = Field(
        3, ge=1, le=12, description="Azimuths at which injected companions measure throughput."
    )
    keep_residuals: bool = Field(False, description="Keep the derotated residual cube.")

    @model_validator(mode="after")
    def _ordered(self) -> ImagingSettings:
        if self.inner_mas >= self.outer_mas:
            raise ValueError("inner_mas must be smaller than outer_mas")
        return self


class Recipe(Section):
    """One Level 2 reduction."""

    algorithm: str = Field(description="Name of an algorithm of the registry.")
    strategy: Literal["none", "adi"] = Field("adi", description="Diversity that is exploited.")
    imaging: ImagingSettings = Field(ImagingSettings(), description="Common settings.")
    settings: SerializeAsAny[Section] = Field(
        default_factory=Section, description="Settings of the algorithm."
    )

    @model_validator(mode="before")
    @classmethod
    def _typed_settings(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "algorithm" not in values:
            return values
        given = values.get("settings", {})
        if isinstance(given, dict):
            try:
                settings_class = ALGORITHMS[str(values["algorithm"])].settings or Section
            except ConfigError as error:
                raise ValueError(str(error)) from error
            values = {**values, "settings": nested(settings_class, given, "settings")}
        return values

    def label(self, name: str) -> str:
        """Directory name of the recipe: ``<name>-<8 hex of its settings>``."""
        return f"{name}-{digest_of(self.plain())[:8]}"


def default_recipes() -> dict[str, Recipe]:
    """Give the recipes of an empty configuration."""
    return {
        "no-adi": Recipe(algorithm="noadi", strategy="none"),
        "cadi-adi": Recipe(algorithm="cadi"),
        "pca-adi": Recipe(algorithm="pca"),
    }
