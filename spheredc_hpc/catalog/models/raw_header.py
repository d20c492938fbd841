"""The whole primary header of a raw file, apart from the columns so that those stay small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from spheredc_hpc.catalog.models.raw_frame import RawFrame

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Json


class RawHeader(models.Model):
    """Cards of one header, keywords without ``HIERARCH``."""

    raw_frame: models.OneToOneField[RawFrame, RawFrame] = models.OneToOneField(
        RawFrame, on_delete=models.CASCADE, primary_key=True, related_name="header"
    )
    cards: Json = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"header of {self.raw_frame}"
