"""One product on disk, as its receipt tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.model.product import Status

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Integer, Json, Text


class Product(models.Model):
    """A published product; its id is the path of its directory below the root.

    `observation` and `recipe` are empty for calibrations. The observation of an imported
    cube has no row of its own, so it is no foreign key.
    """

    id: Text = models.TextField(primary_key=True)
    kind: Text = models.TextField()
    observation: Text = models.TextField(blank=True)
    recipe: Text = models.TextField(blank=True)
    status: Text = models.TextField()
    reasons: Json = models.JSONField(default=list)
    flags: Json = models.JSONField(default=list)
    quality: Json = models.JSONField(default=dict)
    size_bytes: Integer = models.BigIntegerField()
    receipt_digest: Text = models.TextField()
    settings_digest: Text = models.TextField()
    software_version: Text = models.TextField()
    product_version: Integer = models.BigIntegerField()
    constants_digest: Text = models.TextField(blank=True)
    environment_digest: Text = models.TextField()

    class Meta:
        """Table, indexes and constraint."""

        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["kind", "status"], name="product_kind"),
            models.Index(fields=["observation"], name="product_observation"),
            models.Index(fields=["recipe"], name="product_recipe"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(status__in=[str(status) for status in Status]),
                name="product_status_known",
            )
        ]

    def __str__(self) -> str:
        return self.id
