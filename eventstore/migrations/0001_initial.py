"""Create the log of events, the snapshots, the commands and the functions that write and load them."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """The first shape of the event store."""

    initial = True
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
