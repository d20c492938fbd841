"""How products are written."""

from __future__ import annotations

from pydantic import Field

from spheredc_hpc.config.base import Section


class OutputSettings(Section):
    """Permissions and compression of products."""

    umask: str | None = Field(
        None,
        pattern=r"^0?[0-7]{3}$",
        description="Octal umask of products; that of the shell if null.",
    )
    group: str | None = Field(None, description="Group that owns products; unchanged if null.")
    compression_level: int = Field(
        1, ge=0, le=9, description="Level of the Zstandard compression of cubes."
    )
