"""What surrounds `migrate`: the data of another system is left untouched, and the application gets its rights."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

LOG_TABLES = ("events", "snapshots", "commands", "transfers_in_flight")
"""What append_events alone writes, itself or by its triggers."""

TABLES_OF_OTHERS = (*LOG_TABLES, "account_summary", "account_statement", "projection_checkpoints", "schema_migrations")


def before_migrate(*, using: str, **_: Any) -> None:
    """Refuse a database in which somebody else's tables have our names; let long migrations take their time.

    Raises CommandError before anything is written, so that the other system goes on as it was.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    if ("eventstore", "0001_initial") not in MigrationRecorder(connection).applied_migrations():
        foreign = sorted(set(TABLES_OF_OTHERS) & set(connection.introspection.table_names()))
        if foreign:
            raise CommandError(
                f"the database {connection.settings_dict['NAME']} holds tables of another system "
                f"({', '.join(foreign)}); nothing was changed. Give the bank a database of its own"
            )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def after_migrate(*, using: str, **_: Any) -> None:
    """Give the application's role what it needs, and of the log no more than reading it and calling its functions."""
    connection = connections[using]
    if connection.vendor == "postgresql" and settings.DB_APP_ROLE:
        # At once: the role must not even for a moment have more than it keeps.
        with transaction.atomic(using=using), connection.cursor() as cursor:
            for grant in _grants(settings.DB_APP_ROLE):
                cursor.execute(grant)


def _grants(role: str) -> list[sql.Composed]:
    statements = (
        "GRANT USAGE ON SCHEMA public TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {log} FROM {role}",
        "GRANT EXECUTE ON FUNCTION append_events, load_streams, forget_refusals TO {role}",
    )
    log = sql.SQL(", ").join(map(sql.Identifier, LOG_TABLES))
    return [sql.SQL(statement).format(role=sql.Identifier(role), log=log) for statement in statements]
