"""Keep headers compressed: what is there is dropped, the next scan reads the files again."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


def drop_headers(apps, _schema_editor):  # type: ignore[no-untyped-def]
    """Delete all headers in their old form."""
    apps.get_model("catalog", "RawHeader").objects.all().delete()


class Migration(migrations.Migration):
    """From JSON to compressed cards."""

    dependencies: ClassVar = [("catalog", "0001_initial")]
    operations: ClassVar = [
        migrations.RunPython(drop_headers, migrations.RunPython.noop),
        migrations.RemoveField(model_name="rawheader", name="cards"),
        migrations.AddField(
            model_name="rawheader",
            name="packed",
            field=models.BinaryField(default=b""),
            preserve_default=False,
        ),
    ]
