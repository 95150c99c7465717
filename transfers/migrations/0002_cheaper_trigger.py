"""Make the list of transfers in flight cheaper for appends that have nothing to do with it."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """The trigger and its function; the list stays as it is."""

    dependencies = [("transfers", "0001_initial")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
