"""Have ids of verified streams compare by their bytes."""

from pathlib import Path

from django.db import migrations

from eventstore.migration_operations import PostgresSQL


class Migration(migrations.Migration):
    """As those of the log do; apart from the tables' own migration, which makes one index at its very end."""

    dependencies = [("projections", "0010_verification")]
    operations = [PostgresSQL(Path(__file__).with_suffix(".sql").read_text())]
