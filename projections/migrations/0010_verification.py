"""Keep how far streams were found sound, what verifications find, and where the continuous one stands."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Three tables; nothing has been verified yet."""

    dependencies = [
        ("projections", "0008_part_of_a_commit"),
    ]

    operations = [
        migrations.CreateModel(
            name="VerificationCycle",
            fields=[
                ("cycle_id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("began_at", models.DateTimeField(null=True)),
                ("head", models.BigIntegerField(default=0)),
                ("highest_head", models.BigIntegerField(default=0)),
                ("after_stream_id", models.TextField(blank=True, default="")),
                ("streams_are_done", models.BooleanField(default=False)),
                ("after_position", models.BigIntegerField(default=0)),
                ("books", models.JSONField(default=dict)),
                ("events", models.BigIntegerField(default=0)),
                ("last_began_at", models.DateTimeField(null=True)),
                ("last_finished_at", models.DateTimeField(null=True)),
                ("last_events", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "continuous verification",
                "verbose_name_plural": "continuous verification",
                "db_table": "verification_cycle",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("cycle_id", 1)), name="verification_cycle_single_check"),
                    models.CheckConstraint(
                        condition=models.Q(("after_position__gte", 0), ("head__gte", models.F("after_position"))),
                        name="verification_cycle_head_check",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VerificationDifference",
            fields=[
                ("difference_id", models.UUIDField(primary_key=True, serialize=False)),
                ("check_name", models.TextField(verbose_name="check")),
                ("stream_id", models.TextField(blank=True)),
                ("place", models.TextField()),
                ("key", models.TextField()),
                ("column_name", models.TextField(verbose_name="column")),
                ("expected", models.TextField()),
                ("actual", models.TextField()),
                ("first_found_at", models.DateTimeField()),
                ("last_found_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "difference",
                "verbose_name_plural": "differences",
                "db_table": "verification_differences",
                "indexes": [
                    models.Index(fields=["stream_id"], name="verification_diff_stream"),
                    models.Index(fields=["-last_found_at"], name="verification_diff_latest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="VerifiedStream",
            fields=[
                ("stream_id", models.TextField(primary_key=True, serialize=False)),
                ("version", models.BigIntegerField()),
                ("hash", models.BinaryField()),
                ("seal", models.BinaryField()),
                ("verified_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "verified stream",
                "verbose_name_plural": "verified streams",
                "db_table": "verified_streams",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("version__gt", 0)), name="verified_streams_version_check"
                    )
                ],
            },
        ),
    ]
