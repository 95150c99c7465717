"""Let the ids of transfers compare by their bytes."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """Collations, and no index for what another index serves."""

    dependencies = [("projections", "0005_transfer_status")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
