"""The whole primary header of a raw file, compressed, apart from the columns."""

from __future__ import annotations

from django.db import models

from spheredc_hpc.catalog.models.raw_frame import RawFrame
from spheredc_hpc.ingest.header import Header


class RawHeader(models.Model):
    """Cards of one header, as `spheredc_hpc.ingest.header.Header` packs them."""

    raw_frame: models.OneToOneField[RawFrame, RawFrame] = models.OneToOneField(
        RawFrame, on_delete=models.CASCADE, primary_key=True, related_name="header"
    )
    packed: models.BinaryField[bytes, bytes] = models.BinaryField()

    @property
    def cards(self) -> Header:
        """Values by keyword without ``HIERARCH``."""
        return Header.unpacked(bytes(self.packed))

    def __str__(self) -> str:
        return f"header of {self.raw_frame}"
