"""One raw file: the columns that frames are found by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from spheredc_hpc.catalog.models.columns import clean
from spheredc_hpc.model import frame as record

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Boolean, Integer, Json, OptionalFloat, Text


class RawFrame(models.Model):
    """A raw file that could be read; columns as in `spheredc_hpc.model.frame.RawFrame`.

    `mtime_ns` and `scanner` tell whether the file has to be read again; `present` is false
    once a scan of its folder does not find it any more.
    """

    path: Text = models.TextField(unique=True)
    archive_id: Text = models.TextField()
    size_bytes: Integer = models.BigIntegerField()
    header_digest: Text = models.TextField()
    datasum: Text = models.TextField(blank=True)
    arm: Text = models.TextField(blank=True)
    mode: Text = models.TextField(blank=True)
    frame_class: Text = models.TextField()
    reason: Text = models.TextField(blank=True)
    category: Text = models.TextField(blank=True)
    dpr_type: Text = models.TextField(blank=True)
    technique: Text = models.TextField(blank=True)
    target: Text = models.TextField(blank=True)
    night: Text = models.TextField(blank=True)
    mjd_start: OptionalFloat = models.FloatField(null=True)
    mjd_end: OptionalFloat = models.FloatField(null=True)
    dit_s: OptionalFloat = models.FloatField(null=True)
    n_planes: Integer = models.BigIntegerField()
    ndit: Integer = models.BigIntegerField()
    filter: Text = models.TextField(blank=True)
    nd: Text = models.TextField(blank=True)
    coronagraph: Text = models.TextField(blank=True)
    derotator_mode: Text = models.TextField(blank=True)
    readmode: Text = models.TextField(blank=True)
    lyot_stop: Text = models.TextField(blank=True)
    ifs_setup: Text = models.TextField(blank=True)
    prism: Text = models.TextField(blank=True)
    obs_id: Text = models.TextField(blank=True)
    container_id: Text = models.TextField(blank=True)
    programme: Text = models.TextField(blank=True)
    template_id: Text = models.TextField(blank=True)
    template_start: Text = models.TextField(blank=True)
    ra_deg: OptionalFloat = models.FloatField(null=True)
    dec_deg: OptionalFloat = models.FloatField(null=True)
    notes: Json = models.JSONField(default=list)
    mtime_ns: Integer = models.BigIntegerField()
    scanner: Text = models.TextField()
    present: Boolean = models.BooleanField(default=True)

    class Meta:
        """Table and indexes."""

        ordering: ClassVar = ["mjd_start", "archive_id", "path"]
        indexes: ClassVar = [
            models.Index(fields=["archive_id"], name="raw_frame_archive_id"),
            models.Index(fields=["night", "arm", "frame_class"], name="raw_frame_night"),
            models.Index(fields=["arm", "frame_class", "mjd_start"], name="raw_frame_time"),
            models.Index(fields=["target"], name="raw_frame_target"),
            models.Index(fields=["obs_id"], name="raw_frame_obs_id"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(size_bytes__gte=0) & models.Q(n_planes__gte=0),
                name="raw_frame_counts",
            ),
        ]

    def __str__(self) -> str:
        return self.archive_id

    @classmethod
    def of(cls, frame: record.RawFrame, mtime_ns: int, scanner: str) -> RawFrame:
        """Make the row of a scanned frame."""
        values = {name: clean(getattr(frame, name)) for name in RECORD_COLUMNS}
        return cls(**values, mtime_ns=mtime_ns, scanner=scanner)

    @staticmethod
    def record_of(values: Mapping[str, Any]) -> record.RawFrame:
        """Make the record of a row given as the values of `RECORD_COLUMNS`."""
        return record.RawFrame(**{**values, "notes": tuple(values["notes"])})


RECORD_COLUMNS = tuple(field.name for field in fields(record.RawFrame))
"""Columns that the record of a raw frame is made of."""
