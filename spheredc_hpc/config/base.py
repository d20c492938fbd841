"""Base of every settings class."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails

from spheredc_hpc.model.memory import CubeShape


class Section(BaseModel):
    """Frozen settings that refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def plain(self) -> dict[str, Any]:
        """Return the settings as JSON-compatible values."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, hexadecimal."""
        return digest_of(self.plain())


class ModeSettings(Section):
    """Settings of an observing mode; they say what its master cubes look like."""

    @property
    def cube_shape(self) -> CubeShape:
        """Shape of the cubes, from settings and instrument alone.

        Raises
        ------
        NotImplementedError
            If a mode does not say.
        """
        raise NotImplementedError(type(self).__name__)


def digest_of(values: object) -> str:
    """SHA-256 of the canonical JSON text of `values`, hexadecimal."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def nested(settings_class: type[Section], values: object, *place: str) -> Section:
    """Make the section at `place` within the one being validated; its problems name the place.

    Raises
    ------
    ValidationError
        If `values` is no mapping or holds a wrong key or value.
    """
    try:
        return settings_class.model_validate({} if values is None else values)
    except ValidationError as error:
        problems = [
            InitErrorDetails(
                type=problem["type"],
                loc=(*place, *problem["loc"]),
                input=problem["input"],
                ctx=problem.get("ctx", {}),
            )
            for problem in error.errors()
        ]
        raise ValidationError.from_exception_data(error.title, problems) from error
