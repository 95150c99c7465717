"""Who may look at transfers, ask for them, and help those that cannot go on."""

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
        ("view_own_commands", "API: look up the outcomes of one's own commands"),
        ("rebuild_projections", "API: repair and rebuild read models"),
        ("view_metrics", "API: read /metrics"),
        ("reach_every_account", "API: act on the accounts of every client"),
    )
}
ROLES = {
    "client": ("view_transfers", "transfer_money"),
    "teller": ("view_transfers", "transfer_money", "view_transferstatus"),
    "auditor": ("view_transfers", "view_transferstatus"),
    "operations": ("view_transfers", "retry_transfer", "release_suspense", "view_transferstatus"),
}


def add_to_roles(apps: Any, schema_editor: Any) -> None:
    """Give each role what it may do; Django itself makes permissions only when all migrations are done."""
    for app_label in ("bank", "projections"):
        app = apps.get_app_config(app_label)
        app.models_module = True
        create_permissions(app, apps=apps, verbosity=0)
        app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label__in=("bank", "projections")
    )
    for name, codenames in ROLES.items():
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*[permissions.get(codename=codename) for codename in codenames])


class Migration(migrations.Migration):
    """More permissions, for the roles that there are."""

    dependencies = [("bank", "0002_roles"), ("projections", "0005_transfer_status")]
    operations = [
        migrations.AlterModelOptions(name="accountgrant", options=OPTIONS),
        migrations.RunPython(add_to_roles, migrations.RunPython.noop),
    ]
