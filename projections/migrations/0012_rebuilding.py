"""Let read models be built again beside the live ones."""

from pathlib import Path

from django.db import migrations, models

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """The progress of rebuilds, and the functions that make shadows and swap them."""

    dependencies = [("projections", "0011_verification_byte_order")]

    operations = [
        migrations.CreateModel(
            name="ProjectionRebuild",
            fields=[
                ("projection", models.TextField(primary_key=True, serialize=False)),
                ("release", models.TextField()),
                ("phase", models.TextField(default="COPYING")),
                ("until_position", models.BigIntegerField()),
                ("stream_id", models.TextField(blank=True, default="")),
                ("stream_version", models.BigIntegerField(default=0)),
                ("position", models.BigIntegerField(default=0)),
                ("events_done", models.BigIntegerField(default=0)),
                ("events_total", models.BigIntegerField()),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={"verbose_name": "rebuild", "verbose_name_plural": "rebuilds", "db_table": "projection_rebuilds"},
        ),
        migrations.AddConstraint(
            model_name="projectionrebuild",
            constraint=models.CheckConstraint(
                condition=models.Q(("phase__in", ("COPYING", "CATCHING_UP"))), name="projection_rebuilds_phase_check"
            ),
        ),
        migrations.AddConstraint(
            model_name="projectionrebuild",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("events_done__gte", 0),
                    ("position__gte", 0),
                    ("stream_version__gte", 0),
                    ("until_position__gte", 0),
                ),
                name="projection_rebuilds_position_check",
            ),
        ),
        PostgresSQL(Path(__file__).with_suffix(".sql").read_text()),
    ]
