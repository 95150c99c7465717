"""How raw SQL takes part in Django's migrations."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class PostgresSQL(migrations.RunSQL):
    """SQL for PostgreSQL alone: with an in-memory event store Django's tables live in SQLite, where it is skipped."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Run the SQL unless the database is another one."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
