"""What a planned observation lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.plan_entry import PlanEntry

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Json, Text


class MissingCalibration(models.Model):
    """A calibration or exposure that no frame gives, with its exact matching keys."""

    entry: models.ForeignKey[PlanEntry, PlanEntry] = models.ForeignKey(
        PlanEntry, on_delete=models.CASCADE, related_name="missing"
    )
    role: Text = models.TextField()
    kind: Text = models.TextField()
    keys: Json = models.JSONField(default=dict)
    text: Text = models.TextField()
    consequence: Text = models.TextField(blank=True)
    flag: Text = models.TextField(blank=True)

    class Meta:
        """Table, index and constraint."""

        ordering: ClassVar = ["entry", "role"]
        indexes: ClassVar = [models.Index(fields=["kind"], name="missing_calibration_kind")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "role"], name="missing_calibration_once")
        ]

    def __str__(self) -> str:
        return self.text
