"""Which raw frames an observation has, and in which role."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.observation import Observation
from spheredc_hpc.catalog.models.raw_frame import RawFrame

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Text


class ObservationFrame(models.Model):
    """One raw frame in one role (OBJECT, CENTER, FLUX, SKY, SPARTA) of an observation."""

    observation: models.ForeignKey[Observation, Observation] = models.ForeignKey(
        Observation, on_delete=models.CASCADE, related_name="frames"
    )
    raw_frame: models.ForeignKey[RawFrame, RawFrame] = models.ForeignKey(
        RawFrame, on_delete=models.CASCADE, related_name="uses"
    )
    role: Text = models.TextField()

    class Meta:
        """Table and constraints."""

        ordering: ClassVar = ["observation", "role", "raw_frame"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["observation", "role", "raw_frame"], name="observation_frame_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.observation}"
