"""Who may look at the jobs of the read side."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ("auditor", "operations")


def add_to_roles(apps: Any, schema_editor: Any) -> None:
    """Let the roles view jobs; Django itself makes permissions only when all migrations are done."""
    app = apps.get_app_config("projections")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permission = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="projections", codename="view_projectionjob"
    )
    for name in ROLES:
        apps.get_model("auth", "Group").objects.get(name=name).permissions.add(permission)


class Migration(migrations.Migration):
    """One more permission, for the roles that there are."""

    dependencies = [("bank", "0005_bulk"), ("projections", "0013_jobs")]
    operations = [migrations.RunPython(add_to_roles, migrations.RunPython.noop)]
