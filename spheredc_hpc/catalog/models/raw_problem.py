"""One file that gives no frame, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

if TYPE_CHECKING:
    from spheredc_hpc.catalog.models.columns import Integer, Text


class RawProblem(models.Model):
    """A file or folder that could not be read; `problem` is a word, `reason` the story."""

    path: Text = models.TextField(unique=True)
    problem: Text = models.TextField()
    reason: Text = models.TextField()
    size_bytes: Integer = models.BigIntegerField()
    mtime_ns: Integer = models.BigIntegerField()
    scanner: Text = models.TextField()

    class Meta:
        """Table."""

        ordering: ClassVar = ["path"]

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"
