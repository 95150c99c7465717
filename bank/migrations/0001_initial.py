"""Grants of accounts to clients, and the permissions of the API."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """The table of grants; its permissions are those that accounts.permissions names."""

    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="AccountGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_id", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "client",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account_grants",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "account_grants",
                "permissions": (
                    ("view_accounts", "API: view accounts, balances and histories"),
                    ("open_account", "API: open an account"),
                    ("deposit_money", "API: deposit"),
                    ("withdraw_money", "API: withdraw"),
                    ("freeze_account", "API: freeze an account"),
                    ("unfreeze_account", "API: unfreeze an account"),
                    ("close_account", "API: close an account"),
                    ("view_own_commands", "API: look up the outcomes of one's own commands"),
                    ("rebuild_projections", "API: repair and rebuild read models"),
                    ("view_metrics", "API: read /metrics"),
                    ("reach_every_account", "API: act on the accounts of every client"),
                ),
                "constraints": [
                    models.UniqueConstraint(fields=("client", "account_id"), name="account_grants_key"),
                ],
            },
        ),
    ]
