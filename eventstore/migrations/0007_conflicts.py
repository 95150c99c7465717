"""Append tells what conflicts bring in a time that grows with the events alone."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """Functions alone change; who may execute them stays as it is."""

    dependencies = [("eventstore", "0006_forget_under_lock")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
