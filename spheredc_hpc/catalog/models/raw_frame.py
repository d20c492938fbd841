"""One raw file: the columns that frames are found by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from sys import intern
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

    @classmethod
    def records(cls) -> Iterator[record.RawFrame]:
        """Make the records of all files that are there, in no order.

        Text that many files share is kept once: that is most of the memory of an archive.
        """
        rows = cls.objects.filter(present=True).order_by().values_list(*RECORD_COLUMNS)
        for row in rows.iterator(chunk_size=_CHUNK):
            values: list[Any] = [
                intern(value) if shared and value.__class__ is str else value
                for value, shared in zip(row, _SHARED, strict=True)
            ]
            values[-1] = tuple(values[-1])  # notes
            yield record.RawFrame(*values)


RECORD_COLUMNS = tuple(field.name for field in fields(record.RawFrame))
"""Columns that the record of a raw frame is made of."""
_OWN = ("archive_id", "path", "header_digest", "datasum")
_SHARED = tuple(name not in _OWN for name in RECORD_COLUMNS)
_CHUNK = 2000
