"""One row of a plan: what is to become of an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.observation import Observation

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Json, Text

PLANNED, REJECTED = "planned", "rejected"


class PlanEntry(models.Model):
    """An observation in a plan; `association` is the path of its file below the root."""

    plan: Text = models.TextField()
    observation: models.ForeignKey[Observation, Observation] = models.ForeignKey(
        Observation, on_delete=models.CASCADE, related_name="plan_entries"
    )
    status: Text = models.TextField()
    reasons: Json = models.JSONField(default=list)
    flags: Json = models.JSONField(default=list)
    notes: Json = models.JSONField(default=list)
    level1_mode: Text = models.TextField(blank=True)
    association: Text = models.TextField()

    class Meta:
        """Table, index and constraints."""

        ordering: ClassVar = ["plan", "observation"]
        indexes: ClassVar = [models.Index(fields=["status"], name="plan_entry_status")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plan", "observation"], name="plan_entry_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=[PLANNED, REJECTED]), name="plan_entry_status_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan}: {self.observation}"
