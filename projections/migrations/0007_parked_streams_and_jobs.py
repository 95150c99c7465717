"""Say when a parked stream is tried again and whether its rows are trusted; keep the jobs of the read side."""

import uuid

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Streams that are parked already are due at once."""

    dependencies = [
        ("projections", "0006_transfer_byte_order"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProjectionJob",
            fields=[
                ("job_id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("projection", models.TextField(blank=True, default="")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("QUEUED", "Queued"),
                            ("RUNNING", "Running"),
                            ("SUCCEEDED", "Succeeded"),
                            ("FAILED", "Failed"),
                        ],
                        default="QUEUED",
                    ),
                ),
                ("requested_by", models.TextField(null=True)),
                ("reason", models.TextField(null=True)),
                ("projections_done", models.JSONField(default=list)),
                ("current", models.TextField(null=True)),
                ("events_done", models.BigIntegerField(default=0)),
                ("events_total", models.BigIntegerField(default=0)),
                ("events_per_second", models.BigIntegerField(null=True)),
                ("error", models.TextField(null=True)),
                ("lease", models.UUIDField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("requested_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "db_table": "projection_jobs",
            },
        ),
        migrations.AddField(
            model_name="projectionfailure",
            name="next_attempt_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="projectionfailure",
            name="rows_are_suspect",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="projectionfailure",
            index=models.Index(fields=["projection", "next_attempt_at"], name="projection_failures_due"),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("QUEUED", "RUNNING"))),
                fields=("projection",),
                name="projection_jobs_unfinished_key",
            ),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED"))),
                name="projection_jobs_state_check",
            ),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", True), ("state__in", ("QUEUED", "RUNNING"))),
                    models.Q(
                        models.Q(("state__in", ("QUEUED", "RUNNING")), _negated=True),
                        ("finished_at__isnull", False),
                        ("lease__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="projection_jobs_finished_check",
            ),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("error__isnull", False), ("state", "FAILED")),
                    models.Q(models.Q(("state", "FAILED"), _negated=True), ("error__isnull", True)),
                    _connector="OR",
                ),
                name="projection_jobs_error_check",
            ),
        ),
        migrations.AddConstraint(
            model_name="projectionjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("events_done__gte", 0), ("events_total__gte", models.F("events_done"))),
                name="projection_jobs_events_check",
            ),
        ),
    ]
