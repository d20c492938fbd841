"""One observation: what is reduced as one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.model import observation as record

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Integer, OptionalFloat, Text


class Observation(models.Model):
    """Identity and facts of an observation, as in `spheredc_hpc.model.observation`."""

    id: Text = models.TextField(primary_key=True)
    night: Text = models.TextField()
    block: Text = models.TextField(blank=True)
    arm: Text = models.TextField()
    mode: Text = models.TextField(blank=True)
    filter: Text = models.TextField(blank=True)
    derotator_mode: Text = models.TextField(blank=True)
    coronagraph: Text = models.TextField(blank=True)
    part: Text = models.TextField(blank=True, default="")
    target: Text = models.TextField(blank=True)
    programme: Text = models.TextField(blank=True)
    parent: Text = models.TextField(blank=True)
    ra_deg: OptionalFloat = models.FloatField(null=True)
    dec_deg: OptionalFloat = models.FloatField(null=True)
    mjd_mid: OptionalFloat = models.FloatField(null=True)
    dit_s: OptionalFloat = models.FloatField(null=True)
    n_frames: Integer = models.BigIntegerField()

    class Meta:
        """Table and indexes."""

        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["night"], name="observation_night"),
            models.Index(fields=["target"], name="observation_target"),
            models.Index(fields=["arm", "mode", "filter"], name="observation_setup"),
            models.Index(fields=["programme"], name="observation_programme"),
            models.Index(fields=["parent"], name="observation_parent"),
            models.Index(fields=["ra_deg", "dec_deg"], name="observation_position"),
        ]

    def __str__(self) -> str:
        return self.id

    @classmethod
    def of(cls, observation: record.Observation) -> Observation:
        """Make the row of an observation."""
        values = asdict(observation)
        values |= values.pop("key")
        return cls(**{name: clean(value) for name, value in values.items()})
