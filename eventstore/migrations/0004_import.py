"""Let a log that was written elsewhere in, with its own times, ids and positions."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """A function for the owner of the log, and a guard that lets it insert."""

    dependencies = [("eventstore", "0003_retention")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
