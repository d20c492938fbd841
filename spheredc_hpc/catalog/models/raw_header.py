"""The whole primary header of a raw file, compressed, apart from the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from spheredc_hpc.catalog.models.raw_frame import RawFrame

if TYPE_CHECKING:
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
        # Not at the top: it brings the compiler, and the catalogue is opened by every verb.
        from spheredc_hpc.ingest.header import Header

        return Header.unpacked(bytes(self.packed))

    def __str__(self) -> str:
        return f"header of {self.raw_frame}"
