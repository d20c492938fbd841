from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_packed_headers")]

    operations = [
        migrations.AddField(
            model_name="observation",
            name="part",
            field=models.TextField(blank=True, default=""),
        ),
    ]
