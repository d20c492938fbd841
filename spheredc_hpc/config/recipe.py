"""Level 2 recipes: an algorithm, a strategy and their settings under a short name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from spheredc_hpc.config.base import Section, digest_of, nested
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.registry import ALGORITHMS, STRATEGIES

TWO_STEP = "asdi-two-step"
"""Name of the strategy that subtracts twice."""
REFERENCES_ONLY = "rdi"
"""Name of the strategy in which no frame of the sequence serves another."""


class ImagingSettings(Section):
    """What is common to every algorithm: zone, combination, statistics, detection limits."""

    inner_mas: float = Field(95.0, ge=0, description="Inner radius of the zone [mas].")
    outer_mas: float = Field(2450.0, gt=0, description="Outer radius of the zone [mas].")
    selection: Literal["all", "outliers", "strict", "best-seeing", "best-tau0", "best-strehl"] = (
        Field(
            "all",
            description="Frames that are used: all; those that are no outliers in brightness, "
            "likeness and Strehl ratio (strict: within 3 instead of 5 standard deviations); the "
            "best 80 % in seeing, coherence time or Strehl ratio.",
        )
    )
    combination: Literal["mean", "median", "weighted", "trimmed"] = Field(
        "mean",
        description="How derotated frames are combined; weighted: by inverse variance, trimmed: "
        "mean without the tenth at either end.",
    )
    rotation: Literal["fft", "interpolated"] = Field(
        "fft",
        description="How frames are turned: by Fourier shears, or by short filters in a fraction "
        "of the time.",
    )
    detection_snr: float = Field(
        5.0, gt=0, description="Gaussian-equivalent S/N of a claimed source."
    )
    throughput_branches: int = Field(
        3, ge=1, le=12, description="Azimuths at which injected companions measure throughput."
    )
    throughput: Literal["auto", "resolved", "first-order", "frozen", "injection"] = Field(
        "auto",
        description="How: the zones about each companion solved again (resolved), coefficients "
        "changed to first order or frozen, the whole reduction repeated (injection); auto: "
        "resolved. Methods without coefficients are always measured exactly.",
    )
    channels: Literal["mean", "weighted"] = Field(
        "mean",
        description="How the channels are stacked: plain mean, or weighted for the best S/N of "
        "a companion of the assumed spectrum.",
    )
    companion_spectrum: Literal["star", "t-type"] = Field(
        "star", description="Spectrum assumed for throughput, contrast and corrected image."
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
    strategy: str = Field("adi", description="Name of a strategy of the registry.")
    imaging: ImagingSettings = Field(ImagingSettings(), description="Common settings.")
    settings: SerializeAsAny[Section] = Field(
        default_factory=Section, description="Settings of the algorithm."
    )
    first_step: SerializeAsAny[Section] | None = Field(
        None,
        description="Settings of the algorithm for the first of two steps (asdi-two-step); "
        "null: those of `settings`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _typed_settings(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "algorithm" not in values:
            return values
        try:
            settings_class = ALGORITHMS[str(values["algorithm"])].settings or Section
            # An unknown strategy is named with those that there are.
            STRATEGIES[str(values.get("strategy", "adi"))]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        typed = {
            name: nested(settings_class, given, name)
            for name, given in (
                ("settings", values.get("settings", {})),
                ("first_step", values.get("first_step")),
            )
            if isinstance(given, dict)
        }
        return {**values, **typed}

    @model_validator(mode="after")
    def _one_step_or_two(self) -> Recipe:
        if self.first_step is not None and self.strategy != TWO_STEP:
            raise ValueError(f"first_step belongs to strategy {TWO_STEP}, not {self.strategy}")
        return self

    @model_validator(mode="after")
    def _frames_do_not_fit_themselves(self) -> Recipe:
        for settings in (self.settings, self.first_step):
            unfit = getattr(settings, "unfit_for_own_frames", None)
            if unfit is not None and self.strategy != REFERENCES_ONLY and unfit():
                raise ValueError(unfit())
        return self

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
