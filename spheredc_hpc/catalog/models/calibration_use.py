"""Which calibration product serves which role of a planned observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.plan_entry import PlanEntry

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Float, Integer, Json, Text


class CalibrationUse(models.Model):
    """One pick; `product` is the directory of the product below the root."""

    entry: models.ForeignKey[PlanEntry, PlanEntry] = models.ForeignKey(
        PlanEntry, on_delete=models.CASCADE, related_name="calibrations"
    )
    role: Text = models.TextField()
    kind: Text = models.TextField()
    product: Text = models.TextField()
    source_class: Text = models.TextField(blank=True)
    tier: Text = models.TextField()
    age_h: Float = models.FloatField()
    rank: Integer = models.BigIntegerField()
    relaxed: Json = models.JSONField(default=list)
    flags: Json = models.JSONField(default=list)
    why: Text = models.TextField(blank=True)

    class Meta:
        """Table, index and constraint."""

        ordering: ClassVar = ["entry", "role"]
        indexes: ClassVar = [models.Index(fields=["product"], name="calibration_use_product")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "role"], name="calibration_use_once")
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.entry}"
