"""Keep successes for ever, and let refusals be forgotten after a time."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """A function that deletes old refusals, and triggers against any other change of verdicts."""

    dependencies = [("eventstore", "0002_mirrors")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
