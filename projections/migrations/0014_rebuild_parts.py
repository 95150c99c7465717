"""Let several processes fill a shadow, each a part of it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A rebuild that is under way begins anew: another release goes on with none."""

    dependencies = [("projections", "0013_jobs")]

    operations = [
        migrations.RemoveConstraint(model_name="projectionrebuild", name="projection_rebuilds_position_check"),
        migrations.RemoveField(model_name="projectionrebuild", name="stream_id"),
        migrations.RemoveField(model_name="projectionrebuild", name="stream_version"),
        migrations.RemoveField(model_name="projectionrebuild", name="events_done"),
        migrations.AddConstraint(
            model_name="projectionrebuild",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__gte", 0), ("until_position__gte", 0)),
                name="projection_rebuilds_position_check",
            ),
        ),
        migrations.CreateModel(
            name="RebuildPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("stream_id", models.TextField(blank=True)),
                ("stream_version", models.BigIntegerField(default=0)),
                ("before", models.TextField()),
                ("events_done", models.BigIntegerField(default=0)),
                ("is_done", models.BooleanField(default=False)),
                (
                    "rebuild",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="projections.projectionrebuild",
                    ),
                ),
            ],
            options={"db_table": "projection_rebuild_parts"},
        ),
        migrations.AddConstraint(
            model_name="rebuildpart",
            constraint=models.UniqueConstraint(fields=("rebuild", "number"), name="projection_rebuild_parts_key"),
        ),
        migrations.AddConstraint(
            model_name="rebuildpart",
            constraint=models.CheckConstraint(
                condition=models.Q(("events_done__gte", 0), ("stream_version__gte", 0)),
                name="projection_rebuild_parts_check",
            ),
        ),
    ]
