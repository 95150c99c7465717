"""Forget refusals under the log's lock, so that none goes while an append is looking at it."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """The function alone changes; who may execute it stays as it is."""

    dependencies = [("eventstore", "0005_append")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
