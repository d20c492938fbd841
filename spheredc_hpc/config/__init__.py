"""Configuration: frozen settings with generated defaults and schema."""

from spheredc_hpc.config.association import AssociationSettings, ValidityWindow
from spheredc_hpc.config.base import ModeSettings, Section, digest_of
from spheredc_hpc.config.composed import Config, default_yaml, json_schema, load, parse
from spheredc_hpc.config.output import OutputSettings
from spheredc_hpc.config.recipe import ImagingSettings, Recipe

__all__ = [
    "AssociationSettings",
    "Config",
    "ImagingSettings",
    "ModeSettings",
    "OutputSettings",
    "Recipe",
    "Section",
    "ValidityWindow",
    "default_yaml",
    "digest_of",
    "json_schema",
    "load",
    "parse",
]
