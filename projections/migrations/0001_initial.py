"""Create the read models, the checkpoints and the parked streams."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The first shape of the read side."""

    initial = True

    operations = [
        migrations.CreateModel(
            name="AccountStatement",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("account_id", models.TextField()),
                ("stream_version", models.BigIntegerField()),
                ("event_id", models.UUIDField()),
                ("event_type", models.TextField()),
                ("amount", models.BigIntegerField(null=True)),
                ("currency", models.TextField()),
                ("balance", models.BigIntegerField()),
                ("contra", models.TextField(null=True)),
                ("transaction_id", models.TextField(null=True)),
                ("transfer_id", models.TextField(null=True)),
                ("counterparty", models.TextField(null=True)),
                ("reason", models.TextField(null=True)),
                ("description", models.TextField(null=True)),
                ("metadata", models.JSONField(default=dict)),
                ("occurred_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "statement line",
                "verbose_name_plural": "statement lines",
                "db_table": "account_statement",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account_id", "stream_version"), name="account_statement_version_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("balance__gte", 0), ("balance__lte", 9007199254740991)),
                        name="account_statement_balance_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("amount__isnull", True), ("contra__isnull", True)),
                            models.Q(("amount__gte", 1), ("amount__isnull", False), ("contra__isnull", False)),
                            _connector="OR",
                        ),
                        name="account_statement_movement_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("position__gte", models.F("stream_version")), ("stream_version__gt", 0)),
                        name="account_statement_version_check",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountSummary",
            fields=[
                ("account_id", models.TextField(primary_key=True, serialize=False)),
                ("owner_id", models.TextField()),
                ("client_id", models.TextField(null=True)),
                ("currency", models.TextField()),
                (
                    "status",
                    models.TextField(choices=[("ACTIVE", "Active"), ("FROZEN", "Frozen"), ("CLOSED", "Closed")]),
                ),
                ("balance", models.BigIntegerField()),
                ("version", models.BigIntegerField()),
                ("last_position", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "account",
                "verbose_name_plural": "accounts",
                "db_table": "account_summary",
                "indexes": [
                    models.Index(fields=["owner_id", "account_id"], name="account_summary_owner"),
                    models.Index(fields=["status", "account_id"], name="account_summary_status"),
                    models.Index(fields=["currency", "account_id"], name="account_summary_currency"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("balance__gte", 0), ("balance__lte", 9007199254740991)),
                        name="account_summary_balance_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["ACTIVE", "FROZEN", "CLOSED"])),
                        name="account_summary_status_check",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("last_position__gte", models.F("version")), ("version__gt", 0)),
                        name="account_summary_version_check",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProjectionCheckpoint",
            fields=[
                ("projection", models.TextField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "checkpoint",
                "verbose_name_plural": "checkpoints",
                "db_table": "projection_checkpoints",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("position__gte", 0)), name="projection_checkpoints_position_check"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProjectionFailure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("projection", models.TextField()),
                ("stream_id", models.TextField()),
                ("version", models.BigIntegerField()),
                ("position", models.BigIntegerField()),
                ("event_id", models.UUIDField()),
                ("error", models.TextField()),
                ("traceback", models.TextField()),
                ("attempts", models.PositiveIntegerField(default=1)),
                ("first_failed_at", models.DateTimeField()),
                ("last_failed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "parked stream",
                "verbose_name_plural": "parked streams",
                "db_table": "projection_failures",
                "constraints": [
                    models.UniqueConstraint(fields=("projection", "stream_id"), name="projection_failures_stream_key"),
                    models.CheckConstraint(
                        condition=models.Q(("attempts__gt", 0), ("version__gt", 0)), name="projection_failures_check"
                    ),
                ],
            },
        ),
    ]
