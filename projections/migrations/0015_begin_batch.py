"""What a batch begins with takes one round trip."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """A function more; no table changes."""

    dependencies = [("projections", "0014_rebuild_parts")]
    operations = [
        PostgresSQL(Path(__file__).with_suffix(".sql").read_text(), reverse_sql="DROP FUNCTION begin_batch"),
    ]
