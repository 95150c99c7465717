"""The read model of transfers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One row for each transfer."""

    dependencies = [
        ("projections", "0004_heartbeat"),
    ]

    operations = [
        migrations.CreateModel(
            name="TransferStatus",
            fields=[
                ("transfer_id", models.TextField(primary_key=True, serialize=False)),
                ("client_id", models.TextField(null=True)),
                ("source_account_id", models.TextField()),
                ("destination_account_id", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("currency", models.TextField()),
                ("transaction_id", models.TextField(null=True)),
                ("description", models.TextField(null=True)),
                ("metadata", models.JSONField(default=dict)),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("PENDING", "Pending"),
                            ("STUCK", "Stuck"),
                            ("COMPLETED", "Completed"),
                            ("FAILED", "Failed"),
                        ]
                    ),
                ),
                ("failure_code", models.TextField(null=True)),
                ("failure_fields", models.JSONField(default=dict)),
                ("refunded_to", models.TextField(null=True)),
                ("released_to", models.TextField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(null=True)),
                ("version", models.BigIntegerField()),
                ("first_position", models.BigIntegerField()),
                ("last_position", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "transfer",
                "verbose_name_plural": "transfers",
                "db_table": "transfer_status",
                "indexes": [
                    models.Index(fields=["source_account_id", "first_position"], name="transfer_status_source"),
                    models.Index(fields=["destination_account_id", "first_position"], name="transfer_status_dest"),
                    models.Index(fields=["client_id", "first_position"], name="transfer_status_client"),
                    models.Index(fields=["state", "first_position"], name="transfer_status_state"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("first_position",), name="transfer_status_position_key"),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 1), ("amount__lte", 9007199254740991)),
                        name="transfer_status_amount_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ("PENDING", "STUCK", "COMPLETED", "FAILED"))),
                        name="transfer_status_state_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("failure_code__isnull", False), ("state", "FAILED")),
                            models.Q(
                                models.Q(("state", "FAILED"), _negated=True),
                                ("failure_code__isnull", True),
                                ("refunded_to__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="transfer_status_failure_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("first_position__gt", 0),
                            ("last_position__gte", models.F("first_position")),
                            ("version__gt", 0),
                        ),
                        name="transfer_status_version_check",
                    ),
                ],
            },
        ),
    ]
