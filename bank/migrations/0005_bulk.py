"""Who may send many commands in one request."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

OPTIONS = {
    "permissions": (
        ("view_accounts", "API: view accounts, balances and histories"),
        ("open_account", "API: open an account"),
        ("deposit_money", "API: deposit"),
        ("withdraw_money", "API: withdraw"),
        ("freeze_account", "API: freeze an account"),
        ("unfreeze_account", "API: unfreeze an account"),
        ("close_account", "API: close an account"),
        ("view_transfers", "API: view transfers"),
        ("transfer_money", "API: transfer"),
        ("retry_transfer", "Admin: retry a stuck transfer"),
        ("release_suspense", "Admin: pay a refund out of suspense"),
        ("send_commands", "API: send many commands in one request"),
        ("view_own_commands", "API: look up the outcomes of one's own commands"),
        ("rebuild_projections", "API: repair and rebuild read models"),
        ("view_metrics", "API: read /metrics"),
        ("reach_every_account", "API: act on the accounts of every client"),
    )
}
ROLES = ("client", "teller", "operations")


def add_to_roles(apps: Any, schema_editor: Any) -> None:
    """Let those who send commands send many; Django itself makes permissions only when all migrations are done."""
    app = apps.get_app_config("bank")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permission = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="bank", codename="send_commands"
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    """One permission more."""

    dependencies = [("bank", "0004_verification")]
    operations = [
        migrations.AlterModelOptions(name="accountgrant", options=OPTIONS),
        migrations.RunPython(add_to_roles, migrations.RunPython.noop),
    ]
