"""Append in fewer statements, and check the hash that a commit builds on as well as the version."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """The append function takes documents instead of arrays; tables stay as they are."""

    dependencies = [("eventstore", "0004_import")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
