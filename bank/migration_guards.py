"""What surrounds `migrate`: the data of another system is left untouched, and the application gets its rights."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

from projections.projectors import PROJECTORS

LOG_TABLES = ("events", "snapshots", "commands", "transfers_in_flight")
"""What append_events alone writes, itself or by its triggers."""

LIST_OF_READ_MODELS = "read_models"
"""The tables that may be rebuilt: `migrate` alone writes it."""

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
    """List the read models; give the application's role what it needs.

    Of the log that is no more than reading it and calling its functions.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    # At once: the role must not even for a moment have more than it keeps.
    with transaction.atomic(using=using), connection.cursor() as cursor:
        # Not there yet, or no more, if somebody migrates to an older state.
        if LIST_OF_READ_MODELS in connection.introspection.table_names(cursor):
            cursor.execute("DELETE FROM read_models")
            cursor.executemany(
                "INSERT INTO read_models (projection, table_name) VALUES (%s, %s)",
                [(projector.name, projector.model._meta.db_table) for projector in PROJECTORS],
            )
        for grant in _grants(settings.DB_APP_ROLE) if settings.DB_APP_ROLE else ():
            cursor.execute(grant)


def _grants(role: str) -> list[sql.Composed]:
    statements = (
        "GRANT USAGE ON SCHEMA public TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {log} FROM {role}",
        "GRANT EXECUTE ON FUNCTION append_events, load_streams, forget_refusals TO {role}",
        "GRANT EXECUTE ON FUNCTION take_right_of_way, events_told, begin_batch TO {role}",
        "GRANT EXECUTE ON FUNCTION make_shadow, index_shadow, hold_read_model, swap_shadow, drop_shadow TO {role}",
        "GRANT USAGE ON SCHEMA replaced TO {role}",
    )
    log = sql.SQL(", ").join(map(sql.Identifier, (*LOG_TABLES, LIST_OF_READ_MODELS)))
    return [sql.SQL(statement).format(role=sql.Identifier(role), log=log) for statement in statements]
