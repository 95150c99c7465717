"""Let ids compare by their bytes. A migration of its own: Django makes its indexes only at the end of one."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """Collations, and no indexes for what other indexes serve."""

    dependencies = [("projections", "0001_initial")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
