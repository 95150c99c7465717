"""The roles: groups of Django's, the same for the API and for the admin. docs/access.md has them as a table."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

READ_MODELS = ("accountsummary", "accountstatement", "projectioncheckpoint", "projectionfailure")
LOG = ("event", "snapshot", "command")

# What the admin shows of the books; Django names these permissions after its models.
BOOKS = {("projections", f"view_{model}") for model in READ_MODELS}
WHOLE_LOG = {("eventstore", f"view_{model}") for model in LOG}


def _api(*codenames: str) -> set[tuple[str, str]]:
    return {("bank", codename) for codename in codenames}


ROLES = {
    "client": _api(
        "view_accounts", "open_account", "deposit_money", "withdraw_money", "close_account", "view_own_commands"
    ),
    "teller": BOOKS
    | _api(
        "view_accounts",
        "open_account",
        "deposit_money",
        "withdraw_money",
        "close_account",
        "view_own_commands",
        "reach_every_account",
    ),
    "auditor": BOOKS | WHOLE_LOG | _api("view_accounts", "view_metrics", "reach_every_account"),
    "operations": BOOKS
    | WHOLE_LOG
    | _api(
        "view_accounts",
        "freeze_account",
        "unfreeze_account",
        "view_own_commands",
        "rebuild_projections",
        "view_metrics",
        "reach_every_account",
    ),
}


def make_roles(apps: Any, schema_editor: Any) -> None:
    """Make each role with its permissions; Django itself makes permissions only when all migrations are done."""
    for app_label in ("bank", "eventstore", "projections"):
        app = apps.get_app_config(app_label)
        app.models_module = True
        create_permissions(app, apps=apps, verbosity=0)
        app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects
    for name, held in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.set(
            [permissions.get(content_type__app_label=label, codename=codename) for label, codename in sorted(held)]
        )


class Migration(migrations.Migration):
    """Roles hold permissions on models of three apps."""

    dependencies = [
        ("bank", "0001_initial"),
        ("eventstore", "0002_mirrors"),
        ("projections", "0002_byte_order"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
