"""Keep the list of transfers whose money is in flight."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """A table, and the trigger on the log that writes it."""

    initial = True
    dependencies = [("eventstore", "0001_initial")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
