"""A call that appends one event, or one event for each of its commits, takes a shorter way."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """Functions alone change; who may append stays as it is."""

    dependencies = [("eventstore", "0007_conflicts")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
