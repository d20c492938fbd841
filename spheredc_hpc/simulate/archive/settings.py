"""What a simulated archive contains."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from spheredc_hpc.config import Section
from spheredc_hpc.errors import ConfigError, DataError
from spheredc_hpc.instrument.headers import EARLIEST_MJD, LATEST_MJD, mjd_from_iso


class SequencesPerNight(Section):
    """Mean number of sequences in a night, by mode."""

    irdifs: float = Field(3.5, ge=0, le=8, description="IRDIS imaging with IFS in parallel.")
    irdis: float = Field(0.5, ge=0, le=8, description="IRDIS imaging alone.")
    dpi: float = Field(1.0, ge=0, le=8, description="IRDIS polarimetry.")
    lss: float = Field(0.18, ge=0, le=8, description="IRDIS long-slit spectroscopy.")
    zimpol: float = Field(0.73, ge=0, le=8, description="ZIMPOL, imaging and polarimetry.")


class ArchiveSettings(Section):
    """A header-only archive; the defaults are ten years of about 350 000 files."""

    seed: int = Field(2014, ge=0, description="Every file follows from it.")
    first_night: str = Field(
        "2014-12-05", pattern=r"^\d{4}-\d{2}-\d{2}$", description="Date of the first night."
    )
    nights: int = Field(1100, ge=1, le=5000, description="Nights with SPHERE.")
    nights_per_year: float = Field(
        110.0, gt=0, le=365, description="Nights of a year; they come in runs of one to six."
    )
    sequences: SequencesPerNight = Field(
        SequencesPerNight(), description="Sequences per night by mode."
    )
    length: float = Field(
        1.0,
        gt=0,
        le=2,
        description="Files of a sequence and of a night's calibrations, "
        "relative to the means of the archive.",
    )
    hopping: float = Field(
        0.03, ge=0, le=1, description="Share of imaging with a reference star in a container."
    )
    defects: float = Field(
        0.2, ge=0, le=1, description="Share of sequences that something is wrong with."
    )
    telemetry: bool = Field(True, description="Write telemetry files of the adaptive optics.")
    gzip_share: float = Field(0.02, ge=0, le=1, description="Share of files packed by gzip.")
    compress_share: float = Field(
        0.01, ge=0, le=1, description="Share of files packed by Unix compress."
    )

    @field_validator("first_night", mode="before")
    @classmethod
    def _from_yaml(cls, value: object) -> object:
        """Take what YAML makes of a date without quotes."""
        return value.isoformat() if isinstance(value, dt.date) else value

    @model_validator(mode="after")
    def _in_the_calendar(self) -> ArchiveSettings:
        """Refuse nights that no reader of the headers takes for observations."""
        try:
            first = mjd_from_iso(f"{self.first_night}T00:00:00")
        except DataError as error:
            raise ValueError(f"first_night: {error}") from error
        years = self.nights / self.nights_per_year
        if not EARLIEST_MJD <= first <= LATEST_MJD - 366 * (years + 1):
            raise ValueError(
                f"{self.nights} nights from {self.first_night} on, {self.nights_per_year:g} a "
                f"year: expected all of them in the years 1900 to 2100"
            )
        return self


def load_archive_settings(path: Path | None, **changes: Any) -> ArchiveSettings:
    """Read settings from a YAML file, the defaults without one; `changes` come last.

    Raises
    ------
    ConfigError
        If the file does not exist, is no mapping, or holds an unknown key or a wrong value.
    """
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text("utf-8")) or {}
        except OSError as error:
            raise ConfigError(f"archive settings {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"archive settings {path} are not valid YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"archive settings {path} are not a mapping")
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        return ArchiveSettings.model_validate({**values, **given})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"{where}: {first['msg']}, got {first['input']!r}" if where else first["msg"]
        raise ConfigError(f"archive settings: {told}") from error
