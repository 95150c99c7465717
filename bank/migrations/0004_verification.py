"""Who may look at what verifications found."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ("auditor", "operations")
CODENAMES = ("view_verificationdifference", "view_verificationcycle")


def add_to_roles(apps: Any, schema_editor: Any) -> None:
    """Give each role what it may do; Django itself makes permissions only when all migrations are done."""
    app = apps.get_app_config("projections")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="projections")
    for name in ROLES:
        group = apps.get_model("auth", "Group").objects.get(name=name)
        group.permissions.add(*[permissions.get(codename=codename) for codename in CODENAMES])


class Migration(migrations.Migration):
    """More permissions, for the roles that there are."""

    dependencies = [("bank", "0003_transfers"), ("projections", "0010_verification")]
    operations = [migrations.RunPython(add_to_roles, migrations.RunPython.noop)]
